"""A repository in a folder: whether its files are ours, and whether a snapshot's lies there whole.

A run by another user leaves some that are not.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from backups.restic.access import Access
from backups.restic.lately import was_opened
from backups.restic.storage_errors import not_ours

# Which are read whole by nearly every command, in the order in which they are named.
_READ = ("keys", "snapshots", "index", "locks")
_MOST = 50_000
# A snapshot's file holds its time, tags and paths, encrypted: some hundred bytes.
_MOST_OF_A_SNAPSHOT = 1 << 20
_TICK_FILES = 500
_ID = re.compile(r"[0-9a-f]{64}")


def holds_snapshot(access: Access, snapshot_id: str) -> bool | None:
    """Whether the snapshot's file lies in the folder byte for byte; None where there is none to be read.

    restic names each file by the SHA-256 of what is in it
    (https://restic.readthedocs.io/en/stable/100_references.html#repository-layout). Its own list goes by the
    name alone and takes the rest from its cache. Where the repository does not look as it did when it was
    opened, for it was deleted meanwhile, a file in its folder says nothing.
    """
    if not access.folder or not _ID.fullmatch(snapshot_id) or not was_opened(access):
        return None
    place = Path(access.folder)
    try:
        if not any((place / "keys").iterdir()):
            return None
        with (place / "snapshots" / snapshot_id).open("rb") as file:
            content = file.read(_MOST_OF_A_SNAPSHOT)
    except OSError:
        return None
    return hashlib.sha256(content).hexdigest() == snapshot_id


def held_in_folder(access: Access, tick: Callable[[], object]) -> frozenset[str] | None:
    """The ids of all snapshots, where each one's file lies in the folder byte for byte; see `holds_snapshot`.

    None where one does not, where anything else lies beside them, and where there is no folder to be read.
    """
    if not access.folder or not was_opened(access):
        return None
    place = Path(access.folder)
    found = set()
    try:
        if not any((place / "keys").iterdir()):
            return None
        for path in (place / "snapshots").iterdir():
            with path.open("rb") as file:
                content = file.read(_MOST_OF_A_SNAPSHOT)
            if hashlib.sha256(content).hexdigest() != path.name:
                return None
            found.add(path.name)
            if len(found) % _TICK_FILES == 0:
                tick()
    except OSError:
        return None
    return frozenset(found)


@dataclass(frozen=True)
class Disk:
    """The disk on which a folder lies, in bytes: what of it our user may still write, and all of it."""

    free_bytes: int
    bytes: int


def disk_of(folder: str) -> Disk | None:
    """The disk of a folder; None where there is no such folder, or it cannot be asked."""
    try:
        found = os.statvfs(folder)
    except (OSError, ValueError):
        return None
    return Disk(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def refuse_others_files(access: Access, doing: str, *, packs: bool = False) -> None:
    """Raise NotPermitted for the first file or folder that our user may not read or write.

    Of the many packs only with `packs`; what is not there yet, or no folder, is left to restic.
    """
    if not access.folder:
        return
    # It comes before nearly every restic, and a folder of packs alone holds 256 others: no objects for them.
    for path, wanted in islice(_wanted(str(Path(access.folder)), packs=packs), _MOST):
        if not os.access(path, wanted, effective_ids=True) and os.path.exists(path):  # noqa: PTH110
            raise not_ours(path, access, doing)


def _wanted(place: str, *, packs: bool) -> Iterator[tuple[str, int]]:
    """What is there, and what has to be allowed."""
    yield place, os.R_OK | os.X_OK
    yield f"{place}/config", os.R_OK
    for name in _READ:
        yield from _folder(f"{place}/{name}")
    yield f"{place}/data", os.R_OK | os.W_OK | os.X_OK
    for folder in _entries(f"{place}/data"):
        if packs:
            yield from _folder(folder)
        else:
            yield folder, os.R_OK | os.W_OK | os.X_OK


def _folder(folder: str) -> Iterator[tuple[str, int]]:
    yield folder, os.R_OK | os.W_OK | os.X_OK
    yield from ((path, os.R_OK) for path in _entries(folder))


def _entries(folder: str) -> Iterator[str]:
    """What lies in a folder; nothing where it cannot be read, which is told of the folder itself."""
    try:
        with os.scandir(folder) as found:
            yield from (entry.path for entry in found)
    except OSError:
        return
