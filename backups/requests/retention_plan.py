"""What is to be forgotten, of a database or of all in a repository.

For the run that does it, for who wants to see it beforehand, and for the form that tries numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import OperationalError
from django.utils import timezone

from backups.catalog import series
from backups.errors import Problem
from backups.keeping import stand_downs, suspicions
from backups.models import Database, Repository, Snapshot, SnapshotQuerySet
from backups.restoring import kept_states
from backups.snapshots import holds, naming, retention, selection
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

_NOTHING = retention.Plan(keep={}, forget=())


@dataclass(frozen=True)
class DatabasePlan:
    """What stays of a database's snapshots in a repository and why, and what goes.

    Nothing goes where it `waits` for a person, where the plan `failed`, and where all `stays`: each says so
    in a sentence.
    """

    database: Database
    present: SnapshotQuerySet
    plan: retention.Plan = _NOTHING
    waits: str = ""
    failed: str = ""
    # Why nothing goes, as somebody decided already.
    stays: str = ""


def plan_of_repository(
    repository: Repository,
    now: datetime,
    *,
    databases: Iterable[Database] | None = None,
    unreadable: Collection[str] = (),
    tick: Callable[[], object] = lambda: None,
) -> list[DatabasePlan]:
    """The plan of each of a repository's databases, or of some of them, from the rows of its snapshots.

    One whose plan cannot be made is in nobody's way, nor is one with a snapshot whose id is `unreadable`.
    `tick` is called before each, since thousands of them take minutes.
    """
    if databases is None:
        databases = repository.databases.in_service().order_by("pk")
    present = Snapshot.objects.present().filter(repository=repository).defer("manifest")
    broken = set(present.filter(snapshot_id__in=list(unreadable)).values_list("database_id", flat=True))
    plans = []
    for database in databases:
        tick()
        of_it = present.filter(database=database)
        plans.append(_planned(database, of_it, now, is_readable=database.pk not in broken))
    return plans


def _planned(
    database: Database, present: SnapshotQuerySet, now: datetime, *, is_readable: bool
) -> DatabasePlan:
    if not is_readable:
        words = phrase(
            "Nothing of {database} is forgotten: a snapshot of it cannot be read.", database=database
        )
        return DatabasePlan(database, present, failed=words)
    try:
        if suspicions.waiting(database):
            words = phrase(
                "Nothing of {database} is forgotten. {sentences}",
                database=database,
                sentences=suspicions.sentences(database)[0],
            )
            return DatabasePlan(database, present, waits=words)
        if words := stand_downs.retired_words(database):
            return DatabasePlan(database, present, stays=words)
        policy = retention.Policy(database.keep_daily, database.keep_weekly, database.keep_monthly)
        return DatabasePlan(database, present, plan_of(database, present, policy, now))
    except OperationalError:
        raise  # the portal's own database is away, which no other plan would survive
    except Exception as error:  # whatever odd rows lead to
        logger.exception("no plan of what to forget of %s", database)
        return DatabasePlan(database, present, failed=_failed_words(database, error))


def _failed_words(database: Database, error: Exception) -> str:
    why = error.sentence() if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
    return phrase(
        "Nothing of {database} is forgotten, because no plan of it could be made ({why}).",
        database=database,
        why=why.rstrip("."),
    )


def plan_of(
    database: Database, present: SnapshotQuerySet, policy: retention.Policy, now: datetime
) -> retention.Plan:
    """Which of a database's snapshots in one repository stay under a policy, why, and which go."""
    return retention.plan(
        _dated(database, present), policy, _held(database, present, now), timezone.get_default_timezone()
    )


def _held(database: Database, present: SnapshotQuerySet, now: datetime) -> dict[str, list[str]]:
    """What is held among rows, and what undoing a restore would need that a newer one lies upon."""
    held = holds.held(present, now)
    for snapshot, older, newer in kept_states.held_snapshots(database):
        held.setdefault(snapshot.snapshot_id, []).append(
            phrase(holds.STANDS, restore=older.run_id, newer=newer.run_id)
        )
    return held


def _dated(database: Database, present: SnapshotQuerySet) -> list[retention.Dated]:
    """Each with what a policy counts together: one database, in either format, whatever its row.

    Other installations by host as well, since they may share a repository; the old scripts' containers
    had names by chance. What was not made here pushes nothing out that was, and what was saved before
    a restore is no day's backup.
    """
    our_hosts = series.of_this_installation(database)
    saved = selection.safety_copies(present)
    found = []
    for snapshot in present:
        ours = naming.has_our_tag(snapshot.tags)
        theirs = snapshot.host if ours and snapshot.host not in our_hosts else ""
        counted_with = (snapshot.made_here, ours, theirs, snapshot.file_stem)
        found.append(
            retention.Dated(
                snapshot.snapshot_id, snapshot.time, None if snapshot.pk in saved else counted_with
            )
        )
    return found
