"""Rows of very many databases, in a few queries: which are the newest of each, and those by their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import BooleanField, F, Func, OuterRef, QuerySet, Subquery
from django.db.models.base import ModelState

from backups.choices import TEST_RESTORES, Action, Status
from backups.models import Database, Repository, Run, Server, Snapshot, Verification
from backups.models.as_stored import as_stored
from backups.snapshots.selection import CLOCKS_DIFFER

FAILED = (Status.FAILED, Status.LOST)
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
    # One that a wrong clock put into the future would be young for as long.
    held = (
        Snapshot.objects.trusted()
        .meant()
        .present()
        .filter(database=OuterRef("pk"), time__lte=now + CLOCKS_DIFFER)
    )
    proofs = proofs_of(OuterRef("pk")).order_by("-finished_at", "-pk")
    ended = (Status.SUCCEEDED, *FAILED)
    newest = {f"newest_{status}": first(backups.filter(status=status)) for status in ended}
    newest |= {
        f"verify_{status}": first(verifies.filter(status=status, verification=None)) for status in FAILED
    }
    shown = Database.objects.in_service() if rows is None else rows
    return shown.order_by("-is_primary", "name").annotate(
        **newest,
        newest_snapshot=first(held.newest_first()),
        newest_proved=first(held.verified().newest_first()),
        newest_proof=Subquery(proofs.values("run")[:1]),
        not_known_bad=first(held.not_known_bad()),
        # As the database has it: of thousands of databases, a few are asked for it.
        first_run_at=Subquery(oldest.values(at=as_stored("queued_at"))[:1]),
        # Of those whose log is archived: a join, so that of the others no more is asked.
        log_state=F("log_archive__state"),
        log_stored_until=F("log_archive__stored_until"),
    )


def made(databases: QuerySet[Database]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each of these as a row, and its values, by which it is the same as another that was read before.

    As unpickling makes rows: for thousands, to look at each column on the way takes most of the time.
    """
    names = [field.attname for field in Database._meta.concrete_fields]
    names += databases.query.annotations
    for values in databases.values_list(*names):
        row = Database.__new__(Database)
        row._state = ModelState()
        row._state.adding, row._state.db = False, databases.db
        row.__dict__.update(zip(names, values, strict=True))
        yield row, values


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
