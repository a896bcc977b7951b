"""The rows of a range that a proof report tells of, in as many queries for one database as for hundreds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, islice, repeat
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from backups import keys
from backups.choices import (
    BAD_VERDICTS,
    RESTORE_ACTIONS,
    SAFETY_TAG,
    Action,
    Status,
    SuspicionState,
    Trigger,
)
from backups.errors import Problem
from backups.models import Database, Restore, Run, Snapshot, Suspicion, Verification
from backups.models.as_stored import as_stored, moment, moments
from backups.reports.rows import by_key
from backups.scheduling import left_out
from backups.text.sentences import number, phrase

# As rows have them: each of hundreds of thousands is compared, and to look up a choice takes longer.
_RESTORE, _RECOVERED = Trigger.RESTORE.value, Trigger.RECOVERED.value
_DOUBTED = frozenset({SuspicionState.WAITING.value, SuspicionState.OVER.value})
_BAD = frozenset(verdict.value for verdict in BAD_VERDICTS)
# Of a year of 200 databases that are backed up twice a day it is 300,000.
MOST_ROWS = 500_000
_AT_ONCE, _ROWS_AT_ONCE = 500, 5000
_Portion = Sequence[Any]
# When a run was over, as the database has it, and what asked for it.
_Ended = tuple[Any, str | None]
_OfRuns = dict[Any, _Ended]
_NO_RUN: _Ended = None, None


class Attempt(NamedTuple):
    """A backup or verification that was to be."""

    database: int
    action: str
    run: int
    status: str
    trigger: str
    slot: datetime | None
    queued_at: datetime
    error: str


class Made(NamedTuple):
    """A snapshot of a database."""

    database: int
    pk: int
    time: datetime
    verdict: str
    made_here: bool
    run: int | None
    finished_at: datetime | None
    trigger: str | None
    suspicion: str | None
    tags: Any

    @property
    def counts(self) -> bool:
        """Whether it is a backup to go by: of almost all rows nothing else is asked."""
        return not (
            self.suspicion in _DOUBTED
            or self.verdict in _BAD
            or self.trigger == _RESTORE
            or (self.tags and SAFETY_TAG in self.tags)
        )

    @property
    def is_ours(self) -> bool:
        """Whether this portal made it, or found it when it was rebuilt: others only pass by."""
        return self.made_here or self.run is not None

    @property
    def is_safety_copy(self) -> bool:
        """Whether it was saved before a restore: what was to be repaired."""
        return self.trigger == _RESTORE or SAFETY_TAG in (self.tags or ())

    @property
    def is_suspicious(self) -> bool:
        """Whether it holds suspiciously little, and nobody said that this is right."""
        return self.suspicion in _DOUBTED

    @property
    def is_known_bad(self) -> bool:
        """Whether its newest verification found that it does not bring back what was backed up."""
        return self.verdict in _BAD


class Details(NamedTuple):
    """What is told of a snapshot that is listed."""

    snapshot_id: str
    dump_sha256: str
    bytes: int | None
    forgotten_at: datetime | None


class Proved(NamedTuple):
    """What a verification found."""

    database: int
    pk: int
    run: int
    finished_at: datetime
    verdict: str
    snapshot: int
    snapshot_id: str
    snapshot_time: datetime
    restore_seconds: float | None
    tables: int | None
    rows: int | None
    bytes: int | None
    source_version: str
    scratch_version: str


class Restored(NamedTuple):
    """A restore that somebody asked for."""

    database: int
    run: int
    finished_at: datetime
    status: str
    mode: str
    tables: Any
    snapshot_id: str
    seconds: float | None


Row = TypeVar("Row", Attempt, Made, Proved, Restored)


class Pace:
    """How long a report may take: a page says so politely before its server gives up on it."""

    def __init__(self, seconds: float | None = None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise Problem once it took too long."""
        if self._until is not None and time.monotonic() > self._until:
            raise Problem(
                phrase("The report takes too long to be made here."),
                code="report.too_slow",
                do=phrase(
                    "Choose a shorter time or one database, or have `manage.py report` write it, which "
                    "may take as long as it needs."
                ),
            )


@dataclass(frozen=True)
class Rows:
    """All of a range, by the keys of their databases."""

    databases: Sequence[Any]
    attempts: Mapping[int, Sequence[Attempt]]
    made: Mapping[int, Sequence[Made]]
    proved: Mapping[int, Sequence[Proved]]
    restored: Mapping[int, Sequence[Restored]]
    stood_down: Mapping[int, Sequence[left_out.Span]]


