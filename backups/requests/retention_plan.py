"""What is to be forgotten, of a database or of all in a repository.

For the run that does it, for who wants to see it beforehand, and for the form that tries numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from django.db import OperationalError
from django.utils import timezone

from backups.catalog import series
from backups.errors import Problem
from backups.keeping import stand_downs, suspicions
from backups.models import Database, Repository, Snapshot, SnapshotQuerySet
from backups.restoring import kept_states
from backups.snapshots import holds, naming, retention
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

AskedFor: TypeAlias = Mapping[str, Sequence[str]]

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
    asked_for = _asked_for_in_all(present, now)
    plans = []
    for database in databases:
        tick()
        of_it = present.filter(database=database)
        if database.pk in broken:
            plans.append(_unreadable(database, of_it))
        else:
            plans.append(_planned(database, of_it, now, asked_for))
    return plans


def _asked_for_in_all(present: SnapshotQuerySet, now: datetime) -> AskedFor | None:
    """Once for all of them: who forgets asks again whether somebody came to want what was to go.

    None where an odd row prevents that: then each is looked at by itself.
    """
    try:
        return holds.reasons(holds.asked_for_by_now(present, now))
    except OperationalError:
        raise
    except Exception:
        logger.exception("what is wanted of all snapshots cannot be told at once")
        return None


def _unreadable(database: Database, present: SnapshotQuerySet) -> DatabasePlan:
    words = phrase("Nothing of {database} is forgotten: a snapshot of it cannot be read.", database=database)
    return DatabasePlan(database, present, failed=words)


def _planned(
    database: Database, present: SnapshotQuerySet, now: datetime, asked_for: AskedFor | None
) -> DatabasePlan:
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
        return DatabasePlan(database, present, plan_of(database, present, policy, now, asked_for))
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
    database: Database,
    present: SnapshotQuerySet,
    policy: retention.Policy,
    now: datetime,
    asked_for: AskedFor | None = None,
) -> retention.Plan:
    """Which of a database's snapshots in one repository stay under a policy, why, and which go.

    `asked_for` is what is known already of who wants which of them, by `holds.reasons`.
    """
    there = holds.present_of(present)
    held = holds.held(there, now, asked_for)
    _hold_what_lies_below(held, database)
    return retention.plan(_dated(database, there), policy, held, timezone.get_default_timezone())


def _hold_what_lies_below(held: dict[str, list[str]], database: Database) -> None:
    """What undoing a restore would need that a newer one lies upon."""
    for snapshot, older, newer in kept_states.held_snapshots(database):
        held.setdefault(snapshot.snapshot_id, []).append(
            phrase(holds.STANDS, restore=older.run_id, newer=newer.run_id)
        )


def _dated(database: Database, present: holds.Present) -> list[retention.Dated]:
    """Each with what a policy counts together: one database, in either format, whatever its row.

    Other installations by host as well, since they may share a repository; the old scripts' containers
    had names by chance. What was not made here pushes nothing out that was, and what was saved before
    a restore is no day's backup.
    """
    our_hosts = series.of_this_installation(database)
    found = []
    for snapshot in present.snapshots:
        ours = naming.has_our_tag(snapshot.tags)
        theirs = snapshot.host if ours and snapshot.host not in our_hosts else ""
        counted_with = (snapshot.made_here, ours, theirs, snapshot.file_stem)
        found.append(
            retention.Dated(
                snapshot.snapshot_id, snapshot.time, None if snapshot.pk in present.saved else counted_with
            )
        )
    return found
