"""Where the restic comes from that is used: told by its content, not by its name or place.

Set-up and the image write down what they put there, with the SHA-256 of the program, in RECORD beside it.
Whoever can write there can put another program in its place as well, so that the record takes nobody in
who could not be taken in without it. What has no record is asked of the machine's packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backups import process
from backups.restic.problems import ResticError
from backups.text.sentences import phrase

RECORD = "restic.origin.json"
_PINNED = Path(__file__).with_name("pinned.json")
_UNKNOWN = phrase("of unknown origin")
_LARGEST_RECORD = 10_000
_PACKAGES_SECONDS = 20
_BY_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Origin:
    """`words` go behind "restic 0.19.1, "; the SHA-256 is the program's, empty where it cannot be read."""

    program: str
    words: str
    sha256: str
    is_pinned: bool = False


def pinned_version() -> str:
    """The release of upstream's whose SHA-256 stands in the source."""
    return str(json.loads(_PINNED.read_text())["version"])


def origin(program: str) -> Origin:
    """Where the restic at this path is from. Reads all of it, once for each process."""
    record = _record(Path(program))
    real = record.get("program") or os.path.realpath(program)
    try:
        status = Path(real).stat()
    except OSError:
        return Origin(real, _UNKNOWN, "")
    return _found(real, tuple(sorted(record.items())), (status.st_ino, status.st_size, status.st_mtime_ns))


def refuse_unpinned(program: str) -> None:
    """Raise ResticError for a restic that is neither the pinned release nor of an image by its digest."""
    found = origin(program)
    if not found.is_pinned:
        raise ResticError(
            phrase(
                "restic was not started: {program} is {words}. VEDETTA_RESTIC=pinned takes only "
                "upstream's release {pinned_version}, by its SHA-256.",
                pinned_version=pinned_version(),
                program=found.program,
                words=found.words,
            ),
            code="restic.not_the_pinned",
            do=phrase(
                "Run `make setup` where that release can be fetched (in an image: build it with "
                "RESTIC_IMAGE by digest, see docs/supply-chain.md), or take VEDETTA_RESTIC out of .env."
            ),
        )


def _record(program: Path) -> dict[str, str]:
    """What is written down beside a program; nothing where that is no such record."""
    try:
        with program.with_name(RECORD).open("rb") as file:
            parsed = json.loads(file.read(_LARGEST_RECORD))
    except (OSError, ValueError):
        return {}
    return {str(k): v for k, v in parsed.items() if isinstance(v, str)} if isinstance(parsed, dict) else {}


@lru_cache(maxsize=8)
def _found(program: str, record: tuple[tuple[str, str], ...], _status: tuple[int, ...]) -> Origin:
    """Of a program as it is now: one that was replaced has another status."""
    try:
        with Path(program).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return Origin(program, _UNKNOWN, "")
    known = dict(record)
    if known.get("sha256") == sha256:
        words, is_pinned = _recorded(known)
    elif known:
        words, is_pinned = (
            phrase("{unknown}: not the program that was installed there", unknown=_UNKNOWN),
            False,
        )
    else:
        words, is_pinned = _of_package(program) or _UNKNOWN, False
    return Origin(program, words, sha256, is_pinned)


def _recorded(record: Mapping[str, str]) -> tuple[str, bool]:
    """In words where a program is from that is the recorded one, and whether it is pinned."""
    match record.get("source"):
        case "upstream":
            pinned = json.loads(_PINNED.read_text())["archives"].values()
            if record.get("archive_sha256") in pinned:
                return phrase("upstream's release by its pinned SHA-256"), True
            return phrase("upstream's release, which another Vedetta had pinned"), False
        case "debian":
            late = phrase(" by a list that was past its date") if record.get("past_its_date") else ""
            version = record.get("package_version", "")
            return phrase(
                "Debian's package restic {version}, signed by its archive{late}", version=version, late=late
            ), False
        case "image":
            image = record.get("image", "")
            return phrase("of the image {image}", image=image), bool(_BY_DIGEST.search(image))
    return _UNKNOWN, False


def _of_package(program: str) -> str:
    """The package of the machine's distribution that holds a program; empty where none does."""
    name = _asked("dpkg-query", "--search", program).partition(": ")[0]
    if not name or "," in name:
        return ""
    version, _, vendor = _asked("dpkg-query", "--show", "--showformat=${Version}\n${Origin}", name).partition(
        "\n"
    )
    if program in _asked("dpkg", "--verify", name):
        return phrase(
            "{unknown}: not as the package {name} {version} brought it",
            unknown=_UNKNOWN,
            name=name,
            version=version,
        )
    return phrase(
        "the package {name} {version} of {distribution}",
        name=name,
        version=version,
        distribution=vendor or _distribution(),
    )


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["NAME"]
    except (OSError, KeyError):
        return phrase("this machine's distribution")


def _asked(*command: str) -> str:
    """What a program of dpkg's prints, nothing where it is missing or does not answer in time."""
    try:
        completed = process.run(
            process.Program(command, {**process.base_environment(), "LC_ALL": "C"}),
            deadline=_PACKAGES_SECONDS,
        )
    except (process.NotInstalled, process.DeadlineExceeded, process.SaidTooMuch):
        return ""
    return completed.stdout.decode(errors="replace").strip()
