"""A restic that is new enough, beside the Python that uses it: `.venv/bin/restic`."""

from __future__ import annotations

import bz2
import hashlib
import os
import platform
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tools import apt
from tools.shell import VENV, SetupError, output_of, say

MINIMUM = (0, 18, 1)
PROGRAM = VENV / "bin" / "restic"
UPSTREAM_VERSION = "0.19.1"
UPSTREAM_URL = (
    "https://github.com/restic/restic/releases/download/v{version}/restic_{version}_linux_{arch}.bz2"
)
# From the SHA256SUMS of the release.
UPSTREAM_SHA256 = {
    "amd64": "f415415624dcc452f2a02b8c33641791a8c6d6d3b65bbb3543fcf9a25151585c",
    "arm64": "a5f64aaab53d51e311fa3829124c5b703f2d14cf187d8640b6be3b2b49376465",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CONNECT_SECONDS = 5


def install() -> None:
    """Make sure that a restic of at least MINIMUM is on PATH or in `.venv`."""
    if is_good(str(PROGRAM)) or is_good(shutil.which("restic")):
        return
    reasons = []
    for name, fetch in SOURCES.items():
        say(f"getting restic from {name}")
        try:
            fetch()
        except (OSError, SetupError) as error:
            reasons.append(f"{name}: {error}")
        else:
            return
    raise SetupError(
        f"restic {_dotted(MINIMUM)} or newer is missing, so please put one on PATH and try again.\n"
        + "\n".join(f"  {reason}" for reason in reasons)
    )


def is_good(program: str | None) -> bool:
    """Whether this program is a restic that Vedetta can use."""
    text = output_of([program, "version"]) if program else None
    found = re.match(r"restic (\d+)\.(\d+)\.(\d+)", text or "")
    return found is not None and tuple(map(int, found.groups())) >= MINIMUM


def _from_upstream() -> None:
    """Upstream's release, accepted only by its known checksum."""
    arch = ARCHITECTURES.get(platform.machine(), "")
    if arch not in UPSTREAM_SHA256 or platform.system() != "Linux":
        raise SetupError(f"no release is pinned for {platform.system()} on {platform.machine()}.")
    url = UPSTREAM_URL.format(version=UPSTREAM_VERSION, arch=arch)
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as response:  # noqa: S310 -- https
        packed = response.read()
    if hashlib.sha256(packed).hexdigest() != UPSTREAM_SHA256[arch]:
        raise SetupError("the download does not have the checksum of the release.")
    _put(bz2.decompress(packed))


def _from_debian() -> None:
    """Debian's newest package, which needs nothing but the C library."""
    with apt.unstable("restic") as suite:
        suite.unpack("restic", suite.folder / "restic")
        _put((suite.folder / "restic" / "usr" / "bin" / "restic").read_bytes())


SOURCES: dict[str, Callable[[], None]] = {
    "its upstream release": _from_upstream,
    "Debian's unstable suite": _from_debian,
}


def _put(content: bytes) -> None:
    """Put the program in its place in one step, once it is known to work here."""
    handle, name = tempfile.mkstemp(dir=PROGRAM.parent, prefix="restic.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o755)
        if not is_good(name):
            raise SetupError(f"the program does not run here as restic {_dotted(MINIMUM)} or newer.")
        Path(name).replace(PROGRAM)
    finally:
        Path(name).unlink(missing_ok=True)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
