"""The address of Debian's unstable suite is taken from the machine's own sources."""

from __future__ import annotations

import pytest

from tools.apt import lines_made_over, stanzas_made_over

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
