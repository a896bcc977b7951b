"""Reads rows and status files, and has the verdict judge them: for pages, figures, commands and alerts.

The number of queries does not grow with the history, nor with the number of databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import get_language

from backups import installation, marks, verdict
from backups.catalog import made_here
from backups.choices import TERMINAL, AlertState, Status, SuspicionState
from backups.configuration import environment
from backups.configuration.environment import Differences
from backups.endpoints import secrets_subject
from backups.gate import heartbeat_files
from backups.models import (
    Alert,
    Database,
    Run,
    Snapshot,
    Suspicion,
    Verification,
)
from backups.notifications import channels
from backups.reports import gate_words, own_database, portal_start, repository_facts, stand_downs, workers
from backups.reports.rows import FAILED, by_key, databases_with_newest, newest_good_backup, share
from backups.runs import queue
from backups.scheduling import schedules, staleness
from backups.text.sentences import phrase
from sentinel.environment import GateSettings
from sentinel.gate import Observation, Word, decide
from sentinel.heartbeat import Reading
from sentinel.kept import Kept
from sentinel.observe import observe

# The alert's subject under which it is noted that the queue was told to play what is not ours.
ORDERS = phrase("Orders in the queue")


@dataclass(frozen=True)
class Standing:
    """How everything stands at one moment, with the rows that tell it by their keys."""

    now: datetime
    databases: Sequence[Any]
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]
    overall: verdict.Overall
    # When the gate closes where no further backup is made.
    closes_at: datetime | None
    # What lies in the status folder: of very many databases it is not read twice.
    files: Observation

    def good(self, database: Any) -> Run | None:
        """The newest backup that succeeded."""
        return self.runs.get(database.newest_succeeded)

    def newest(self, database: Any) -> Snapshot | None:
        """The newest snapshot that counts as a backup."""
        return self.snapshots.get(database.newest_snapshot)

    def proved(self, database: Any) -> Snapshot | None:
        """The newest of these that is verified."""
        return self.snapshots.get(database.newest_proved)


def read(now: datetime | None = None, version: str = "") -> Standing:
    """Look at everything. Rows are read once for each `version` of them, if need be asked for here.

    What time alone decides is judged anew each time, and so are files, and whether workers are there.
    """
    now = now or timezone.now()
    # A caller's own time is not that of the version.
    # Some of what is kept is a text already.
    of = f"{version or marks.version()} {int(now.timestamp()) // marks.BOUND_SECONDS} {get_language()}"
    return _judged(_SEEN.get(of, partial(_see, now)), now)


def read_told(now: datetime) -> Standing:
    """The same, but of the databases only those of which more is told than what their runs and age tell.

    Who tells people looks each minute, and almost never is there such a database.
    """
    return _judged(_see(now, _withheld_by_now()), now)


def _judged(seen: _Seen, now: datetime) -> Standing:
    files = observe(settings.SENTINEL, now, files=FILES)
    facts = replace(
        seen.facts,
        now=now,
        gate=gate_by_files(now, files),
        workers=workers.facts(),
    )
    overall = verdict.overall(facts)
    return Standing(now, seen.databases, seen.runs, seen.snapshots, overall, facts.gate.closes_at, files)


@dataclass(frozen=True)
class _Seen:
    """What rows tell, whoever asks, and when."""

    databases: Sequence[Any]
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]
    facts: verdict.Facts


_SEEN = marks.Kept[_Seen]()


# Read again where they do not look as they did.
FILES = Kept()


def _see(now: datetime, only: QuerySet[Database] | None = None) -> _Seen:
    databases = list(databases_with_newest(now, only))
    repositories = list(repository_facts.rows())
    share(databases, repositories)
    runs = by_key(Run.objects.only(*_OF_A_RUN), _keys(databases, _RUNS))
    snapshots = by_key(Snapshot.objects.only(*_OF_A_SNAPSHOT), _keys(databases, _SNAPSHOTS))
    proofs = Verification.objects.select_related("snapshot").only(*_OF_A_PROOF)
    rows = _Rows(
        now, repositories, runs, snapshots,
        by_key(proofs, _keys(databases, ["newest_proof"])),
        {each.database_id: each for each in _waiting()},
        _withheld(databases),
        environment.differences(databases),
        environment.undeclared(databases),
        list(Alert.objects.filter(Q(state=AlertState.FAILED) | ~Q(error="") | Q(subject=ORDERS))),
        stand_downs.read(now),
    )  # fmt: skip
    facts = _facts(rows, databases)
    if only is not None:
        facts = replace(facts, databases_in_all=Database.objects.in_service().count())
    return _Seen(databases, runs, snapshots, facts)


@dataclass(frozen=True)
class _Rows:
    """What the queries brought, by key."""

    now: datetime
    repositories: Sequence[Any]
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]
    proofs: Mapping[int, Verification]
    suspicions: Mapping[int, Suspicion]
    withheld: Mapping[int, str]
    differences: Mapping[int, Differences]
    undeclared: Mapping[int, Sequence[str]]
    # Those that failed, those that somebody could not be told, and of strange orders.
    alerts: Sequence[Alert]
    stood_down: stand_downs.StoodDown

    def failure(self, subject: str) -> str:
        """What an alert says whose subject failed; empty where it did not."""
        return self._failures.get(subject, "")

    @cached_property
    def _failures(self) -> dict[str, str]:
        return {each.subject: each.text for each in self.alerts if each.state == AlertState.FAILED}


# What is told of a row of each.
_OF_A_RUN = ("action", "error", "queued_at", "started_at", "finished_at")
_OF_A_SNAPSHOT = ("snapshot_id", "time", "verdict", "verified_at", "total_bytes_processed")
_OF_A_PROOF = ("verdict", "finished_at", "snapshot__snapshot_id")
_RUNS = [*(f"newest_{status}" for status in TERMINAL), *(f"verify_{status}" for status in FAILED)]
_SNAPSHOTS = ["newest_snapshot", "newest_proved"]


def _keys(databases: Iterable[Any], names: Iterable[str]) -> list[int]:
    names = list(names)
    return [key for database in databases for name in names if (key := getattr(database, name))]


def _waiting() -> QuerySet[Suspicion]:
    """Of each database the newest backup that waits for a person comes last."""
    rows = Suspicion.objects.filter(state=SuspicionState.WAITING).order_by("pk")
    return rows.select_related("snapshot").defer("snapshot__manifest", "snapshot__tags")


def _withheld(databases: Iterable[Any]) -> dict[int, str]:
    """Newest good backups after which no heartbeat was written, with the reason where it is known."""
    newest = Run.objects.filter(pk__in=_keys(databases, ["newest_succeeded"]), result__heartbeat="withheld")
    return {pk: because or "" for pk, because in newest.values_list("pk", "result__withheld_because")}


def _withheld_by_now() -> QuerySet[Database]:
    """Those after whose newest good backup no heartbeat was written."""
    in_service = Database.objects.in_service()
    newest = in_service.order_by().annotate(newest=newest_good_backup()).values("newest")
    runs = Run.objects.filter(pk__in=newest, result__heartbeat="withheld")
    return in_service.filter(pk__in=runs.order_by().values("database"))


# ---------------------------------------------------------------- Facts


def _facts(rows: _Rows, databases: Sequence[Any]) -> verdict.Facts:
    untold = [alert for alert in rows.alerts if alert.error]
    waits = Run.objects.filter(status=Status.QUEUED).order_by("queued_at").first()
    commands = installation.commands()
    in_portal = channels.watching()
    return verdict.Facts(
        now=rows.now,
        databases=[_database(database, rows) for database in databases],
        retired=rows.stood_down.retired,
        repositories=[_repository(each, databases, rows) for each in rows.repositories],
        gate_process=gate_process(),
        silent_after=queue.PULSE_LOST,
        clocks_differ=queue.PULSE_AHEAD,
        waiting=verdict.RunFacts(waits.pk, str(waits), since=waits.queued_at) if waits else None,
        is_busy=Run.objects.filter(status=Status.RUNNING).exists(),
        channels=len(settings.NOTIFY_URLS) + len(in_portal),
        unknown_channels=channels.unknown(),
        failing_channels=[(each.name, each.answer) for each in in_portal if each.is_failing],
        pings=bool(settings.PING_URL),
        ping_error=rows.failure(channels.PING) if settings.PING_URL else "",
        env_file=_env_file(),
        portal_secrets=portal_start.finding(),
        portal_database=own_database.finding(),
        key_to_copy=made_here.not_copied(),
        strange_orders=[each.text for each in rows.alerts if _is_strange_order(each)],
        untold=len(untold),
        told_nobody=channels.told_nobody(untold),
        start_worker=commands.start_worker,
        worker_log=commands.worker_log,
    )


def _env_file() -> tuple[str, str] | None:
    doubt = settings.ENV_FILE_DOUBT
    return (f"{doubt.what} {doubt.until}", doubt.do) if doubt else None


def _repository(repository: Any, databases: Sequence[Any], rows: _Rows) -> verdict.RepositoryFacts:
    backups = (each.newest_succeeded for each in databases if each.repository_id == repository.pk)
    secret = rows.failure(secrets_subject(repository))
    return repository_facts.facts(repository, backups, secret, rows.now)


def _is_strange_order(alert: Alert) -> bool:
    return alert.subject == ORDERS and alert.state == AlertState.SUSPICIOUS


def _database(database: Any, rows: _Rows) -> verdict.DatabaseFacts:
    newest = rows.snapshots.get(database.newest_snapshot)
    proved = rows.snapshots.get(database.newest_proved)
    proof = rows.proofs.get(database.newest_proof)
    waits = rows.suspicions.get(database.pk)
    good = rows.runs.get(database.newest_succeeded)
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
        withheld=verdict.RunFacts(good.pk, str(good), rows.withheld[good.pk])
        if good and _is_withheld(database, good, newest, waits, rows)
        else None,
        unreadable_secret=rows.failure(secrets_subject(database)),
        other_environment=(differs.serious.what, differs.serious.do) if differs.serious else None,
        undecided=differs.warnings,
        overruled=differs.overruled,
        undeclared=rows.undeclared[database.pk],
        paused=rows.stood_down.paused.get(database.pk),
        muted=rows.stood_down.muted.get(database.pk),
    )


def _failed(rows: _Rows, database: Any, which: str, *, after: datetime | None) -> Run | None:
    """The newest run that failed or was lost, unless one that went well is newer."""
    keys = [getattr(database, f"{which}_{status}") for status in FAILED]
    ended = [rows.runs[key] for key in keys if key in rows.runs]
    last = max(ended, key=lambda run: run.finished_at or run.queued_at, default=None)
    if last is None or (after is not None and (last.finished_at or last.queued_at) < after):
        return None
    return last


def _is_withheld(
    database: Any, good: Run, newest: Snapshot | None, waits: Suspicion | None, rows: _Rows
) -> bool:
    """Where nothing else says why: a damaged repository and a backup that waits say so themselves."""
    if newest is None or good.pk not in rows.withheld:
        return False
    if waits is not None or database.repository.is_damaged:
        return False
    last_ok = heartbeat_files.last_ok(database)
    return last_ok is None or last_ok < newest.time.replace(microsecond=0)


def _run(run: Run | None) -> verdict.RunFacts | None:
    return verdict.RunFacts(run.pk, str(run), run.error) if run else None


# ---------------------------------------------------------------- The gate


def gate_by_files(now: datetime | None = None, files: Observation | None = None) -> verdict.GateFacts:
    """What the gate's process has to say, whether it says so or not; by `files` where those are read."""
    now = now or timezone.now()
    limits: GateSettings = settings.SENTINEL
    observation = files or observe(limits, now, files=FILES)
    found = decide(observation, limits, now)
    worst = next(
        (
            gate_words.sentence(one, files, limits)
            for one, files in zip(found.databases, observation.databases, strict=False)
            if one.name == found.database
        ),
        gate_words.reason(found.reason),
    )
    if found.word is Word.OVERRIDE:
        worst = found.reason
    closes_at = _closes_at(observation, limits, now) if found.open else None
    return verdict.GateFacts(found.open, found.word.value, worst, closes_at)