def read(begin: datetime, end: datetime, database: Database | None, pace: Pace) -> Rows:
    """The rows from `begin` until before `end`, oldest first. Raises Problem for too many."""
    databases = list(_databases(begin, database))
    # How runs ended: snapshots, most of which were made by these, do not ask for them once more.
    ended: _OfRuns = {}
    queries: list[tuple[Callable[[_Portion], Iterable[Any]], QuerySet[Any, Any]]] = [
        # Most stand for the time at which they were asked for, so they are in order already.
        (partial(_attempts_of, ended), _attempts(begin, end).order_by("queued_at", "pk")),
        (iter, _made(begin, end).order_by("at", "pk")),
        (partial(map, Proved._make), _proved(begin, end).order_by("at", "pk")),
        (partial(map, Restored._make), _restored(begin, end).order_by("at", "pk")),
    ]
    found: list[dict[int, list[Any]]] = []
    left = MOST_ROWS
    for rows_of, query in queries:
        pace.check()
        of_database = query.filter(database_key=database.pk) if database else query
        rows, count = _by_database(rows_of, of_database, left)
        left -= count
        found.append(rows)
    stood_down = left_out.spans(begin, end, [database] if database else None)
    attempts, made, proved, restored = found
    for each in attempts.values():
        each.sort(key=_stands_for)
    return Rows(databases, attempts, _snapshots_of(made, ended, (begin, end)), proved, restored, stood_down)


def _by_database(
    rows_of: Callable[[_Portion], Iterable[Row]], query: QuerySet[Any, Any], most: int
) -> tuple[dict[int, list[Row]], int]:
    found: dict[int, list[Row]] = defaultdict(list)
    count = 0
    values = query[: most + 1].iterator(chunk_size=_ROWS_AT_ONCE)
    while portion := list(islice(values, _ROWS_AT_ONCE)):
        count += len(portion)
        if count > most:
            raise Problem(
                phrase("A report of this time tells of more than {most} rows.", most=number(MOST_ROWS)),
                code="report.too_large",
                do=phrase("Choose a shorter time, or one database."),
            )
        for row in rows_of(portion):
            found[row[0]].append(row)
    return found, count


def _databases(begin: datetime, database: Database | None) -> QuerySet[Any, Any]:
    """Each with the first that is known of it, and its newest good backup of before."""
    snapshots = Snapshot.objects.filter(database=OuterRef("pk")).order_by("time")
    before = (
        Snapshot.objects.filter(Q(made_here=True) | Q(made_by__isnull=False), database=OuterRef("pk"))
        .filter(time__lt=begin)
        .trusted()
        .not_known_bad()
        .exclude(made_by__trigger=Trigger.RESTORE)
        .order_by("-time")
    )
    first_run = Run.objects.filter(database=OuterRef("pk")).order_by("queued_at")
    rows = Database.objects.select_related("server", "repository").order_by("name", "pk")
    if database is not None:
        rows = rows.filter(pk=database.pk)
    return rows.annotate(
        first_run=Subquery(first_run.values("queued_at")[:1]),
        first_snapshot=Subquery(snapshots.values("time")[:1]),
        # To find it all of its rows are read; that there is none at all an index tells.
        good_before=Case(
            When(Exists(snapshots.filter(time__lt=begin)), then=Subquery(before.values("time")[:1]))
        ),
    )


def _attempts(begin: datetime, end: datetime) -> QuerySet[Any, Any]:
    """By the time that they stand for, else by when they were asked for."""
    rows = Run.objects.filter(action__in=[Action.BACKUP, Action.VERIFY], database__isnull=False).exclude(
        trigger=Trigger.RESTORE
    )
    # By what indexes have first: a run is asked for at its planned time or, after a standstill, later.
    rows = rows.alias(at=Coalesce("slot", "queued_at"), database_key=F("database_id"))
    return rows.filter(queued_at__gte=begin, at__gte=begin, at__lt=end).values_list(
        "database_id", "action", "pk", "status", "trigger", as_stored("slot"), as_stored("queued_at"),
        "error", as_stored("finished_at"),
    )  # fmt: skip


def _made(begin: datetime, end: datetime) -> QuerySet[Any, Any]:
    """What an index has of each: rows have manifests, and are many times as large."""
    return _snapshots_in(begin, end).values_list(
        "database_id", "pk", as_stored("time"), "verdict", as_stored("made_here"), "made_by_id"
    )


def _snapshots_in(begin: datetime, end: datetime) -> QuerySet[Any, Any]:
    rows = Snapshot.objects.filter(time__gte=begin, time__lt=end, database__isnull=False)
    return rows.alias(at=F("time"), database_key=F("database_id"))


def _proved(begin: datetime, end: datetime) -> QuerySet[Any, Any]:
    rows = Verification.objects.filter(finished_at__gte=begin, finished_at__lt=end)
    rows = rows.filter(snapshot__database__isnull=False)
    return rows.alias(at=F("finished_at"), database_key=F("snapshot__database_id")).values_list(
        "snapshot__database_id", "pk", "run_id", "finished_at", "verdict", "snapshot_id",
        "snapshot__snapshot_id", "snapshot__time", "restore_seconds", "tables", "rows", "bytes",
        "source_version", "scratch_version",
    )  # fmt: skip


