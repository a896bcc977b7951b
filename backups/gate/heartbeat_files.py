"""What writes the heartbeat, and the other files that the gate reads. How is in `sentinel.heartbeat`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from backups import marks
from backups.choices import ArchiveState
from backups.errors import Problem
from backups.models import Database, DatabaseQuerySet, LogArchive, Snapshot
from backups.snapshots.selection import CLOCKS_DIFFER
from backups.text.sentences import phrase
from sentinel import heartbeat


def folder() -> Path:
    """Where the main heartbeat lies."""
    return Path(settings.SENTINEL.heartbeat_path).parent


def make_sure_writable() -> Path:
    """Make the status folder and prove that files can be written there. Raises Problem."""
    place = folder()
    probe = place / ".preflight"
    try:
        if not place.is_dir():
            place.mkdir(parents=True)
            place.chmod(0o755)  # whatever the umask: the gate may run as another user
        probe.write_bytes(b"ok\n")
        probe.unlink()
    except OSError as error:
        raise _unwritable(error) from error
    return place


def write_last_ok(database: Database, time: datetime) -> Path:
    """Put the time of the newest good backup into the database's heartbeat. Raises Problem."""
    path = heartbeat.last_ok_path(settings.SENTINEL.heartbeat_path, _name(database))
    return _write(path, time)


def move_last_ok(database: Database, time: datetime) -> Path | None:
    """As `write_last_ok`, but only forwards, and never to a time that is yet to come. Raises Problem."""
    path = heartbeat.last_ok_path(settings.SENTINEL.heartbeat_path, _name(database))
    return _moved(path, time)


def move_last_verified(database: Database, time: datetime) -> Path | None:
    """As `move_last_ok`, for the newest proved restore. Raises Problem."""
    path = heartbeat.last_verified_path(settings.SENTINEL.heartbeat_path, _name(database))
    return _moved(path, time)


def _moved(path: Path, time: datetime) -> Path | None:
    there = heartbeat.stamp_read(path).time
    if time > timezone.now() + CLOCKS_DIFFER or (there is not None and there >= time):
        return None
    return _write(path, time)


def write_last_verified(database: Database, time: datetime) -> Path:
    """Put the time of the newest proved restore beside the heartbeat. Raises Problem."""
    path = heartbeat.last_verified_path(settings.SENTINEL.heartbeat_path, _name(database))
    return _write(path, time)


def write_last_logged(archives: Iterable[LogArchive]) -> None:
    """Note up to when binary logs are stored, as rows have it, for the gate to read. Raises Problem.

    As often as anybody likes: what lies there already is not written again. It goes back as well, where it
    was written while the clock was wrong.
    """
    for archive in archives:
        path = heartbeat.last_logged_path(settings.SENTINEL.heartbeat_path, _name(archive.database))
        moment = archive.told_until
        if heartbeat.stamp_read(path).time != moment.replace(microsecond=0):
            _write(path, moment)


def last_logged(database: Database) -> datetime | None:
    """Up to when the gate takes the database's binary log for stored."""
    path = heartbeat.last_logged_path(settings.SENTINEL.heartbeat_path, _name(database))
    return heartbeat.stamp_read(path).time


def last_ok(database: Database) -> datetime | None:
    """What the gate takes for the time of the newest good backup."""
    path = heartbeat.last_ok_path(settings.SENTINEL.heartbeat_path, _name(database))
    return heartbeat.stamp_read(path).time


def last_verified(database: Database) -> datetime | None:
    """What the gate takes for the time of the newest proved backup."""
    path = heartbeat.last_verified_path(settings.SENTINEL.heartbeat_path, _name(database))
    return heartbeat.stamp_read(path).time


def take_last_verified_back(database: Database, time: datetime | None) -> None:
    """Put the time of an older proved backup in its place, or none. Raises Problem."""
    path = heartbeat.last_verified_path(settings.SENTINEL.heartbeat_path, _name(database))
    if time is not None:
        _write(path, time)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(error) from error


def make_further(first: Database) -> None:
    """The first database's times go to where those of further ones lie, as another comes first.

    Else the gate would take them for the other's. Raises Problem.
    """
    _rename(first.name, from_first=True)


def make_first(further: Database) -> None:
    """A further database's times go to where the first one's lie. Raises Problem."""
    _rename(further.name, from_first=False)


def _rename(name: str, *, from_first: bool) -> None:
    main = settings.SENTINEL.heartbeat_path
    try:
        for path_of in (heartbeat.last_ok_path, heartbeat.last_verified_path, heartbeat.last_logged_path):
            ends = (path_of(main, None), path_of(main, name))
            source, to = ends if from_first else reversed(ends)
            if source.exists():
                to.parent.mkdir(exist_ok=True)
                to.parent.chmod(0o755)  # whatever the umask: the gate may run as another user
                source.replace(to)
    except OSError as error:
        raise _unwritable(error) from error


