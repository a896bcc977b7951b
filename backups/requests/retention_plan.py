"""What is to be forgotten, of a database or of all in a repository.

For the run that does it, for who wants to see it beforehand, and for the form that tries numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeAlias

from django.db import OperationalError
from django.utils import timezone

from backups.catalog import series
from backups.errors import Problem
from backups.keeping import stand_downs, suspicions
from backups.models import Database, LogArchive, Repository, Snapshot, SnapshotQuerySet
from backups.restoring import kept_states
from backups.snapshots import holds, naming, retention, selection
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

AskedFor: TypeAlias = Mapping[str, Sequence[str]]

_NOTHING = retention.Plan(keep={}, forget=())
# Databases of which what is known is read at once.
_AT_ONCE = 100


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
    # What `present` finds, where it was read.
    read: Sequence[Snapshot] | None = None

    @property
    def snapshots(self) -> Sequence[Snapshot] | SnapshotQuerySet:
        """All that are there, newest first."""
        return self.present if self.read is None else self.read

    @property
    def count(self) -> int:
        """How many these are."""
        return self.present.count() if self.read is None else len(self.read)


def plan_of_repository(
    repository: Repository,
    now: datetime,
    *,
    databases: Iterable[Database] | None = None,
    unreadable: Collection[str] = (),
    tick: Callable[[], object] = lambda: None,
) -> Iterator[DatabasePlan]:
    """The plan of each of a repository's databases, or of some of them, from the rows of its snapshots.

    One whose plan cannot be made is in nobody's way, nor is one with a snapshot whose id is `unreadable`.
    `tick` is called before each, since thousands of them take minutes. What all need to know is read of many
    at once; the snapshots of thousands of databases would not have room.
    """
    if databases is None:
        databases = repository.databases.in_service().order_by("pk")
    present = Snapshot.objects.present().filter(repository=repository).defer("manifest")
    broken = set(present.filter(snapshot_id__in=list(unreadable)).values_list("database_id", flat=True))
    asked_for = _asked_for_in_all(present, now)
    left = iter(databases)
    while some := list(islice(left, _AT_ONCE)):
        tick()
        known = _known_of(some, present)
        for database in some:
            tick()
            of_it = present.filter(database=database)
            if database.pk in broken:
                yield _unreadable(database, of_it)
            else:
                yield _planned(_Subject(database, of_it, known), now, asked_for)


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


@dataclass(frozen=True)
class _Known:
    """What was read of several databases at once: snapshots by their keys, and of which there is more to ask.

    Those that `wait` for a person, are `retired`, were `doubted` or `restored`, or have their log stored.
    """

    snapshots: Mapping[int, Sequence[Snapshot]]
    saved: Set[int]
    wait: Set[int]
    retired: Set[int]
    doubted: Set[int]
    restored: Set[int]
    logged: Set[int]


def _known_of(databases: Sequence[Database], present: SnapshotQuerySet) -> _Known | None:
    """None where an odd row prevents that: then each is looked at by itself."""
    keys = [each.pk for each in databases]
    rows = present.filter(database__in=keys)
    try:
        snapshots: dict[int, list[Snapshot]] = {key: [] for key in keys}
        for snapshot in rows.order_by("-time", "-pk"):
            snapshots[snapshot.database_id or 0].append(snapshot)
        return _Known(
            snapshots,
            selection.saved_by_rows(rows),
            suspicions.which_wait(keys),
            stand_downs.which_are_retired(keys),
            set(holds.doubted().filter(database__in=keys).values_list("database_id", flat=True)),
            kept_states.which_saved(keys),
            set(LogArchive.objects.filter(database__in=keys).values_list("database_id", flat=True)),
        )
    except OperationalError:
        raise
    except Exception:
        logger.exception("the snapshots of several databases cannot be read at once")
        return None


@dataclass(frozen=True)
class _Subject:
    """A database of which a plan is made, the rows of its snapshots, and what is known of it already."""

    database: Database
    present: SnapshotQuerySet
    known: _Known | None = None

    @property
    def may_wait(self) -> bool:
        """Whether to ask for what waits for a person."""
        return self.known is None or self.database.pk in self.known.wait

    @property
    def may_be_retired(self) -> bool:
        """Whether to ask if it was retired."""
        return self.known is None or self.database.pk in self.known.retired

    @property
    def may_be_restored(self) -> bool:
        """Whether to ask for what its restores lie upon."""
        return self.known is None or self.database.pk in self.known.restored

    def there(self) -> holds.Present:
        """Its snapshots. Raises whatever odd rows lead to."""
        if self.known is None:
            return holds.present_of(self.present)
        snapshots = self.known.snapshots[self.database.pk]
        saved = selection.safety_copies_among(snapshots, self.known.saved)
        return holds.Present(
            snapshots,
            saved,
            self.present,
            may_be_suspicious=self.database.pk in self.known.doubted,
            may_have_log=self.database.pk in self.known.logged,
        )


def _unreadable(database: Database, present: SnapshotQuerySet) -> DatabasePlan:
    words = phrase("Nothing of {database} is forgotten: a snapshot of it cannot be read.", database=database)
    return DatabasePlan(database, present, failed=words)


def _planned(subject: _Subject, now: datetime, asked_for: AskedFor | None) -> DatabasePlan:
    database, present = subject.database, subject.present
    try:
        if subject.may_wait and suspicions.waiting(database):
            words = phrase(
                "Nothing of {database} is forgotten. {sentences}",
                database=database,
                sentences=suspicions.sentences(database)[0],
            )
            return DatabasePlan(database, present, waits=words)
        if subject.may_be_retired and (words := stand_downs.retired_words(database)):
            return DatabasePlan(database, present, stays=words)
        policy = retention.Policy(database.keep_daily, database.keep_weekly, database.keep_monthly)
        there = subject.there()
        plan = _plan_of(subject, there, policy, now, asked_for)
        return DatabasePlan(database, present, plan, read=there.snapshots)
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
) -> retention.Plan:
    """Which of a database's snapshots in one repository stay under a policy, why, and which go."""
    subject = _Subject(database, present)
    return _plan_of(subject, subject.there(), policy, now, None)


