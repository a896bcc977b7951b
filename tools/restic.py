"""A restic that is new enough, beside the Python that uses it: `.venv/bin/restic`.

What is put there is written down beside it, for the sentences that name its origin: see
backups/restic/origin.py, which reads it.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from sentinel import env_file
from tools import apt
from tools.shell import ROOT, VENV, SetupError, output_of, say

MINIMUM = (0, 18, 1)
PROGRAM = VENV / "bin" / "restic"
RECORD = PROGRAM.with_name("restic.origin.json")
PINNED = json.loads((ROOT / "backups" / "restic" / "pinned.json").read_text())
UPSTREAM_VERSION: str = PINNED["version"]
UPSTREAM_URL = (
    "https://github.com/restic/restic/releases/download/v{version}/restic_{version}_linux_{arch}.bz2"
)
# From the SHA256SUMS of the release.
UPSTREAM_SHA256: dict[str, str] = PINNED["archives"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CONNECT_SECONDS = 5


def install() -> None:
    """Make sure that a restic of at least MINIMUM is on PATH or in `.venv`.

    Where VEDETTA_RESTIC is pinned it has to be upstream's release in `.venv`. Never asks.
    """
    pinned_alone = _wanted() == "pinned"
    if _is_there(pinned_alone):
        return
    sources = {UPSTREAM: SOURCES[UPSTREAM]} if pinned_alone else SOURCES
    reasons = []
    for name, fetch in sources.items():
        say(f"getting restic from {name}")
        try:
            fetch()
        except (OSError, SetupError) as error:
            reasons.append(f"{name}: {error}")
        else:
            return
    _give_up(reasons, pinned_alone)


def _is_there(pinned_alone: bool) -> bool:
    if pinned_alone:
        return is_good(str(PROGRAM)) and _recorded().get("archive_sha256") in UPSTREAM_SHA256.values()
    # One that an earlier set-up put there is got anew, for nobody knows any more where that was from.
    return (is_good(str(PROGRAM)) and bool(_recorded())) or (
        not PROGRAM.exists() and is_good(shutil.which("restic"))
    )


def _give_up(reasons: list[str], pinned_alone: bool) -> None:
    """Raise SetupError, unless an earlier set-up put a good one there, which is then of unknown origin."""
    told = "\n".join(f"  {reason}" for reason in reasons)
    if pinned_alone:
        raise SetupError(
            f"VEDETTA_RESTIC=pinned takes upstream's restic {UPSTREAM_VERSION} alone, which cannot be had "
            f"here. Try again where it can, or take VEDETTA_RESTIC out.\n{told}"
        )
    if is_good(str(PROGRAM)):
        say("the restic that is there stays; where it is from is not known")
        _write_down({"source": "unknown"}, PROGRAM.read_bytes())
        return
    raise SetupError(
        f"restic {_dotted(MINIMUM)} or newer is missing, so please put one on PATH and try again.\n{told}"
    )


def _wanted() -> str:
    """VEDETTA_RESTIC as the portal has it, or empty. Raises SetupError where it is neither any nor pinned."""
    named = _said(os.environ) or _said(_of_env_file())
    if named not in ("", "any", "pinned"):
        raise SetupError(f"VEDETTA_RESTIC is {named!r}, but must be any or pinned.")
    return named


def _said(values: Mapping[str, str]) -> str:
    if named := values.get("VEDETTA_RESTIC", "").strip():
        return named
    file = values.get("VEDETTA_RESTIC_FILE", "").strip()
    return Path(file).read_text().strip() if file else ""


def _of_env_file() -> Mapping[str, str]:
    try:
        return env_file.read(ROOT / ".env").values
    except (env_file.Unreadable, env_file.EnvFileError):
        return {}  # what is wrong with that file is said elsewhere


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
    checksum = hashlib.sha256(packed).hexdigest()
    if checksum != UPSTREAM_SHA256[arch]:
        raise SetupError("the download does not have the checksum of the release.")
    _put(bz2.decompress(packed), {"source": "upstream", "archive_sha256": checksum})


def _from_debian() -> None:
    """Debian's newest package, which needs nothing but the C library."""
    with apt.unstable("restic") as suite:
        suite.unpack("restic", suite.folder / "restic")
        late = {"past_its_date": "yes"} if suite.is_past_its_date else {}
        _put(
            (suite.folder / "restic" / "usr" / "bin" / "restic").read_bytes(),
            {"source": "debian", "package_version": suite.version_of("restic"), **late},
        )


UPSTREAM = "its upstream release"
SOURCES: dict[str, Callable[[], None]] = {
    UPSTREAM: _from_upstream,
    "Debian's unstable suite": _from_debian,
}


def _recorded() -> dict[str, str]:
    """What is written down of the program that is there; nothing where it is another one."""
    try:
        record = json.loads(RECORD.read_text())
        same = record["sha256"] == hashlib.sha256(PROGRAM.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(record) if same else {}


def _write_down(origin: Mapping[str, str], content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    RECORD.write_text(json.dumps({**origin, "sha256": sha256}, indent=2) + "\n")


def _put(content: bytes, origin: Mapping[str, str]) -> None:
    """Put the program in its place in one step, once it is known to work here, with its origin beside it."""
    handle, name = tempfile.mkstemp(dir=PROGRAM.parent, prefix="restic.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o755)
        if not is_good(name):
            raise SetupError(f"the program does not run here as restic {_dotted(MINIMUM)} or newer.")
        Path(name).replace(PROGRAM)
        _write_down(origin, content)
    finally:
        Path(name).unlink(missing_ok=True)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