def _restored(begin: datetime, end: datetime) -> QuerySet[Any, Any]:
    rows = Restore.objects.filter(run__finished_at__gte=begin, run__finished_at__lt=end)
    rows = rows.filter(run__action__in=RESTORE_ACTIONS, run__status__in=[Status.SUCCEEDED, Status.FAILED])
    return rows.alias(at=F("run__finished_at"), database_key=F("database_id")).values_list(
        "database_id", "run_id", "run__finished_at", "run__status", "mode", "tables",
        "snapshot__snapshot_id", "restore_seconds",
    )  # fmt: skip


# Without the function in between that NamedTuple has for it.
_new = tuple.__new__


def _attempts_of(ended: _OfRuns, portion: _Portion) -> Iterable[Attempt]:
    database, action, run, status, trigger, slot, queued, error, finished = zip(*portion, strict=True)
    ended.update(zip(run, zip(finished, trigger, strict=True), strict=True))
    columns = (database, action, run, status, trigger, moments(slot), moments(queued), error)
    return map(_new, repeat(Attempt), zip(*columns, strict=True))


def _stands_for(attempt: Attempt) -> tuple[datetime, int]:
    return attempt.slot or attempt.queued_at, attempt.run


def _snapshots_of(
    made: Mapping[int, _Portion], ended: _OfRuns, within: tuple[datetime, datetime]
) -> dict[int, list[Made]]:
    """What was read of snapshots, with what other rows tell of each."""
    runs = set(map(itemgetter(-1), chain.from_iterable(made.values())))
    if others := runs.difference(ended, [None]):
        values = Run.objects.values_list("pk", as_stored("finished_at"), "trigger")
        ended |= by_key(values, others, itemgetter(1, 2))
    # Of those that no run of ours made only their tags tell for what they were made.
    triggers = {ended.get(run, _NO_RUN)[1] for run in runs}
    tagged: dict[int, Sequence[str]] = {}
    for trigger in triggers.intersection([None, _RECOVERED]):
        made_so = {"made_by__trigger": trigger} if trigger else {"made_by": None}
        rows = _snapshots_in(*within).filter(**made_so).order_by().values_list("pk", "tags")
        tagged |= {pk: tags for pk, tags in rows.iterator(chunk_size=_AT_ONCE) if SAFETY_TAG in (tags or ())}
    doubted = dict(Suspicion.objects.filter(state__in=_DOUBTED).order_by().values_list("snapshot", "state"))
    found: dict[int, list[Made]] = {}
    for key, portion in made.items():
        database, pks, times, verdicts, made_here, made_by = zip(*portion, strict=True)
        finished, asked_by = zip(*map(ended.get, made_by, repeat(_NO_RUN)), strict=True)
        tags = map(tagged.get, pks, repeat(()))
        columns = (
            database, pks, moments(times), verdicts, made_here, made_by, moments(finished), asked_by,
            map(doubted.get, pks), tags,
        )  # fmt: skip
        found[key] = list(map(_new, repeat(Made), zip(*columns, strict=True)))
    return found


def details(snapshots: Collection[int], pace: Pace) -> dict[int, Details]:
    """What is told of these snapshots, by their keys."""
    columns = ("pk", "snapshot_id", "dump_sha256", "total_bytes_processed", as_stored("forgotten_at"))
    found: dict[int, Details] = {}
    for portion in _portions(sorted(snapshots), _ROWS_AT_ONCE):
        pace.check()
        found |= by_key(Snapshot.objects.values_list(*columns), portion, _details)
    return found


def _details(values: Any) -> Details:
    _, snapshot_id, digest, size, forgotten_at = values
    return Details(snapshot_id, digest, size, moment(forgotten_at))


def manifest_digests(snapshots: Collection[int], pace: Pace) -> dict[int, str]:
    """SHA-256 of the manifests of these snapshots, of those that have one, by their keys.

    Read a few at once: a manifest tells of each table.
    """
    found: dict[int, str] = {}
    for portion in _portions(sorted(snapshots)):
        rows = Snapshot.objects.filter(pk__in=portion).order_by("pk").values_list("pk", "manifest")
        for pk, manifest in rows.iterator(chunk_size=50):
            pace.check()
            if isinstance(manifest, dict):
                found[pk] = keys.manifest_digest(manifest)
    return found


def comparisons(verifications: Collection[int], pace: Pace) -> dict[int, tuple[Any, Any, Any]]:
    """What of these verifications was compared, what was not, and what differed, by their keys."""
    found: dict[int, tuple[Any, Any, Any]] = {}
    for portion in _portions(sorted(verifications)):
        rows = Verification.objects.filter(pk__in=portion).order_by("pk")
        for pk, *texts in rows.values_list("pk", "compared", "not_compared", "differences"):
            found[pk] = (texts[0], texts[1], texts[2])
        pace.check()
    return found


def _portions(pks: Sequence[int], count: int = _AT_ONCE) -> Iterator[Sequence[int]]:
    return (pks[start : start + count] for start in range(0, len(pks), count))