def _plan_of(
    subject: _Subject,
    there: holds.Present,
    policy: retention.Policy,
    now: datetime,
    asked_for: AskedFor | None,
) -> retention.Plan:
    """`asked_for` is what is known already of who wants which of them, by `holds.reasons`."""
    held = holds.held(there, now, asked_for)
    if subject.may_be_restored:
        _hold_what_lies_below(held, subject.database)
    dated = list(_dated(subject.database, there))
    return retention.plan(dated, policy, held, timezone.get_default_timezone())


def _hold_what_lies_below(held: dict[str, list[str]], database: Database) -> None:
    """What undoing a restore would need that a newer one lies upon."""
    for snapshot, older, newer in kept_states.held_snapshots(database):
        held.setdefault(snapshot.snapshot_id, []).append(
            phrase(holds.STANDS, restore=older.run_id, newer=newer.run_id)
        )


def _dated(database: Database, present: holds.Present) -> Iterator[retention.Dated]:
    """Each with what a policy counts together: one database, in either format, whatever its row.

    Other installations by host as well, since they may share a repository; the old scripts' containers
    had names by chance. What was not made here pushes nothing out that was, and what was saved before
    a restore is no day's backup.
    """
    our_hosts = series.said_to_be_ours(database)
    if not our_hosts.issuperset(snapshot.host for snapshot in present.snapshots):
        our_hosts = series.of_this_installation(database)
    for snapshot in present.snapshots:
        ours = naming.has_our_tag(snapshot.tags)
        theirs = snapshot.host if ours and snapshot.host not in our_hosts else ""
        counted_with = (snapshot.made_here, ours, theirs, snapshot.file_stem)
        yield retention.Dated(
            snapshot.snapshot_id, snapshot.time, None if snapshot.pk in present.saved else counted_with
        )
