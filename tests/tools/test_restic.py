"""Only a restic that is new enough, and only the pinned release, is accepted; its origin is written down."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import platform
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from backups.restic.origin import RECORD, origin
from tools import restic
from tools.shell import SetupError

SCRIPT = "#!/bin/sh\necho 'restic {} compiled with go1.26 on linux/amd64'\n"


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without restic; what is installed goes into this folder."""
    monkeypatch.setattr(restic, "PROGRAM", tmp_path / "restic")
    monkeypatch.setattr(restic, "RECORD", tmp_path / RECORD)
    # No developer's own .env.
    monkeypatch.setattr(restic, "ROOT", tmp_path)
    for name in ("VEDETTA_RESTIC", "VEDETTA_RESTIC_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return tmp_path


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Let the release's address answer with these bytes."""

    def _serve(content: bytes) -> None:
        monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(content))

    return _serve


@pytest.mark.parametrize(
    ("version", "good"),
    [("0.14.0", False), ("0.18.0", False), ("0.18.1", True), ("0.19.1", True), ("1.0.0", True)],
)
def test_version_decides(tmp_path: Path, version: str, good: bool) -> None:
    program = tmp_path / "restic"
    program.write_text(SCRIPT.format(version))
    program.chmod(0o755)

    assert restic.is_good(str(program)) is good


def test_missing_program_is_not_good(tmp_path: Path) -> None:
    assert not restic.is_good(str(tmp_path / "restic"))
    assert not restic.is_good(None)


def test_release_with_the_pinned_checksum_is_installed(
    bin_dir: Path, serve: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = bz2.compress(SCRIPT.format("0.19.1").encode())
    checksum = hashlib.sha256(release).hexdigest()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setitem(restic.UPSTREAM_SHA256, "amd64", checksum)
    serve(release)

    restic.install()

    assert sorted(path.name for path in bin_dir.iterdir()) == ["restic", RECORD]
    assert restic.is_good(str(bin_dir / "restic"))
    assert json.loads((bin_dir / RECORD).read_text())["archive_sha256"] == checksum


def debians() -> None:
    """What Debian's package would put there."""
    restic._put(SCRIPT.format("0.19.1").encode(), {"source": "debian", "package_version": "0.19.1-1"})


def not_asked() -> NoReturn:
    raise AssertionError("asked Debian")


def put_by_an_earlier_set_up(bin_dir: Path) -> None:
    """Which wrote nothing down."""
    (bin_dir / "restic").write_text(SCRIPT.format("0.18.1"))
    (bin_dir / "restic").chmod(0o755)


def test_one_whose_origin_nobody_knows_is_got_anew_once(
    bin_dir: Path, serve: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_by_an_earlier_set_up(bin_dir)
    serve(b"something else")
    monkeypatch.setitem(restic.SOURCES, "Debian's unstable suite", debians)

    restic.install()
    monkeypatch.setitem(restic.SOURCES, "Debian's unstable suite", not_asked)
    restic.install()

    assert (bin_dir / "restic").read_text() == SCRIPT.format("0.19.1")
    assert origin(str(bin_dir / "restic")).words == "Debian's package restic 0.19.1-1, signed by its archive"


def test_where_none_can_be_had_the_one_that_is_there_stays_and_is_of_unknown_origin(
    bin_dir: Path, serve: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_by_an_earlier_set_up(bin_dir)
    serve(b"something else")
    asked: list[str] = []

    def away() -> NoReturn:
        asked.append("Debian")
        raise SetupError("no package source offers it.")

    monkeypatch.setitem(restic.SOURCES, "Debian's unstable suite", away)

    restic.install()
    restic.install()

    assert asked == ["Debian"]
    assert origin(str(bin_dir / "restic")).words == "of unknown origin"


@pytest.mark.parametrize("named", ["environment", ".env", "file"])
def test_where_only_the_pinned_one_is_wanted_no_other_is_got_or_kept(
    bin_dir: Path, serve: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    if named == "environment":
        monkeypatch.setenv("VEDETTA_RESTIC", "pinned")
    elif named == "file":
        (bin_dir / "wanted").write_text("pinned\n")
        monkeypatch.setenv("VEDETTA_RESTIC_FILE", str(bin_dir / "wanted"))
    else:
        (bin_dir / ".env").write_text("VEDETTA_RESTIC=pinned\n")
    debians()
    serve(bz2.compress(SCRIPT.format("9.9.9").encode()))
    monkeypatch.setitem(restic.SOURCES, "Debian's unstable suite", not_asked)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    with pytest.raises(SetupError, match=r"takes upstream's restic 0\.19\.1 alone(?s:.*)checksum"):
        restic.install()

    release = bz2.compress(SCRIPT.format("0.19.1").encode())
    monkeypatch.setitem(restic.UPSTREAM_SHA256, "amd64", hashlib.sha256(release).hexdigest())
    serve(release)
    restic.install()
    serve(b"not asked again")
    restic.install()
    assert json.loads((bin_dir / RECORD).read_text())["source"] == "upstream"


def test_a_wish_that_is_none_is_refused_and_not_passed_over(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEDETTA_RESTIC", "Pinned")
    with pytest.raises(SetupError, match="VEDETTA_RESTIC is 'Pinned', but must be any or pinned"):
        restic.install()


def test_every_source_failing_is_told_with_the_reasons(
    bin_dir: Path, serve: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_address() -> NoReturn:
        raise urllib.error.URLError("no address")

    serve(b"something else")
    monkeypatch.setitem(restic.SOURCES, "Debian's unstable suite", no_address)

    with pytest.raises(SetupError, match=r"0\.18\.1 or newer(?s:.*)checksum(?s:.*)no address"):
        restic.install()
    assert list(bin_dir.iterdir()) == []
