"""Only a restic that is new enough, and only the release that was pinned, is accepted."""

from __future__ import annotations

import bz2
import hashlib
import io
import platform
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tools import restic
from tools.shell import SetupError

SCRIPT = "#!/bin/sh\necho 'restic {} compiled with go1.26 on linux/amd64'\n"


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without restic; what is installed goes into this folder."""
    monkeypatch.setattr(restic, "PROGRAM", tmp_path / "restic")
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

    assert [path.name for path in bin_dir.iterdir()] == ["restic"]
    assert restic.is_good(str(bin_dir / "restic"))


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
