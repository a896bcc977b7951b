"""A repository in a folder: whether its files are ours, as a run by another user leaves some that are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from backups.restic.access import Access
from backups.restic.storage_errors import not_ours

# Which are read whole by nearly every command, in the order in which they are named.
_READ = ("keys", "snapshots", "index", "locks")
_MOST = 50_000


def refuse_others_files(access: Access, doing: str, *, packs: bool = False) -> None:
    """Raise NotPermitted for the first file or folder that our user may not read or write.

    Of the many packs only with `packs`; what is not there yet, or no folder, is left to restic.
    """
    if not access.folder:
        return
    place = Path(access.folder)
    for path, wanted in islice(_wanted(place, packs=packs), _MOST):
        if path.exists() and not os.access(path, wanted, effective_ids=True):
            raise not_ours(str(path), access, doing)


def _wanted(place: Path, *, packs: bool) -> Iterator[tuple[Path, int]]:
    """What is there, and what has to be allowed."""
    yield place, os.R_OK | os.X_OK
    yield place / "config", os.R_OK
    for name in _READ:
        yield from _folder(place / name)
    yield place / "data", os.R_OK | os.W_OK | os.X_OK
    for folder in _entries(place / "data"):
        if packs:
            yield from _folder(folder)
        else:
            yield folder, os.R_OK | os.W_OK | os.X_OK


def _folder(folder: Path) -> Iterator[tuple[Path, int]]:
    yield folder, os.R_OK | os.W_OK | os.X_OK
    yield from ((path, os.R_OK) for path in _entries(folder))


def _entries(folder: Path) -> Iterator[Path]:
    """What lies in a folder; nothing where it cannot be read, which is told of the folder itself."""
    try:
        with os.scandir(folder) as found:
            yield from (Path(entry.path) for entry in found)
    except OSError:
        return