def move_from_our_names() -> None:
    """Move what a further database called `last_logged` had before the gate had a file of that name.

    Raises Problem.
    """
    main = settings.SENTINEL.heartbeat_path
    ours = heartbeat.last_logged_path(main)
    try:
        if ours.is_dir() and not ours.is_symlink():
            ours.rename(heartbeat.last_ok_path(main, ours.name).parent)
    except OSError as error:
        raise _unwritable(error) from error


def gating() -> DatabaseQuerySet:
    """The databases that the gate is to look at, retired ones included.

    One that was added later has no boot grace of its own: it gates from its first backup on.
    """
    found = Database.objects.filter(Q(is_primary=True) | _HAS_BACKUP, gates_app=True).order_by("pk")
    return found.only("name", "is_primary", "heartbeat_threshold")


_HAS_BACKUP = Exists(Snapshot.objects.filter(database=OuterRef("pk")))


def write_gates() -> None:
    """Tell the gate which databases must be fresh, as rows have it that are committed. Raises Problem.

    The rows are read under the lock: of several who write, the last one knows what all of them changed.
    Where all of them are retired, they are looked at as before: of an empty list the gate would look at the
    first database alone, which may be fresh. Each backup of thousands of databases asks for it. So where this
    process wrote the list, only those are read again to whose rows something was written since, and it is
    written anew only where it says something else then.
    """
    there = _look_of_the_list()
    if there and _written == [there, _of_the_list()]:
        return
    path = settings.SENTINEL.heartbeat_path
    try:
        with heartbeat.gates_held(path):
            databases = _of_the_list()
            heartbeat.gates_write(path, _listed(path, databases.values()))
            _written[:] = [_look_of_the_list(), databases]
    except TimeoutError as error:
        raise _held_by_another() from error
    except OSError as error:
        raise _unwritable(error) from error


class _Gating(NamedTuple):
    """What of a database that is to gate the list depends on."""

    pk: int
    name: str
    is_primary: bool
    threshold: int | None
    in_service: bool
    is_logged: bool


class _Read(NamedTuple):
    """Those that gate, by their keys, and of which versions of their groups."""

    groups: Sequence[object]
    databases: Mapping[int, _Gating]


# Of this process: what was read last, and how the list looked that was written last, and what it was made of.
_held: list[_Read] = []
_written: list[object] = []


def _of_the_list() -> Mapping[int, _Gating]:
    versions = marks.Versions()
    known = _held[0] if _held else _Read([None] * marks.GROUPS, {})
    changed = marks.changed(known.groups, versions.groups)
    databases = known.databases
    if changed:
        rows = gating().annotate(
            in_service=Exists(Database.objects.in_service().filter(pk=OuterRef("pk"))), is_logged=_IS_LOGGED
        )
        if len(changed) < marks.GROUPS:
            rows = rows.annotate(group=F("pk") % marks.GROUPS).filter(group__in=changed)
        read = {row[0]: _Gating(*row) for row in rows.values_list(*_COLUMNS)}
        same = {pk: each for pk, each in databases.items() if marks.group_of(pk) not in changed}
        databases = dict(sorted({**same, **read}.items()))
    _held[:] = [_Read(versions.groups, databases)]
    return databases


_COLUMNS = ("pk", "name", "is_primary", "heartbeat_threshold", "in_service", "is_logged")
_IS_LOGGED = Exists(LogArchive.objects.exclude(state=ArchiveState.OFF).filter(database=OuterRef("pk")))


def _look_of_the_list() -> str:
    """What tells that nobody else has put another one into its place."""
    path = heartbeat.gates_path(settings.SENTINEL.heartbeat_path)
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _listed(path: Path, databases: Collection[_Gating]) -> list[heartbeat.Gate]:
    return [_entry(path, each) for each in [each for each in databases if each.in_service] or databases]


def _entry(path: Path, each: _Gating) -> heartbeat.Gate:
    """Nothing more of the log of a retired database is stored, so the gate does not look at that."""
    gate = heartbeat.gate_for(path, each.name, first=each.is_primary, threshold_seconds=each.threshold)
    return replace(gate, is_logged=each.is_logged and each.in_service)


def _held_by_another() -> Problem:
    return Problem(
        phrase("Another process has been writing the list of the databases that gate for too long."),
        code="gate.files_held",
        safe=phrase("The list is as it was."),
        do=phrase("Try again. If it is refused again, restart portal and worker."),
    )


def _name(database: Database) -> str | None:
    return None if database.is_primary else database.name


def _write(path: Path, time: datetime) -> Path:
    try:
        heartbeat.stamp_write(path, time)
    except OSError as error:
        raise _unwritable(error) from error
    return path


def _unwritable(error: OSError) -> Problem:
    return Problem(
        phrase(
            "The gate's files cannot be written to {folder} ({error}).",
            folder=folder(),
            error=error.strerror or error,
        ),
        code="gate.files_not_written",
        do=phrase("Check the folder's owner, mode and free space (SENTINEL_HEARTBEAT_PATH)."),
    )
