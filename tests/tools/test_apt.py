"""The address of Debian's unstable suite is taken from the machine's own sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import apt
from tools.apt import lines_made_over, stanzas_made_over
from tools.shell import SetupError

SUITES = {"bookworm", "stable"}
DEB822 = """\
Types: deb deb-src
# a note
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_deb822_source_keeps_its_address_and_key() -> None:
    (source,) = stanzas_made_over(DEB822, SUITES)

    assert source == (
        "Types: deb\n"
        "Suites: sid\n"
        "Components: main\n"
        "URIs: http://mirror.example/debian\n"
        "Signed-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
        " .\n"
        " -----END PGP PUBLIC KEY BLOCK-----\n"
    )


def test_a_source_that_is_trusted_unsigned_is_not_trusted_here() -> None:
    (source,) = stanzas_made_over(DEB822.replace("Architectures: amd64", "Trusted: yes"), SUITES)
    (line,) = lines_made_over(
        "deb [ trusted=yes arch=amd64 allow-insecure=yes signed-by=/k.gpg ] http://a.example/d stable main",
        SUITES,
    )

    assert "rusted" not in source
    assert line == "deb [arch=amd64 signed-by=/k.gpg] http://a.example/d sid main\n"


def test_each_stanza_is_a_source() -> None:
    other = DEB822.replace("mirror", "other")

    assert len(stanzas_made_over(f"{DEB822}\n{other}", SUITES)) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Suites: bookworm bookworm-updates", "Suites: nodistro"),
        ("Suites: bookworm bookworm-updates", "Suites: bookworm-security"),
        ("Components: main contrib", "Components: stable"),
        ("Types: deb deb-src", "Types: deb-src"),
        ("Types: deb deb-src", "Enabled: no\nTypes: deb"),
    ],
)
def test_deb822_source_of_something_else_is_left_out(field: str, value: str) -> None:
    assert stanzas_made_over(DEB822.replace(field, value), SUITES) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://a.example/debian bookworm main", ["deb http://a.example/debian sid main\n"]),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ stable main contrib # ours",
            ["deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ sid main\n"],
        ),
        ("deb-src http://a.example/debian bookworm main", []),
        ("# deb http://a.example/debian bookworm main", []),
        ("deb https://a.example/apt cloud-bookworm main", []),
        ("deb https://a.example/linux bookworm stable", []),
        ("", []),
    ],
)
def test_one_line_source(line: str, expected: list[str]) -> None:
    assert lines_made_over(line, SUITES) == expected


@pytest.mark.parametrize(
    ("complaint", "offered"),
    [
        ("E: Release file for http://a.example/dists/sid/InRelease is expired (invalid since 3d).", True),
        ("E: The repository 'http://a.example sid Release' is not signed.", False),
    ],
)
def test_a_list_that_is_past_its_date_is_taken_and_told_and_one_without_signature_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, offered: bool
) -> None:
    """apt's words, of a mirror of old states."""
    asked: list[str] = []

    def fault(argv: list[object], **_: object) -> None:
        asked.append(next(str(word) for word in argv if "Check-Valid-Until" in str(word)))
        if len(asked) == 1:
            raise SetupError(complaint)

    monkeypatch.setattr(apt, "run", fault)
    suite = apt.UnstableSuite(tmp_path, ".list", "deb http://a.example sid main")

    assert (suite.is_offered(), suite.is_past_its_date) == (offered, offered)
    assert asked == [f"Acquire::Check-Valid-Until={value}" for value in ("true", "false")[: 1 + offered]]
