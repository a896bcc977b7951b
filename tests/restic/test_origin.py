"""Where the restic is from that is used: told in every place alike, and refused where it is to be pinned."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backups import endpoints, restic
from backups.models import Repository
from backups.restic.origin import RECORD
from tests.backups.worlds import Portal

PINNED = json.loads((Path(restic.__file__).with_name("pinned.json")).read_text())["archives"]["amd64"]
DIGEST = f"sha256:{'0f' * 32}"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program called restic, of which nothing is written down."""
    path = tmp_path / "bin" / "restic"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def write_down(beside: Path, of: Path | None = None, /, **record: str) -> None:
    sha256 = hashlib.sha256((of or beside).read_bytes()).hexdigest()
    beside.with_name(RECORD).write_text(json.dumps({"sha256": sha256, **record}))


@pytest.mark.parametrize(
    ("record", "words", "is_pinned"),
    [
        ({"source": "upstream", "archive_sha256": PINNED}, "upstream's release by its pinned SHA-256", True),
        (
            {"source": "upstream", "archive_sha256": "0" * 64},
            "upstream's release, which another Vedetta had pinned",
            False,
        ),
        (
            {"source": "debian", "package_version": "0.19.1-1"},
            "Debian's package restic 0.19.1-1, signed by its archive",
            False,
        ),
        (
            {"source": "debian", "package_version": "0.19.1-1", "past_its_date": "yes"},
            "Debian's package restic 0.19.1-1, signed by its archive by a list that was past its date",
            False,
        ),
        ({"source": "image", "image": "restic/restic:0.18.1"}, "of the image restic/restic:0.18.1", False),
        (
            {"source": "image", "image": f"restic/restic:0.18.1@{DIGEST}"},
            f"of the image restic/restic:0.18.1@{DIGEST}",
            True,
        ),
        ({"source": "unknown"}, "of unknown origin", False),
    ],
)
def test_what_was_written_down_is_told(
    program: Path, record: dict[str, str], words: str, is_pinned: bool
) -> None:
    write_down(program, **record)

    found = restic.origin(str(program))

    assert (found.words, found.is_pinned) == (words, is_pinned)
    assert found.sha256 == hashlib.sha256(program.read_bytes()).hexdigest()


def test_a_program_that_was_put_in_its_place_is_not_taken_for_it(program: Path) -> None:
    write_down(program, source="upstream", archive_sha256=PINNED)
    assert restic.origin(str(program)).is_pinned

    program.write_text("#!/bin/sh\n# another\n")

    found = restic.origin(str(program))
    assert found.words == "of unknown origin: not the program that was installed there"
    assert not found.is_pinned


def test_in_the_image_the_program_behind_the_script_counts(program: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("#!/bin/sh\n# the program itself\n")
    write_down(program, real, source="image", image=f"r@{DIGEST}", program=str(real))

    assert restic.origin(str(program)).is_pinned
    assert restic.origin(str(program)).program == str(real)
    real.write_text("#!/bin/sh\n# another\n")
    assert not restic.origin(str(program)).is_pinned


@pytest.mark.parametrize("record", ["", "[]", '{"sha256": 5}', "\0", "{" * 20_000])
def test_a_record_that_is_none_says_nothing(program: Path, record: str) -> None:
    program.with_name(RECORD).write_text(record)

    assert restic.origin(str(program)).words == "of unknown origin"


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no Debian's kind of machine")
def test_a_distributions_own_is_told_by_its_package(tmp_path: Path) -> None:
    """Any program of a package will do."""
    name = os.path.realpath(str(shutil.which("dpkg-query")))

    assert restic.origin(name).words.startswith("the package dpkg 1.")
    copy = tmp_path / "restic"
    shutil.copy(name, copy)
    assert restic.origin(str(copy)).words == "of unknown origin"


@pytest.mark.django_db
def test_pinned_alone_refuses_every_other(
    program: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restic, "find", lambda: str(program))
    monkeypatch.setenv("RESTIC_PASSWORD", "a password")
    repository = Repository(name="r", url="/somewhere", password_ref="env:RESTIC_PASSWORD")
    settings.VEDETTA_RESTIC = "any"
    assert endpoints.repository_access(repository).program == str(program)

    settings.VEDETTA_RESTIC = "pinned"
    with pytest.raises(restic.ResticError) as refused:
        endpoints.repository_access(repository)

    assert refused.value.sentence() == (
        f"restic was not started: {program} is of unknown origin. VEDETTA_RESTIC=pinned takes only "
        "upstream's release 0.19.1, by its SHA-256. Run `make setup` where that release can be fetched "
        "(in an image: build it with RESTIC_IMAGE by digest, see docs/supply-chain.md), or take "
        "VEDETTA_RESTIC out of .env."
    )
    write_down(program, source="upstream", archive_sha256=PINNED)
    assert endpoints.repository_access(repository).program == str(program)


def test_version_preflight_and_each_run_say_the_same_of_it(mariadb_portal: Portal) -> None:
    portal = mariadb_portal

    told = portal.manage("version", "--json").json["restic"]
    checks = portal.manage("preflight", "--json").json["checks"]
    backup = portal.backup()

    assert told["sha256"] == hashlib.sha256(Path(told["program"]).read_bytes()).hexdigest()
    (detail,) = [each["detail"] for each in checks if each["name"] == "restic"]
    assert detail.startswith(f"restic {told['version']}, {told['origin']}")
    assert backup.code == 0, backup.err
    assert f"restic {told['version']}, {told['origin']}." in portal.log()
    with closing(sqlite3.connect(portal.database_file)) as file:
        rows = file.execute("SELECT action, restic_version, result FROM backups_run").fetchall()
    noted = {action: (version, json.loads(result)["restic"]) for action, version, result in rows}
    expected = {name: told[name] for name in ("version", "origin", "sha256", "pinned")}
    assert noted["backup"] == (told["version"], expected)
    assert {action: facts for action, (_, facts) in noted.items()} == dict.fromkeys(noted, expected)

    wrong = portal.manage("version", VEDETTA_RESTIC="sometimes")
    assert wrong.code == 1
    assert "VEDETTA_RESTIC is 'sometimes', but must be one of any, pinned." in wrong.err
