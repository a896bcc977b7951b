"""What the verdict is told of databases: from rows, all of one database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.fields.json import KT

from backups import verdict
from backups.choices import TERMINAL, SuspicionState
from backups.configuration import environment
from backups.configuration.environment import Differences
from backups.endpoints import secrets_subject
from backups.gate import heartbeat_files
from backups.models import Database, Repository, Run, Snapshot, Suspicion, Verification
from backups.reports.rows import FAILED, by_key, databases_with_newest, newest_good_backup, share
from backups.scheduling import schedules, staleness


@dataclass(frozen=True)
class OfDatabase:
    """A database's row, what of its other rows is shown, and what the verdict is told of all of them.

    It `is_fleeting` where something else than rows of this one database may decide.
    """

    row: Any
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]
    facts: verdict.DatabaseFacts
    is_fleeting: bool


@dataclass(frozen=True)
class Others:
    """What is known without their rows: what alerts say, by subject, and the keys of those that wait."""

    failures: Mapping[str, str]
    waiting: Set[int]
    shared: environment.Shared


def read(
    now: datetime,
    repositories: Iterable[Repository],
    others: Others,
    only: QuerySet[Database] | None = None,
) -> list[OfDatabase]:
    """Of all databases that are in service, or of those `only`; in a few queries, however many there are."""
    databases = list(databases_with_newest(now, only))
    if not databases:
        return []
    share(databases, repositories)
    shown = Run.objects.select_related("verification__snapshot").only(*_OF_A_RUN, *_OF_A_PROOF)
    runs = by_key(shown.annotate(**_OF_A_RESULT), _keys(databases, [*_RUNS, "newest_proof"]))
    snapshots = by_key(Snapshot.objects.only(*_OF_A_SNAPSHOT), _keys(databases, _SNAPSHOTS))
    rows = _Rows(
        now, runs, snapshots,
        {each.database_id: each for each in _waiting(databases, others.waiting)},
        environment.differences(databases, others.shared),
        environment.undeclared(databases),
        others.failures,
    )  # fmt: skip
    return [_database(database, rows) for database in databases]


def withheld_by_now(some: QuerySet[Database]) -> QuerySet[Database]:
    """Those of them after whose newest good backup no heartbeat was written."""
    newest = some.order_by().annotate(newest=newest_good_backup()).values("newest")
    runs = Run.objects.filter(pk__in=newest, result__heartbeat="withheld")
    return some.filter(pk__in=runs.order_by().values("database"))


@dataclass(frozen=True)
class _Rows:
    """What the queries brought, by key."""

    now: datetime
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]
    suspicions: Mapping[int, Suspicion]
    differences: Mapping[int, Differences]
    undeclared: Mapping[int, Sequence[str]]
    failures: Mapping[str, str]


# What is told of a row of each.
_OF_A_RUN = ("action", "error", "queued_at", "started_at", "finished_at")
_OF_A_RESULT = {"heartbeat": KT("result__heartbeat"), "because": KT("result__withheld_because")}
_OF_A_SNAPSHOT = ("snapshot_id", "time", "verdict", "verified_at", "total_bytes_processed")
_OF_A_PROOF = (
    "verification__verdict", "verification__finished_at", "verification__snapshot__snapshot_id",
)  # fmt: skip
_RUNS = [*(f"newest_{status}" for status in TERMINAL), *(f"verify_{status}" for status in FAILED)]
_SNAPSHOTS = ["newest_snapshot", "newest_proved"]


def _keys(databases: Iterable[Any], names: Iterable[str]) -> list[int]:
    names = list(names)
    return [key for database in databases for name in names if (key := getattr(database, name))]


def _waiting(databases: Sequence[Database], waiting: Set[int]) -> QuerySet[Suspicion]:
    """Of each database the newest backup that waits for a person comes last."""
    rows = Suspicion.objects.filter(state=SuspicionState.WAITING).order_by("pk")
    rows = rows.filter(database__in=[each.pk for each in databases if each.pk in waiting])
    return rows.select_related("snapshot").defer("snapshot__manifest", "snapshot__tags")


def _says_withheld(good: Any) -> bool:
    return good is not None and good.heartbeat == "withheld"


def _database(database: Any, rows: _Rows) -> OfDatabase:
    good = rows.runs.get(database.newest_succeeded)
    differs = rows.differences[database.pk]
    return OfDatabase(
        database,
        {key: rows.runs[key] for key in _keys([database], _RUNS) if key in rows.runs},
        {key: rows.snapshots[key] for key in _keys([database], _SNAPSHOTS) if key in rows.snapshots},
        _facts(database, good, rows),
        # A status file, the row of another database, and all rows that refer to secrets.
        is_fleeting=bool(
            (_says_withheld(good) and not database.repository.is_damaged)
            or differs.serious
            or rows.undeclared[database.pk]
        ),
    )


def _facts(database: Any, good: Any, rows: _Rows) -> verdict.DatabaseFacts:
    newest = rows.snapshots.get(database.newest_snapshot)
    proved = rows.snapshots.get(database.newest_proved)
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
        proof=verdict.Proof(proof.pk, proof.verdict, proof.finished_at, proof.snapshot.short_id)
        if proof
        else None,
        failed_verification=_run(
            _failed(rows, database, "verify", after=proof.finished_at if proof else None)
        ),
        proved_at=proved.time if proved else None,
        proved_id=proved.short_id if proved else "",
        has_another=database.not_known_bad is not None,
        # The gate goes by what was verified, people by when.
        proved_on=None if settings.SENTINEL.verified_threshold_seconds or not proved else proved.verified_at,
        proof_allowed=staleness.proof_counts(database, rows.now),
        proof_is_scheduled=bool(schedules.usable(database.verify_cron)),
        is_scheduled=bool(schedules.usable(database.backup_cron)),
        conflicts=tuple(staleness.conflicts(database, rows.now, takes=takes)),
        withheld=verdict.RunFacts(good.pk, str(good), good.because or "")
        if good and _is_withheld(database, good, newest, waits)
        else None,
        unreadable_secret=rows.failures.get(secrets_subject(database), "") if rows.failures else "",
        other_environment=(differs.serious.what, differs.serious.do) if differs.serious else None,
        undecided=differs.warnings,
        overruled=differs.overruled,
        undeclared=rows.undeclared[database.pk],
    )


def _proof(run: Run | None) -> Verification | None:
    return None if run is None else run.verification


def _failed(rows: _Rows, database: Any, which: str, *, after: datetime | None) -> Run | None:
    """The newest run that failed or was lost, unless one that went well is newer."""
    keys = [getattr(database, f"{which}_{status}") for status in FAILED]
    ended = [rows.runs[key] for key in keys if key in rows.runs]
    last = max(ended, key=lambda run: run.finished_at or run.queued_at, default=None)
    if last is None or (after is not None and (last.finished_at or last.queued_at) < after):
        return None
    return last


def _is_withheld(database: Any, good: Run, newest: Snapshot | None, waits: Suspicion | None) -> bool:
    """Where nothing else says why: a damaged repository and a backup that waits say so themselves."""
    if newest is None or not _says_withheld(good):
        return False
    if waits is not None or database.repository.is_damaged:
        return False
    last_ok = heartbeat_files.last_ok(database)
    return last_ok is None or last_ok < newest.time.replace(microsecond=0)


def _run(run: Run | None) -> verdict.RunFacts | None:
    return verdict.RunFacts(run.pk, str(run), run.error) if run else None
