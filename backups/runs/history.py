"""What the portal keeps of its own past, and what goes of it: once a night, a little at a time.

Nothing goes that another row still speaks of. So what another version adds to the models keeps what it needs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from backups.choices import (
    RESTORE_ACTIONS,
    SUSPICION_KEPT,
    TERMINAL,
    TEST_RESTORES,
    UNSETTLED,
    Action,
    Status,
    SuspicionState,
)
from backups.models import (
    DownloadTicket,
    ReplayProof,
    Restore,
    Run,
    RunLine,
    Snapshot,
    Suspicion,
    Verification,
)

logger = logging.getLogger(__name__)

# Of runs that succeeded, and of all others.
LINES_OF_GOOD, LINES_OF_OTHERS = timedelta(days=90), timedelta(days=365)
MAINTENANCE = timedelta(days=365)
# What restores and proves, and says later where something came from.
OF_BACKUPS = frozenset({Action.BACKUP, *TEST_RESTORES, *RESTORE_ACTIONS})
# Each portion is a transaction of its own, for whose length nobody else can write in an SQLite file.
_LINES_AT_ONCE, _ROWS_AT_ONCE = 2000, 100
# Of each minute, so that a worker's process is not kept from its runs.
_SECONDS = 3.0
_FROM_HOUR = 2
# A clock that is years ahead is not believed until a run was begun by it.
_CLOCK_AHEAD = timedelta(days=2)


class _Night:
    """On which day this process last found that nothing more is to go."""

    done: date | None = None


def tidy_at_night(now: datetime | None = None) -> int:
    """Remove a portion of what is too old, once it is night; answers how many rows went.

    For whoever comes by every minute: the rest is left for the next time.
    """
    now = now or timezone.now()
    today = timezone.localtime(now)
    # A day that is not the one that was is another one, also after the clock was set back.
    if today.hour < _FROM_HOUR or _Night.done == today.date():
        return 0
    gone, is_all = tidy(now, seconds=_SECONDS)
    if is_all:
        _Night.done = today.date()
    return gone


def tidy(now: datetime, *, seconds: float) -> tuple[int, bool]:
    """Remove what is too old, for so many seconds; answers how many rows went, and whether that was all."""
    until = time.monotonic() + seconds
    newest = Run.objects.order_by("-queued_at", "-pk").values_list("queued_at", flat=True).first()
    if newest is None:
        return 0, True
    now = min(now, newest + _CLOCK_AHEAD)
    counts: dict[str, int] = {}
    is_all = True
    for name, portion in _PORTIONS.items():
        while (gone := portion(now)) and time.monotonic() < until:
            counts[name] = counts.get(name, 0) + gone
        if gone:
            counts[name] = counts.get(name, 0) + gone
            is_all = False
            break
    if counts:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        logger.info("of the portal's own history went, as too old: %s", told)
    return sum(counts.values()), is_all


def _lines(now: datetime) -> int:
    """Lines of logs go by the age of their run."""
    kept = min(LINES_OF_OTHERS, timedelta(days=settings.RUN_KEEP_DAYS))
    is_old = Q(run__status=Status.SUCCEEDED, run__finished_at__lt=now - LINES_OF_GOOD) | Q(
        run__status__in=TERMINAL, run__finished_at__lt=now - kept
    )
    return _remove(RunLine.objects.filter(is_old), _LINES_AT_ONCE)


def _runs(now: datetime) -> int:
    """Runs whose lines are gone, that no other row speaks of, and that are not the newest of their kind."""
    of_backups = now - timedelta(days=settings.RUN_KEEP_DAYS)
    is_old = Q(finished_at__lt=of_backups) | (
        Q(finished_at__lt=now - MAINTENANCE) & ~Q(action__in=OF_BACKUPS)
    )
    old = Run.objects.filter(is_old, status__in=TERMINAL).filter(
        _unmentioned(Run, but=[ReplayProof, Restore, Verification, Snapshot]),
        Q(snapshot=None) | Q(snapshot__forgotten_at__isnull=False),
        ~Exists(Snapshot.objects.present().filter(made_by=OuterRef("pk"))),
        ~Exists(_needed_restores().filter(run=OuterRef("pk"))),
        ~Exists(Verification.objects.filter(run=OuterRef("pk"), snapshot__forgotten_at=None)),
    )
    return _remove(_with_newer(old), _ROWS_AT_ONCE)


def _needed_restores() -> QuerySet[Restore]:
    """Those that can be undone or are half-way, whose snapshots are there, or that another row speaks of.

    With each of them what undid it: without that it would not be known how its undo went.
    """
    keeps_tables = ~Q(kept_in="") & Q(undone_at=None, dropped_at=None)
    snapshots = Q(snapshot__forgotten_at=None) | Q(safety_snapshot__isnull=False) & Q(
        safety_snapshot__forgotten_at=None
    )
    is_half_way = Q(swap__in=UNSETTLED)
    by_itself = is_half_way | keeps_tables | snapshots
    # Without being its undo's, or the two would keep each other for ever.
    undone = Restore.objects.filter(by_itself | ~_unmentioned(Restore, but=[Restore]))
    return Restore.objects.filter(
        by_itself | ~_unmentioned(Restore) | Q(undo_of__in=undone.order_by().values("pk"))
    )


def _with_newer(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Without the newest of each kind, and the newest that succeeded: pages and alerts tell of them."""
    of = Coalesce("database_id", 0)
    newer = Run.objects.annotate(of=of).filter(
        action=OuterRef("action"),
        repository=OuterRef("repository"),
        of=OuterRef("of"),
        finished_at__gt=OuterRef("finished_at"),
        status__in=TERMINAL,
    )
    is_followed = Q(Exists(newer)) & (
        ~Q(status=Status.SUCCEEDED) | Q(Exists(newer.filter(status=Status.SUCCEEDED)))
    )
    return runs.annotate(of=of).filter(is_followed)


def _snapshots(now: datetime) -> int:
    """Rows of snapshots that are long forgotten, of which no run is left."""
    long_ago = now - timedelta(days=settings.RUN_KEEP_DAYS)
    # With the row goes its suspicion, and with that what is held because of it.
    holds = Q(state=SuspicionState.WAITING) | Q(found_at__gt=now - SUSPICION_KEPT) & ~Q(
        state=SuspicionState.ACCEPTED
    )
    forgotten = Snapshot.objects.filter(
        _unmentioned(Snapshot, but=[Suspicion, DownloadTicket]),
        ~Exists(Suspicion.objects.filter(holds, snapshot=OuterRef("pk"))),
        forgotten_at__lt=long_ago,
        made_by=None,
    )
    return _remove(forgotten, _ROWS_AT_ONCE)


_PORTIONS: dict[str, Callable[[datetime], int]] = {
    "lines of logs": _lines,
    "runs": _runs,
    "rows of forgotten snapshots": _snapshots,
}


def _unmentioned(model: type[models.Model], *, but: Collection[type[models.Model]] = ()) -> Q:
    """That no row of any other model, nor of this one, refers to it."""
    mentioned = Q()
    # Also those that have no name at this end.
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, models.ManyToOneRel) or relation.related_model in but:
            continue
        rows = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})
        mentioned |= Q(Exists(rows))
    return ~mentioned


def _remove(rows: QuerySet[models.Model], most: int) -> int:
    """Remove so many of these, the oldest first; answers how many it were."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
    if keys:
        with transaction.atomic():
            rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)
