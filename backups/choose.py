"""Which snapshot is meant: the latest, one by its id, or the newest not after a time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from backups.errors import Problem
from backups.models import Database, Snapshot, SnapshotQuerySet

# As far as two machines' clocks may differ.
CLOCKS_DIFFER = timedelta(minutes=1)
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def newest(database: Database) -> Snapshot | None:
    """The newest snapshot there is, None without any.

    One that holds suspiciously little only where there is no other: who restores wants the tables.
    """
    return newest_of(_present(database).trusted()) or newest_of(_present(database))


def newest_of(snapshots: QuerySet[Snapshot]) -> Snapshot | None:
    """The newest of these; one that a wrong clock put into the future only where there is no other."""
    return snapshots.filter(time__lte=timezone.now() + CLOCKS_DIFFER).first() or snapshots.first()


def snapshot_named(database: Database, text: str) -> Snapshot:
    """The snapshot that `latest`, an id or the beginning of one means. Raises Problem."""
    if text == "latest":
        latest = newest(database)
        if latest is None:
            raise _none(database)
        return latest
    if not re.fullmatch(r"[0-9a-f]{4,64}", text):
        raise Problem(
            f"{text!r} is no snapshot.", do="Give latest, or at least four digits of its id (0-9, a-f)."
        )
    found = list(_present(database).filter(snapshot_id__startswith=text)[:2])
    if not found:
        raise Problem(f"{database} has no snapshot {text}.", do="List them with `manage.py snapshots`.")
    if len(found) > 1:
        raise Problem(f"Several snapshots begin with {text}.", do="Give more digits of the id.")
    return found[0]


def snapshot_at(database: Database, time: datetime) -> Snapshot:
    """The newest snapshot not after `time`. Raises Problem, naming the oldest there is."""
    # Beyond these no time zone can be told, and nothing was backed up.
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise Problem(f"There is no snapshot from the year {time.year}.", do="Give another time.")
    present = _present(database)
    found = present.filter(time__lte=time).first()
    if found is not None:
        return found
    oldest = present.order_by("time").first()
    if oldest is None:
        raise _none(database)
    raise Problem(
        f"There is no snapshot of {database} from {_local(time)} or before.",
        do=f"The oldest is {oldest.short_id} from {_local(oldest.time)}.",
    )


def _present(database: Database) -> SnapshotQuerySet:
    return Snapshot.objects.filter(database=database, forgotten_at=None)


def _none(database: Database) -> Problem:
    return Problem(
        f"There is no snapshot of {database} yet.",
        do="Back it up first, or bring the list from the repository with `manage.py snapshots`.",
    )


def _local(time: datetime) -> str:
    return f"{timezone.localtime(time):%Y-%m-%d %H:%M:%S}"