# The subject of the alert that has what was found of the gate's process, with the address after it.
GATE_PROCESS = "Gate process at "


def gate_process() -> tuple[str, str] | None:
    """What is wrong with it as it was found last, and what to do about it; nothing where nothing gates."""
    alert = Alert.objects.filter(subject__startswith=GATE_PROCESS, state=AlertState.TROUBLE).first()
    if alert is None or not Database.objects.in_service().filter(gates_app=True).exists():
        return None
    what, _, do = str(alert.in_words("text")).partition("\n")
    return what, do


def _closes_at(observation: Observation, limits: GateSettings, now: datetime) -> datetime | None:
    """When it closes by itself: it is asked what it would say after each time that ends something."""
    ends = [now]
    for files in observation.databases:
        own = files.threshold_seconds
        ends += _end(files.heartbeat, limits.threshold_seconds if own is None else own)
        ends += _end(files.verified, limits.verified_threshold_seconds)
    ends += _end(observation.first_boot, limits.boot_grace_seconds)
    if observation.override is not None:
        ends.append(observation.override.until)
    for end in sorted(end for end in ends if end >= now):
        if not decide(observation, limits, end + _SECOND).open:
            return end
    return None


_SECOND = timedelta(seconds=1)


def _end(reading: Reading, seconds: int) -> list[datetime]:
    return [reading.time + timedelta(seconds=seconds)] if reading.time is not None else []
