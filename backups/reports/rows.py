"""Rows of very many databases, in a few queries: which are the newest of each, and those by their keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS
from django.db.models import (
    BooleanField,
    DateTimeField,
    Exists,
    F,
    Field,
    Func,
    JSONField,
    OuterRef,
    QuerySet,
    Subquery,
)
from django.db.models.base import ModelState

from backups.choices import TEST_RESTORES, Action, Status
from backups.models import Database, Repository, Run, Server, Snapshot, Verification
from backups.models.as_stored import as_stored, moment
from backups.models.snapshot import SnapshotQuerySet
from backups.snapshots.selection import CLOCKS_DIFFER

FAILED = (Status.FAILED, Status.LOST)
ENDED = (Status.SUCCEEDED, *FAILED)
# What `databases_with_newest` tells of a database beside its row: keys of runs and of snapshots, and others.
NEWEST_RUNS = (*(f"{of}_{status}" for of in ("newest", "verify") for status in ENDED), "newest_proof")
NEWEST_SNAPSHOTS = ("newest_snapshot", "newest_proved")
_NEWEST = (
    *NEWEST_RUNS, *NEWEST_SNAPSHOTS, "first_run_at", "log_state", "log_stored_until"
)  # fmt: skip
# SQLite takes 32,766 values in a question. Django's own in_bulk asks again after 999.
_MOST_VALUES = 30_000
Row = TypeVar("Row")


def by_key(
    rows: QuerySet[Any, Any], keys: Iterable[int | None], make: Callable[[Any], Row]
) -> dict[int, Row]:
    """What `make` makes of rows' values, by the first of these, their keys.

    In one query also for thousands of databases.
    """
    wanted = sorted({key for key in keys if key})
    portions = (wanted[start : start + _MOST_VALUES] for start in range(0, len(wanted), _MOST_VALUES))
    # In no order: to have one, SQLite would rather read all of the history by its index.
    return {
        values[0]: make(values) for portion in portions for values in rows.filter(_among(portion)).order_by()
    }


def _among(keys: Iterable[int]) -> Func:
    """That a row has one of these numbers as its key: to pass thousands by one takes as long as to read."""
    numbers = ",".join(str(int(key)) for key in keys)
    return Func(F("pk"), template="%(expressions)s IN (%(keys)s)", keys=numbers, output_field=BooleanField())


def databases_with_newest(now: datetime, rows: QuerySet[Database] | None = None) -> QuerySet[Database]:
    """Databases with the keys of their newest runs and snapshots, found through the indexes.

    Of the newest verification it is that of the run that made it.

    Without `rows` all that are in service.
    """
    mine = Run.objects.filter(database=OuterRef("pk")).order_by("-finished_at")
    oldest = mine.order_by("queued_at", "pk")
    backups, verifies = mine.filter(action=Action.BACKUP), mine.filter(action=Action.VERIFY)
    held = _held(now)
    proofs = proofs_of(OuterRef("pk")).order_by("-finished_at", "-pk")
    newest = {f"newest_{status}": first(backups.filter(status=status)) for status in ENDED}
    newest |= {
        f"verify_{status}": first(verifies.filter(status=status, verification=None)) for status in FAILED
    }
    newest[f"verify_{Status.SUCCEEDED}"] = first(verifies.filter(status=Status.SUCCEEDED))
    shown = Database.objects.in_service() if rows is None else rows
    return shown.order_by("-is_primary", "name").annotate(
        **newest,
        newest_snapshot=first(held.newest_first()),
        newest_proved=first(held.verified().newest_first()),
        newest_proof=Subquery(proofs.values("run")[:1]),
        # As the database has it: of thousands of databases, a few are asked for it.
        first_run_at=Subquery(oldest.values(at=as_stored("queued_at"))[:1]),
        # Of those whose log is archived: a join, so that of the others no more is asked.
        log_state=F("log_archive__state"),
        log_stored_until=F("log_archive__stored_until"),
    )


def _held(now: datetime) -> SnapshotQuerySet:
    """Those of a database that count as backups."""
    held = Snapshot.objects.trusted().meant().present().filter(database=OuterRef("pk"))
    # One that a wrong clock put into the future would be young for as long.
    return held.filter(time__lte=now + CLOCKS_DIFFER)


def with_one_not_bad(now: datetime, databases: Iterable[int]) -> set[int]:
    """The keys of those of them of which a snapshot counts as a backup that is not known to be bad."""
    some = Database.objects.filter(pk__in=databases).filter(Exists(_held(now).not_known_bad()))
    return set(some.order_by().values_list("pk", flat=True))


def values_of(databases: QuerySet[Database]) -> list[tuple[Any, ...]]:
    """Of each of `databases_with_newest` what was read, as the database has it: see `row_of`."""
    # The first one comes first here: rows as wide as these are in the order of names by their index.
    values = list(databases.order_by("name").values_list(*_COLUMNS))
    return sorted(values, key=itemgetter(_IS_PRIMARY), reverse=True)


def row_of(values: Iterable[Any]) -> Any:
    """The row of these values, with the keys of its newest runs and snapshots.

    As unpickling makes rows: for thousands, to look at each column on the way takes most of the time.
    """
    row = Database.__new__(Database)
    row._state = ModelState()
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    row.__dict__.update(zip(COLUMNS, values, strict=True))
    for name, convert in _CONVERTED.items():
        row.__dict__[name] = convert(row.__dict__[name])
    return row


def _json(stored: Any) -> Any:
    return json.loads(stored) if isinstance(stored, str) else stored


# What of a column is to be made that is read as it is stored. Most rows are found as they were: then nothing.
_KINDS: Mapping[type[Field[Any, Any]], Callable[[Any], Any]] = {
    JSONField: _json, DateTimeField: moment, BooleanField: bool,
}  # fmt: skip
_FIELDS = Database._meta.concrete_fields
_CONVERTED = {
    **{each.attname: make for each in _FIELDS for kind, make in _KINDS.items() if isinstance(each, kind)},
    "log_stored_until": moment,
}
COLUMNS = (*(each.attname for each in _FIELDS), *_NEWEST)
_IS_PRIMARY = COLUMNS.index("is_primary")
_COLUMNS = [as_stored(name) if name in _CONVERTED else name for name in COLUMNS]


def proofs_of(database: OuterRef) -> QuerySet[Verification]:
    """What verifications of a database found, in any order.

    By the runs that made them, as an index has them: to look for those of each snapshot takes far longer.
    """
    return Verification.objects.filter(run__database=database, run__action__in=TEST_RESTORES)


def newest_good_backup() -> Subquery:
    """The key of the newest run that backed up, for each database."""
    good = Run.objects.filter(database=OuterRef("pk"), action=Action.BACKUP, status=Status.SUCCEEDED)
    return first(good.order_by("-finished_at"))


def share(
    databases: Iterable[Any], repositories: Iterable[Repository], servers: Mapping[int, Server]
) -> None:
    """Give databases their repositories and servers: one object for all that have the same."""
    by_pk = {each.pk: each for each in repositories}
    for database in databases:
        # What was made just now is read by itself. To set them as others do takes ten times as long.
        kept = database._state.fields_cache
        if database.repository_id in by_pk:
            kept["repository"] = by_pk[database.repository_id]
        if database.server_id in servers:
            kept["server"] = servers[database.server_id]


def first(rows: QuerySet[Any]) -> Subquery:
    """The key of the first of them, for each row of another query."""
    return Subquery(rows.values("pk")[:1])
