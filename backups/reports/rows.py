"""Rows of very many databases, in a few queries: which are the newest of each, and those by their keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import F, OuterRef, QuerySet, Subquery

from backups.choices import TERMINAL, Action, Status
from backups.models import Database, Repository, Run, Snapshot, Verification
from backups.snapshots.selection import CLOCKS_DIFFER

FAILED = (Status.FAILED, Status.LOST)
# SQLite takes 32,766 values in a question. Django's own in_bulk asks again after 999.
_MOST_VALUES = 30_000
Row = TypeVar("Row")


def by_key(rows: QuerySet[Any, Row], keys: Iterable[int | None]) -> dict[int, Row]:
    """Rows, or named values of them and `pk`, by their keys; in one query also for thousands of databases."""
    wanted = sorted({key for key in keys if key})
    portions = (wanted[start : start + _MOST_VALUES] for start in range(0, len(wanted), _MOST_VALUES))
    # In no order: to have one, SQLite would rather read all of the history by its index.
    found: list[Any] = [row for portion in portions for row in rows.filter(pk__in=portion).order_by()]
    return {row.pk: row for row in found}


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
    proofs = Verification.objects.filter(snapshot__database=OuterRef("pk")).order_by("-finished_at", "-pk")
    newest = {f"newest_{status}": first(backups.filter(status=status)) for status in TERMINAL}
    newest |= {
        f"verify_{status}": first(verifies.filter(status=status, verification=None)) for status in FAILED
    }
    shown = Database.objects.in_service() if rows is None else rows
    databases = shown.select_related("server").order_by("-is_primary", "name")
    return databases.annotate(
        **newest,
        newest_snapshot=first(held.newest_first()),
        newest_proved=first(held.verified().newest_first()),
        newest_proof=Subquery(proofs.values("run")[:1]),
        not_known_bad=first(held.not_known_bad()),
        first_run_at=Subquery(oldest.values("queued_at")[:1]),
        # Of those whose log is archived: a join, so that of the others no more is asked.
        log_state=F("log_archive__state"),
        log_stored_until=F("log_archive__stored_until"),
    )


def newest_good_backup() -> Subquery:
    """The key of the newest run that backed up, for each database."""
    good = Run.objects.filter(database=OuterRef("pk"), action=Action.BACKUP, status=Status.SUCCEEDED)
    return first(good.order_by("-finished_at"))


def share(databases: Iterable[Any], repositories: Iterable[Repository]) -> None:
    """Give databases their repositories: one object for all that have the same."""
    by_pk = {each.pk: each for each in repositories}
    for database in databases:
        # What was made just now is read by itself.
        if database.repository_id in by_pk:
            database.repository = by_pk[database.repository_id]


def first(rows: QuerySet[Any]) -> Subquery:
    """The key of the first of them, for each row of another query."""
    return Subquery(rows.values("pk")[:1])
