"""The status folder for who looks every few seconds: what lies there as it did is not read again.

The gate itself reads all of it each time. Of thousands of databases that takes most of a page's time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import DatabaseFiles
from sentinel.observe import Files, Source

# A file that was written so lately may be written once more and look the same: clocks of disks are coarse.
_SETTLED_NS = 2_000_000_000


class _State(NamedTuple):
    """What tells that a file is as it was. None could set back when it was changed last (`ctime_ns`)."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def is_settled(self) -> bool:
        """Whether it would look otherwise after the next change."""
        return 0 <= self.ctime_ns < time.time_ns() - _SETTLED_NS


_ABSENT = _State(0, 0, 0, 0, 0)


def _state(path: Path) -> _State | None:
    """None where that cannot be told."""
    try:
        found = path.stat()
    except FileNotFoundError:
        # A link that leads nowhere is something else than nothing.
        return None if path.is_symlink() else _ABSENT
    except (OSError, ValueError):
        return None
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def look(settings: GateSettings) -> object | None:
    """How the folder looks, the files of the first database and the list of those that gate.

    Another look follows each of their changes, for all but files of further databases. None where that
    is not sure: something was changed just now, or cannot be looked at.
    """
    path = settings.heartbeat_path
    beside = heartbeat.verified_beside(path), heartbeat.logged_beside(path), heartbeat.gates_path(path)
    states = [_state(each) for each in (path.parent, path, *beside)]
    return (path, *states) if all(each is not None and each.is_settled for each in states) else None


class _Seen(NamedTuple):
    """The files of one database, where they lie, and how they looked before they were read."""

    source: Source
    paths: tuple[Path, ...]
    states: tuple[_State | None, ...]
    files: DatabaseFiles


class Kept(Files):
    """Reads again what does not look as it did. Of one process; several threads may share it."""

    def __init__(self) -> None:
        self._listed: tuple[object, tuple[Source, ...]] | None = None
        self._seen: dict[Path, _Seen] = {}

    def sources(self, settings: GateSettings, database: str | None) -> tuple[Source, ...]:
        """Raises GatesError."""
        state = _state(heartbeat.gates_path(settings.heartbeat_path))
        of = (settings.heartbeat_path, settings.database, database, state)
        listed = self._listed
        if listed is not None and listed[0] == of:
            return listed[1]
        # What was read is of a source that may be listed otherwise now.
        self._seen, self._listed = {}, None
        found = super().sources(settings, database)
        if state is not None and state.is_settled:
            self._listed = of, found
        return found

    def of(self, source: Source, *, verified: bool) -> DatabaseFiles:
        """With the newest proved backup in any case."""
        seen = self._seen.get(source.path)
        # Another thread may still go by an older list.
        paths = seen.paths if seen is not None and seen.source == source else _paths(source)
        states = tuple(_state(each) for each in paths)
        if seen is not None and (seen.source, seen.states) == (source, states):
            return seen.files
        files = super().of(source, verified=True)
        if all(each is not None and each.is_settled for each in states):
            self._seen[source.path] = _Seen(source, paths, states, files)
        return files


def _paths(source: Source) -> tuple[Path, ...]:
    """The files of one database that count."""
    logged = (heartbeat.logged_beside(source.path),) if source.is_logged else ()
    return (source.path, heartbeat.verified_beside(source.path), *logged)
