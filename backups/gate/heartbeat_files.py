"""What writes the heartbeat, and the other files that the gate reads. How is in `sentinel.heartbeat`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from backups import marks
from backups.errors import Problem
from backups.models import Database, DatabaseQuerySet, Snapshot
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
        for path_of in (heartbeat.last_ok_path, heartbeat.last_verified_path):
            ends = (path_of(main, None), path_of(main, name))
            source, to = ends if from_first else reversed(ends)
            if source.exists():
                to.parent.mkdir(exist_ok=True)
                to.parent.chmod(0o755)  # whatever the umask: the gate may run as another user
                source.replace(to)
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
    first database alone, which may be fresh. Where this process wrote the list and nothing was changed since,
    it is not made anew: each backup of thousands of databases asks for it.
    """
    there = _look_of_the_list()
    look = f"{marks.version(_OF_THE_LIST)} {there}"
    if not there or _has_a_backup_by_now(_WAITING.get(look, _write_gates)):
        _write_gates()


# What the list depends on, but for which databases have a backup: that is asked for.
_OF_THE_LIST = frozenset({"backups_database", "backups_standdown"})
_WAITING = marks.Kept[list[int]]()
# Of more it is as well made anew.
_MOST_WAITING = 500


def _write_gates() -> list[int]:
    """Answers which will gate from their first backup on, by their keys."""
    path = settings.SENTINEL.heartbeat_path
    try:
        with heartbeat.gates_held(path):
            waiting = Database.objects.filter(~_HAS_BACKUP, gates_app=True, is_primary=False)
            keys = list(waiting.order_by().values_list("pk", flat=True))
            heartbeat.gates_write(path, _listed(path))
    except TimeoutError as error:
        raise _held() from error
    except OSError as error:
        raise _unwritable(error) from error
    return keys


def _has_a_backup_by_now(waiting: Sequence[int]) -> bool:
    if len(waiting) > _MOST_WAITING:
        return True
    return bool(waiting) and Snapshot.objects.filter(database__in=waiting).exists()


def _look_of_the_list() -> str:
    """What tells that nobody else has put another one into its place."""
    path = heartbeat.gates_path(settings.SENTINEL.heartbeat_path)
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _listed(path: Path) -> list[heartbeat.Gate]:
    fields = ("name", "is_primary", "heartbeat_threshold")
    listed = gating().in_service().values_list(*fields) or gating().values_list(*fields)
    return [
        heartbeat.gate_for(path, name, first=is_primary, threshold_seconds=threshold)
        for name, is_primary, threshold in listed
    ]


def _held() -> Problem:
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
