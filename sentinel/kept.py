"""The status folder for who looks every few seconds: what lies there as it did is not read again.

The gate itself reads all of it each time. Of thousands of databases that takes most of a page's time.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import DatabaseFiles
from sentinel.observe import Files, Source

# A file that was written so lately may be written once more and look the same: clocks of disks are coarse.
_SETTLED_NS = 2_000_000_000


# Device, inode, size, when it was changed, and when that was noted: which none could set back.
_State = tuple[int, int, int, int, int]
_ABSENT: _State = (0, 0, 0, 0, 0)


def _is_settled(state: _State | None) -> bool:
    """Whether what a state tells of would look otherwise after the next change."""
    return state is not None and 0 <= state[-1] < time.time_ns() - _SETTLED_NS


def _state(path: str) -> _State | None:
    """None where that cannot be told. Of thousands of files: the system is asked once for each."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return _ABSENT
    except (OSError, ValueError):
        return None
    if stat.S_ISLNK(found.st_mode):
        try:
            found = Path(path).stat()
        # A link that leads nowhere is something else than nothing.
        except (OSError, ValueError):
            return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def look(settings: GateSettings) -> object | None:
    """How the folder looks, the files of the first database and the list of those that gate.

    Another look follows each of their changes, for all but files of further databases. None where that
    is not sure: something was changed just now, or cannot be looked at.
    """
    path = settings.heartbeat_path
    beside = heartbeat.verified_beside(path), heartbeat.logged_beside(path), heartbeat.gates_path(path)
    states = [_state(str(each)) for each in (path.parent, path, *beside)]
    return (path, *states) if all(map(_is_settled, states)) else None


class _Seen(NamedTuple):
    """The files of one database, where they lie, and how they looked before they were read."""

    source: Source
    paths: tuple[str, ...]
    states: tuple[_State | None, ...]
    files: DatabaseFiles


class Kept(Files):
    """Reads again what does not look as it did. Of one process; several threads may share it."""

    def __init__(self) -> None:
        self._listed: tuple[object, tuple[Source, ...]] | None = None
        self._seen: dict[Path, _Seen] = {}

    def sources(self, settings: GateSettings, database: str | None) -> tuple[Source, ...]:
        """Raises GatesError."""
        state = _state(str(heartbeat.gates_path(settings.heartbeat_path)))
        of = (settings.heartbeat_path, settings.database, database, state)
        listed = self._listed
        if listed is not None and listed[0] == of:
            return listed[1]
        # What was read is of a source that may be listed otherwise now.
        self._seen, self._listed = {}, None
        found = super().sources(settings, database)
        if _is_settled(state):
            self._listed = of, found
        return found

    def of(self, source: Source, *, verified: bool) -> DatabaseFiles:
        """With the newest proved backup in any case."""
        seen = self._seen.get(source.path)
        # Another thread may still go by an older list.
        paths = seen.paths if seen is not None and seen.source == source else _paths(source)
        states = tuple(map(_state, paths))
        if seen is not None and seen.states == states and seen.source == source:
            return seen.files
        files = super().of(source, verified=True)
        if all(map(_is_settled, states)):
            self._seen[source.path] = _Seen(source, paths, states, files)
        return files


def _paths(source: Source) -> tuple[str, ...]:
    """The files of one database that count."""
    logged = (heartbeat.logged_beside(source.path),) if source.is_logged else ()
    return (*map(str, (source.path, heartbeat.verified_beside(source.path), *logged)),)
