"""What the verdict is told of databases: from rows, all of one database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from backups import verdict
from backups.choices import BAD_VERDICTS, ArchiveState, SuspicionState
from backups.configuration import environment, undeclared
from backups.configuration.environment import Differences
from backups.endpoints import secrets_subject
from backups.gate import heartbeat_files
from backups.models import Database, Repository, Run, Server, Suspicion
from backups.reports import newest_rows, stored_logs
from backups.reports.newest_rows import NewestRun, NewestSnapshot
from backups.reports.rows import (
    COLUMNS,
    FAILED,
    NEWEST_RUNS,
    NEWEST_SNAPSHOTS,
    databases_with_newest,
    newest_good_backup,
    row_of,
    share,
    values_of,
    with_one_not_bad,
)
from backups.scheduling import proofs, schedules, staleness


@dataclass(frozen=True)
class OfDatabase:
    """A database's row, its newest good backup and snapshots, and what the verdict is told of all rows.

    It `is_fleeting` where something else than rows of this one database may decide. It was made `of` what was
    read of it; None where something else may decide, or the time.
    """

    row: Any
    good: NewestRun | None
    newest: NewestSnapshot | None
    proved: NewestSnapshot | None
    # The run that made its newest verification, and the newest verification that succeeded.
    proof: NewestRun | None
    verified: NewestRun | None
    facts: verdict.DatabaseFacts
    is_fleeting: bool
    of: object = None


@dataclass(frozen=True)
class Others:
    """What is known without their rows: what alerts say, by subject; by their keys who waits, and servers."""

    failures: Mapping[str, str]
    waiting: Set[int]
    servers: Mapping[int, Server]
    shared: environment.Shared
    # Those that may stand at something that no replay of their log goes past.
    barred: Set[int] = frozenset()


def read(
    now: datetime,
    repositories: Sequence[Repository],
    others: Others,
    only: QuerySet[Database] | None = None,
    before: Mapping[int, OfDatabase] | None = None,
) -> list[OfDatabase]:
    """Of all databases that are in service, or of those `only`; in a few queries, however many there are.

    Where the same was read of a database as `before`, it is the one of before, with the repository that this
    has. Who gives these knows that what is alike for all databases, and their servers, are the same as well.
    """
    values = values_of(databases_with_newest(now, only))
    runs = newest_rows.runs(chain.from_iterable(map(_RUN_KEYS, values)))
    snapshots = newest_rows.snapshots(chain.from_iterable(map(_SNAPSHOT_KEYS, values)))
    found = {
        each[0]: (each, (*map(runs.get, _RUN_KEYS(each)), *map(snapshots.get, _SNAPSHOT_KEYS(each))))
        for each in values
    }
    same = _same(found, before, repositories, others) if before else {}
    databases = [row_of(each) for pk, (each, _) in found.items() if pk not in same]
    if not databases:
        return [*same.values()]
    share(databases, repositories, others.servers)
    rows = _Rows(
        now,
        runs,
        snapshots,
        {each.database_id: each for each in _waiting(databases, others.waiting)},
        environment.differences(databases, others.shared),
        undeclared.words(databases),
        others.failures,
        stored_logs.doubts(databases, others.barred),
        _with_another(databases, snapshots, now),
    )
    made = {each.pk: _database(each, found[each.pk], rows) for each in databases}
    return [same.get(pk) or made[pk] for pk in found]


_RUN_KEYS: Callable[[Sequence[Any]], tuple[Any, ...]] = itemgetter(*map(COLUMNS.index, NEWEST_RUNS))
_SNAPSHOT_KEYS: Callable[[Sequence[Any]], tuple[Any, ...]] = itemgetter(*map(COLUMNS.index, NEWEST_SNAPSHOTS))


def _same(
    found: Mapping[int, object],
    before: Mapping[int, OfDatabase],
    repositories: Iterable[Repository],
    others: Others,
) -> dict[int, OfDatabase]:
    """Those of which the same was read before, and of which nothing else tells anything."""
    # Whether a reference is declared, files may tell as well.
    if undeclared.is_any([*repositories, *others.servers.values()]):
        return {}
    same = {
        pk: known
        for pk, of in found.items()
        if (known := before.get(pk)) is not None
        and known.of == of
        and not (known.row.verify_password_ref and undeclared.is_any([known.row]))
    }
    for pk in {*others.waiting, *others.shared.told_of(each.row for each in same.values())}:
        same.pop(pk, None)
    return same


def withheld_by_now(some: QuerySet[Database]) -> QuerySet[Database]:
    """Those of them after whose newest good backup no heartbeat was written."""
    newest = some.order_by().annotate(newest=newest_good_backup()).values("newest")
    runs = Run.objects.filter(pk__in=newest, result__heartbeat="withheld")
    return some.filter(pk__in=runs.order_by().values("database"))


@dataclass(frozen=True)
class _Rows:
    """What the queries brought, by key."""

    now: datetime
    runs: Mapping[int, NewestRun]
    snapshots: Mapping[int, NewestSnapshot]
    suspicions: Mapping[int, Suspicion]
    differences: Mapping[int, Differences]
    undeclared: Mapping[int, Sequence[str]]
    failures: Mapping[str, str]
    logs: Mapping[int, verdict.LogDoubt]
    # Of those whose newest snapshot is known to be bad, those that have one of which nothing bad is known.
    with_another: Set[int]


_FAILED = {which: [f"{which}_{status}" for status in FAILED] for which in ("newest", "verify")}


def _waiting(databases: Sequence[Database], waiting: Set[int]) -> QuerySet[Suspicion]:
    """Of each database the newest backup that waits for a person comes last."""
    rows = Suspicion.objects.filter(state=SuspicionState.WAITING).order_by("pk")
    rows = rows.filter(database__in=[each.pk for each in databases if each.pk in waiting])
    return rows.select_related("snapshot").defer("snapshot__manifest", "snapshot__tags")


def _with_another(
    databases: Iterable[Any], snapshots: Mapping[int, NewestSnapshot], now: datetime
) -> Set[int]:
    """Asked of these alone: of others the newest is one."""
    newest = ((each.pk, snapshots.get(each.newest_snapshot)) for each in databases)
    bad = [pk for pk, snapshot in newest if snapshot and _is_bad(snapshot)]
    return with_one_not_bad(now, bad) if bad else frozenset()


def _is_bad(snapshot: NewestSnapshot) -> bool:
    return snapshot.verdict in BAD_VERDICTS


def _says_withheld(good: NewestRun | None) -> bool:
    return good is not None and good.heartbeat == "withheld"


def _database(database: Any, read: object, rows: _Rows) -> OfDatabase:
    good = rows.runs.get(database.newest_succeeded)
    newest = rows.snapshots.get(database.newest_snapshot)
    proved = rows.snapshots.get(database.newest_proved)
    differs = rows.differences[database.pk]
    # A status file, the row of another database, all rows that refer to secrets, pieces of a log.
    is_fleeting = bool(
        database.pk in rows.logs
        or (_says_withheld(good) and not database.repository.is_damaged)
        or differs.serious
        or rows.undeclared[database.pk]
    )
    # Of the first one the environment tells, of others what lies in the repository.
    is_told_of = database.is_primary or differs.warnings or differs.overruled
    is_by_rows = not is_fleeting and not is_told_of and _is_decided_by_rows(database, (good, newest), rows)
    return OfDatabase(
        database, good, newest, proved,
        rows.runs.get(database.newest_proof), rows.runs.get(database.verify_succeeded),
        _facts(database, (good, newest, proved), rows), is_fleeting, read if is_by_rows else None,
    )  # fmt: skip


def _is_decided_by_rows(
    database: Any, of: tuple[NewestRun | None, NewestSnapshot | None], rows: _Rows
) -> bool:
    """Whether by those that were read.

    No backup waits for a person, no log is stored, no run goes on, and none but the newest snapshots matter.
    """
    good, newest = of
    is_over = good is None or good.finished_at is not None
    is_newest_bad = newest is not None and _is_bad(newest)
    return is_over and not is_newest_bad and database.pk not in rows.suspicions and not _has_log(database)


def _facts(
    database: Any, of: tuple[NewestRun | None, NewestSnapshot | None, NewestSnapshot | None], rows: _Rows
) -> verdict.DatabaseFacts:
    good, newest, proved = of
    proof = _proof(rows.runs.get(database.newest_proof))
    waits = rows.suspicions.get(database.pk)
    takes = (good.duration() if good else None) or timedelta()
    differs = rows.differences[database.pk]
    return verdict.DatabaseFacts(
        pk=database.pk,
        name=database.name,
        repository=database.repository.name,
        gates=database.gates_app,
        newest_at=newest.time if newest else None,
        newest_pk=newest.pk if newest else None,
        newest_id=newest.short_id if newest else "",
        newest_verdict=newest.verdict if newest else "",
        allowed=staleness.backup_allowed(database),
        waiting=waits.reasons if waits else (),
        waiting_pk=waits.snapshot_id if waits else None,
        waiting_run=waits.snapshot.made_by_id if waits else None,
        failed_backup=_run(_failed(rows, database, "newest", after=good.finished_at if good else None)),
        proof=proof,
        failed_verification=_run(_failed(rows, database, "verify", after=proof.at if proof else None)),
        proved_at=proved.time if proved else None,
        proved_id=proved.short_id if proved else "",
        has_another=newest is not None and (not _is_bad(newest) or database.pk in rows.with_another),
        # The gate goes by what was verified, people by when.
        proved_on=None if settings.SENTINEL.verified_threshold_seconds or not proved else proved.verified_at,
        proof_allowed=staleness.proof_counts(database, rows.now),
        proof_is_scheduled=bool(schedules.usable(database.verify_cron)),
        is_scheduled=bool(schedules.usable(database.backup_cron)),
        conflicts=(*staleness.conflicts(database, rows.now, takes=takes), *_of_log(database)),
        withheld=verdict.RunFacts(good.pk, str(good.told), good.because or "")
        if good and _is_withheld(database, good, newest, waits)
        else None,
        unreadable_secret=rows.failures.get(secrets_subject(database), "") if rows.failures else "",
        other_environment=(differs.serious.what, differs.serious.do) if differs.serious else None,
        undecided=differs.warnings,
        overruled=differs.overruled,
        undeclared=rows.undeclared[database.pk],
        log=rows.logs.get(database.pk),
        log_not_provable=proofs.not_possible(database) if _has_log(database) else None,
    )


def _of_log(database: Any) -> Iterator[str]:
    if _has_log(database) and (words := staleness.log_conflict(database)):
        yield words


def _has_log(database: Any) -> bool:
    """Whether its log is to be stored."""
    return database.log_state not in (None, "", ArchiveState.OFF)


def _proof(run: NewestRun | None) -> verdict.Proof | None:
    if run is None or run.proof is None or run.proved_at is None:
        return None
    return verdict.Proof(run.proof, run.verdict or "", run.proved_at, (run.proved_id or "")[:8])


def _failed(rows: _Rows, database: Any, which: str, *, after: datetime | None) -> NewestRun | None:
    """The newest run that failed or was lost, unless one that went well is newer."""
    ended = [rows.runs[key] for name in _FAILED[which] if (key := getattr(database, name)) in rows.runs]
    if not ended:
        return None
    last = max(ended, key=lambda run: run.finished_at or run.queued_at)
    if after is not None and (last.finished_at or last.queued_at) < after:
        return None
    return last


def _is_withheld(
    database: Any, good: NewestRun, newest: NewestSnapshot | None, waits: Suspicion | None
) -> bool:
    """Where nothing else says why: a damaged repository and a backup that waits say so themselves."""
    if newest is None or not _says_withheld(good):
        return False
    if waits is not None or database.repository.is_damaged:
        return False
    last_ok = heartbeat_files.last_ok(database)
    return last_ok is None or last_ok < newest.time.replace(microsecond=0)


def _run(run: NewestRun | None) -> verdict.RunFacts | None:
    return verdict.RunFacts(run.pk, str(run.told), run.error) if run else None
