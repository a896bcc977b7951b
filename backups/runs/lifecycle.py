"""The only writers of runs, leases and snapshots. No I/O but the portal's own database.

A run's life: `run_enqueue` inserts it, `run_claim` takes it for one worker (a conditional UPDATE
that must hit one row), `run_pick` does so for the one whose turn it is, `run_beat` says that it lives,
`run_finish` gives it its outcome, and `runs_reap` gives the outcome to those whose worker died.

The rows are the queue: a message only wakes a worker, and may be lost or doubled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import PickleSerializer
from django_q.tasks import async_task

from backups import aim, restic
from backups.choices import (
    ACTIVE,
    BAD_VERDICTS,
    EXCLUSIVE_ACTIONS,
    RESTORE_ACTIONS,
    TERMINAL,
    UNSETTLED,
    Action,
    DefinerPolicy,
    Health,
    Level,
    RestoreMode,
    Status,
    SuspicionState,
    Swap,
    Trigger,
    Verdict,
    right_to_start,
)
from backups.errors import LostClaim, Refused
from backups.models import (
    Database,
    Repository,
    Restore,
    Run,
    RunLine,
    Snapshot,
    Suspicion,
    Verification,
    WorkerPulse,
)
from backups.runs import turns

logger = logging.getLogger(__name__)

# Beats come every second or so, but for the minute that a server's answers may take; who is silent for longer
# is taken for dead.
BEAT_LOST = timedelta(seconds=max(60, settings.MYSQL_QUESTION_SECONDS) + 15)
LEASE = BEAT_LOST + timedelta(seconds=15)
# So long after a run was lost its repository is looked at for stale locks, once a minute.
LOCK_LEFT = timedelta(minutes=3)
# So long a run may wait without a message that tells of it.
QUEUE_LOST = timedelta(minutes=1)
# So long whoever asked for a run may be busy with what comes before it.
_ASKED_LOST = timedelta(minutes=5)
PULSE_LOST = timedelta(minutes=2)
# Further ahead than clocks of two machines are apart: it was seen before the clock was set back.
PULSE_AHEAD = timedelta(minutes=1)
_PULSE_STEP = timedelta(seconds=15)


class IllegalTransition(Exception):
    """A run was to leave a status that it is not in."""


class PortalCopy(Protocol):
    """What is to be known of the copy from which the portal came back."""

    @property
    def made_at(self) -> datetime:
        """When it was made."""

    @property
    def made_by(self) -> int:
        """The run that made it, whose end it cannot hold."""


@dataclass(frozen=True)
class Beat:
    """What a run's worker reports about once a second."""

    phase: str
    bytes_done: int
    bytes_expected: int | None
    detail: str


def run_enqueue(
    *,
    action: Action,
    trigger: Trigger,
    database: Database | None = None,
    repository: Repository | None = None,
    snapshot: Snapshot | None = None,
    requested_by: User | None = None,
    parent: Run | None = None,
    options: Mapping[str, Any] | None = None,
    send: bool = True,
) -> Run:
    """Insert a queued run and, with `send`, wake a worker once the transaction is through.

    Without it whoever inserts it plays it.

    Its repository is, unless given, that of its snapshot, else that of its database. Raises Refused
    when the same is queued or running already; the backup before a restore waits for a running one
    elsewhere, and never behind a queued one.
    """
    if repository is None and snapshot is not None:
        # Which is not its database's, once that was given another.
        repository = snapshot.repository
    if repository is None:
        if database is None:
            raise ValueError("a run needs a database or a repository")
        repository = database.repository
    with transaction.atomic():
        Repository.objects.select_for_update().get(pk=repository.pk)
        if trigger != Trigger.RESTORE:
            _refuse_twin(action, database, repository)
        run = Run.objects.create(
            action=action,
            trigger=trigger,
            database=database,
            repository=repository,
            snapshot=snapshot,
            requested_by=requested_by,
            parent=parent,
            options=dict(options or {}),
            worker="" if send else _WHO_ASKED,
        )
        if send:
            transaction.on_commit(lambda: _send(run))
    return run


# Who plays a queued run that no message tells of.
_WHO_ASKED = "who asked"


# Why `manage.py recover` restores: it takes no choices.
FOR_RECOVERY = "recover"


def restore_enqueue(
    *,
    database: Database,
    snapshot: Snapshot,
    mode: RestoreMode,
    target: str,
    trigger: Trigger,
    tables: Sequence[str] = (),
    definers: DefinerPolicy = DefinerPolicy.KEEP,
    without_safety: bool = False,
    known_bad: bool = False,
    reason: str = "",
    undo_of: Restore | None = None,
    across: tuple[str, str] | None = None,
    requested_by: User | None = None,
    send: bool = True,
) -> Run:
    """Insert a queued restore (or undo) with all that it needs to know.

    `across` are the names that a person gave of the snapshot's database and of the one that is to
    hold it, where they differ; `known_bad` says that they want one that is known to be bad. Raises
    Refused while another restore of the same target is queued or running, Problem for a target that does
    not fit the mode, or a snapshot that does not fit the target.
    """
    aim.refuse_unfit_target(database, mode, target, undo_of)
    if mode != RestoreMode.UNDO:
        aim.refuse_unfit_snapshot(database, snapshot, mode, across)
        aim.refuse_known_bad(snapshot, insisted=known_bad)
    with transaction.atomic():
        # In one order, for whoever locks both.
        both = Repository.objects.filter(pk__in=[database.repository_id, snapshot.repository_id])
        list(both.select_for_update().order_by("pk"))
        if mode != RestoreMode.FILE:
            refuse_same_target(database, target)
            refuse_unsettled(database, target)
        run = run_enqueue(
            action=Action.UNDO if undo_of else Action.RESTORE,
            trigger=trigger,
            database=database,
            snapshot=snapshot,
            requested_by=requested_by,
            options={"known_bad": True} if known_bad else {},
            send=send,
        )
        Restore.objects.create(
            run=run,
            database=database,
            snapshot=snapshot,
            mode=mode,
            target=target,
            tables=sorted(tables),
            definers=definers,
            without_safety=without_safety,
            reason=reason,
            undo_of=undo_of,
        )
    return run


def restore_note(restore: Restore, **facts: Any) -> None:
    """Store how far a restore is."""
    for name, value in facts.items():
        setattr(restore, name, value)
    restore.save(update_fields=list(facts))


def restore_finished_swap(
    restore: Restore, *, left: Sequence[Mapping[str, Any]] = (), now: datetime | None = None
) -> None:
    """The target's tables are what was to come; what it was before can be had back.

    `left` are the definitions that could not be made.
    """
    now = now or timezone.now()
    # Together: what is undone and does not say so would be undone once more, into nothing.
    with transaction.atomic():
        restore_note(restore, swap=Swap.FINISHED, swapped_at=now, definitions_left=list(left))
        if restore.undo_of is not None:
            restore_note(restore.undo_of, undone_at=now)


def left_out(definitions: Sequence[Mapping[str, Any]]) -> str:
    """Definitions by kind and name, for a sentence: the first few of them."""
    names = [f"{one['kind']} {one['name']}" for one in definitions[:_NAMED]]
    more = len(definitions) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


_NAMED = 5


def restores_broken_off() -> list[Restore]:
    """Restores whose run is over and whose swap is neither finished nor rolled back."""
    over = Restore.objects.filter(run__status__in=TERMINAL, swap__in=UNSETTLED)
    return list(over.select_related("run", "database__repository", "snapshot"))


def run_amend(run: Run, sentence: str) -> None:
    """Add to a run that is over how what it left behind was put right."""
    run_log(run.pk, [line(sentence, Level.WARNING)])
    Run.objects.filter(pk=run.pk, status__in=TERMINAL).update(error=f"{run.error} {sentence}".strip())


def refuse_same_target(database: Database, target: str) -> None:
    """Raise Refused while another restore of the same target is queued or running."""
    under_way = Restore.objects.filter(
        run__status__in=ACTIVE,
        database__host=database.host,
        database__port=database.port,
        target=target,
    ).exclude(mode=RestoreMode.FILE)
    twin = under_way.select_related("run__database", "run__repository").first()
    if twin is not None:
        raise Refused(
            f"Not started: {_describe(twin.run)} goes to {target} as well.",
            do="Wait for it to end, or cancel it, then start again.",
        )


def refuse_unsettled(database: Database, target: str, *, but: Restore | None = None) -> None:
    """Raise Refused while a swap of the target is half-way: its tables may be in either place."""
    there = Restore.objects.filter(
        database__host=database.host, database__port=database.port, target=target, swap__in=UNSETTLED
    )
    others = there.exclude(pk=but.pk) if but is not None else there
    half = others.select_related("run__database").first()
    if half is not None:
        raise Refused(
            f"Not started: the swap of {_describe(half.run)} was broken off and is not ended yet.",
            safe=f"{target} was not touched.",
            do="That is tried every minute; see that the worker runs and the database server answers, then "
            "start again.",
        )


def run_claim(run_id: int, *, worker: str, now: datetime | None = None) -> Run | None:
    """Take a queued run for `worker`; None when someone else has, or it is over.

    A redelivered or doubled queue message ends here, and what somebody asked for who may no more. Raises
    Refused (the run is then failed with the sentence) when another run holds the lease that this one needs.
    """
    now = now or timezone.now()
    with transaction.atomic():
        run, holder = _take(run_id, worker, now)
    if holder is not None:
        refusal = Refused(
            f"Not started: {_describe(holder)} is using the same "
            f"{'repository' if run and run.action in EXCLUSIVE_ACTIONS else 'database'}.",
            do="Wait for it to end, then start again.",
        )
        run_finish(run_id, status=Status.FAILED, error=refusal.sentence())
        raise refusal
    return run


def run_pick(*, prompt: bool, worker: str, now: datetime | None = None) -> Run | None:
    """Take for `worker` the queued run whose turn it is, None where none may begin.

    `prompt` are the actions that somebody waits for. Those that have to wait say in `detail` for what.
    """
    now = now or timezone.now()
    with transaction.atomic():
        _one_picks_at_a_time()
        for queued in _in_turn(prompt):
            run, holder = _take(queued.pk, worker, now)
            if holder is not None:
                _put_back(queued, holder)
            elif run is not None:
                return run
    return None


def _one_picks_at_a_time() -> None:
    """Else two would see the same server free. SQLite has one writer anyway."""
    list(Repository.objects.select_for_update().order_by("pk").values_list("pk"))


def _in_turn(prompt: bool) -> Iterator[Run]:
    """Of the runs that wait in the queue those that may begin, looked for one after the other."""
    related = ("database", "repository")
    waiting = [run for run in _in_queue().select_related(*related) if turns.is_prompt(run) == prompt]
    if not waiting:
        return
    running = list(Run.objects.filter(status=Status.RUNNING).order_by("pk").select_related(*related))
    repositories = Repository.objects.count()
    for run in turns.in_order(waiting):
        before = turns.waits_for(run, running, repositories=repositories)
        if before is None:
            yield run
        else:
            _note_wait(run, before)


def _in_queue() -> QuerySet[Run]:
    return Run.objects.filter(status=Status.QUEUED, trigger__in=_SENT_BY_QUEUE, worker="")


def _put_back(run: Run, holder: Run) -> None:
    """Its lease is held by a run that is not under way any more, until that ran out."""
    queued = {"status": Status.QUEUED, "started_at": None, "beat_at": None, "worker": ""}
    Run.objects.filter(pk=run.pk).update(**queued)
    _note_wait(run, holder)


def _note_wait(run: Run, before: Run) -> None:
    words = f"Waits for {_describe(before)}."[:200]
    if run.detail != words:
        Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(detail=words)


def _take(run_id: int, worker: str, now: datetime) -> tuple[Run | None, Run | None]:
    """A queued run, taken, None where it is not to be had; and who holds the lease that it needs."""
    if _is_without_right(run_id, now):
        return None, None
    hit = Run.objects.filter(pk=run_id, status=Status.QUEUED).update(
        status=Status.RUNNING, started_at=now, beat_at=now, worker=worker, detail=""
    )
    if hit != 1:
        return None, None
    run = Run.objects.select_related("database__repository", "repository", "snapshot").get(pk=run_id)
    return run, _lease_take(run, now)


def _is_without_right(run_id: int, now: datetime) -> bool:
    """Whether whoever asked for a run may start it no more, in which case it is cancelled.

    A part of a run that is under way, as is the backup before a restore, stands and falls with that.
    """
    asked = Run.objects.filter(pk=run_id, status=Status.QUEUED, parent=None, requested_by__isnull=False)
    run = asked.select_related("requested_by").first()
    if run is None or run.requested_by is None:
        return False
    right = _RIGHT_TO_DRILL if "gate" in run.options else right_to_start(run.action)
    person = run.requested_by
    if person.is_active and person.is_staff and person.has_perm(right):
        return False
    why = "may not start such a run any more" if person.is_active else "is no longer active"
    _cancel_without_right(asked, f"{person.get_username()}, who asked for it, {why}.", now)
    return True


# A drill is played as a preflight, and shuts the gate for a moment.
_RIGHT_TO_DRILL = "backups.override_gate"


def person_goes(person: User, *, now: datetime | None = None) -> None:
    """Cancel what waits of a person whose account is about to be deleted: afterwards it would be nobody's."""
    waits = Run.objects.filter(status=Status.QUEUED, parent=None, requested_by=person)
    why = f"the account of {person.get_username()}, who asked for it, was deleted."
    _cancel_without_right(waits, why, now or timezone.now())


def _cancel_without_right(runs: QuerySet[Run], why: str, now: datetime) -> None:
    sentence = f"Cancelled before it started: {why} Nothing was done; whoever may can start it again."
    keys = list(runs.values_list("pk", flat=True))
    Run.objects.filter(pk__in=keys, status=Status.QUEUED).update(
        status=Status.CANCELLED, error=sentence, finished_at=now
    )
    for key in keys:
        logger.warning("run %s: %s", key, sentence)


def run_beat(run_id: int, beat: Beat, *, now: datetime | None = None) -> bool:
    """Say that the run lives and how far it is; answers whether its cancel was requested.

    Raises LostClaim when the run is not running any more.
    """
    now = now or timezone.now()
    hit = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
        beat_at=now,
        phase=beat.phase,
        bytes_done=beat.bytes_done,
        bytes_expected=beat.bytes_expected,
        detail=beat.detail[:200],
    )
    if hit != 1:
        raise LostClaim
    for model in (Database, Repository):
        model.objects.filter(lease_run=run_id).update(lease_until=now + LEASE)
    return Run.objects.values_list("cancel_requested", flat=True).get(pk=run_id)


def run_phase(run_id: int, name: str, *, now: datetime | None = None) -> None:
    """Append a phase to the run's story."""
    run = Run.objects.only("phases").get(pk=run_id)
    phases = [*run.phases, {"name": name, "at": (now or timezone.now()).isoformat()}]
    Run.objects.filter(pk=run_id, status=Status.RUNNING).update(phase=name, phases=phases)


def run_note(run_id: int, **facts: Any) -> None:
    """Store what the run found out: versions, its snapshot, results (merged into `result`)."""
    if "result" in facts:
        known = Run.objects.values_list("result", flat=True).get(pk=run_id)
        facts["result"] = {**known, **facts["result"]}
    Run.objects.filter(pk=run_id).update(**facts)


def restic_facts(version: str, origin: restic.Origin) -> dict[str, Any]:
    """For `run_note`: which restic a run works with, and where that is from."""
    told = {"version": version, "origin": origin.words, "sha256": origin.sha256, "pinned": origin.is_pinned}
    return {"restic_version": version, "result": {"restic": told}}


def run_log(run_id: int, lines: Iterable[tuple[datetime, Level, str]]) -> None:
    """Append lines to the run's log."""
    RunLine.objects.bulk_create(
        RunLine(run_id=run_id, at=at, level=level, text=text) for at, level, text in lines
    )


def line(text: str, level: Level = Level.INFO) -> tuple[datetime, Level, str]:
    """A line for `run_log`, of now."""
    return timezone.now(), level, text


def skipped_note(action: Action, database: Database) -> None:
    """Say in the running run's log that a scheduled one was left out because of it."""
    running = Run.objects.filter(action=action, database=database, status__in=ACTIVE).first()
    if running is not None:
        text = f"The scheduled {action.label.lower()} was left out, because this one was under way."
        run_log(running.pk, [line(text, Level.WARNING)])


def run_finish(run_id: int, *, status: Status, error: str = "", now: datetime | None = None) -> None:
    """Give a running run its outcome and its leases back. Raises IllegalTransition."""
    if status not in {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}:
        raise IllegalTransition(f"a run does not finish as {status}")
    with transaction.atomic():
        hit = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
            status=status, error=error, finished_at=now or timezone.now(), detail=""
        )
        if hit != 1:
            raise IllegalTransition(f"run {run_id} is not running")
        _lease_release(run_id)


def run_cancel(run: Run, *, now: datetime | None = None) -> None:
    """Cancel a queued run at once; ask a running one's worker to stop. Raises IllegalTransition."""
    hit = Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(
        status=Status.CANCELLED,
        error="Cancelled before it started.",
        finished_at=now or timezone.now(),
    )
    hit += Run.objects.filter(pk=run.pk, status=Status.RUNNING).update(cancel_requested=True)
    if hit == 0:
        raise IllegalTransition(f"{run} is over, there is nothing to cancel")


def runs_stop(*, is_ours: Callable[[str], bool]) -> list[Run]:
    """Ask running runs to cancel because their worker is to end; answers which were asked.

    `is_ours` tells of a worker's identity whether it is one of those that end.
    """
    asked = []
    for run in Run.objects.filter(status=Status.RUNNING, cancel_requested=False).exclude(worker=""):
        if is_ours(run.worker):
            with suppress(IllegalTransition):
                run_cancel(run)
                run_log(run.pk, [line("The worker was told to stop, so this run is cancelled.")])
                asked.append(run)
    return asked


def runs_reap(
    *,
    is_gone: Callable[[str], bool],
    may_live: Callable[[Run], bool] = lambda _run: False,
    now: datetime | None = None,
) -> list[Run]:
    """Mark running runs lost whose worker is gone or silent; answers which they are.

    `is_gone` tells of a worker's identity whether that process surely runs no more, `may_live` of a run
    with an old beat that its worker may go by another clock.
    """
    now = now or timezone.now()
    _give_up_never_begun(now)
    _count_from_now(now)
    lost = []
    for run in Run.objects.filter(status=Status.RUNNING).select_related("database", "repository"):
        gone = bool(run.worker) and is_gone(run.worker)
        if not gone and run.beat_at is not None and (run.beat_at > now - BEAT_LOST or may_live(run)):
            continue
        with transaction.atomic():
            hit = Run.objects.filter(pk=run.pk, status=Status.RUNNING, beat_at=run.beat_at).update(
                status=Status.LOST, error=_lost_sentence(run), finished_at=now, detail=""
            )
            if hit:
                _lease_release(run.pk)
        if hit:
            run.refresh_from_db()
            lost.append(run)
    return lost


def _count_from_now(now: datetime) -> None:
    """After the clock was set back, a dead worker's last beat would keep its run alive for as long."""
    Run.objects.filter(status=Status.RUNNING, beat_at__gt=now + BEAT_LOST).update(beat_at=now)


def _give_up_never_begun(now: datetime) -> None:
    """Runs that a process queued for itself alone, and then died: they would refuse others for ever."""
    orphans = Run.objects.filter(status=Status.QUEUED).exclude(trigger__in=_SENT_BY_QUEUE)
    orphans.filter(Q(queued_at__lt=now - BEAT_LOST) | Q(parent__status__in=TERMINAL)).update(
        status=Status.CANCELLED,
        error="The process that was to play it ended before it began. Nothing was done.",
        finished_at=now,
    )


def repositories_left_locked(now: datetime | None = None) -> list[Repository]:
    """Where a run was lost lately: the restic of its dead worker may take a while to end."""
    lately = (now or timezone.now()) - LOCK_LEFT
    return list(Repository.objects.filter(runs__status=Status.LOST, runs__finished_at__gt=lately).distinct())


def runs_wake(*, prompt: bool) -> bool:
    """Wake a worker if a run may begin; answers whether. For whoever just made room."""
    run = next(_in_turn(prompt), None)
    if run is not None:
        _send(run)
    return run is not None


def runs_resend(now: datetime | None = None) -> int:
    """Wake workers for runs that may begin and of whom no message is left; answers how many.

    Also those that whoever asked for them did not come to play. Messages that cannot be read go: the queue
    would stumble over them for ever.
    """
    now = now or timezone.now()
    since = now - QUEUE_LOST
    left = Run.objects.filter(status=Status.QUEUED, trigger__in=_SENT_BY_QUEUE, worker=_WHO_ASKED)
    left.filter(queued_at__lt=now - _ASKED_LOST).update(worker="")
    woken = _clusters_with_messages(now)
    running = list(Run.objects.filter(status=Status.RUNNING).only("action"))
    lost = [
        run
        for prompt in (False, True)
        if _cluster(prompt) not in woken
        and sum(turns.is_prompt(each) == prompt for each in running) < settings.RUNS_AT_ONCE
        and (run := next(_in_turn(prompt), None)) is not None
        and run.queued_at < since
    ]
    for run in lost:
        run_log(run.pk, [line("No message to the worker was left for it; one is sent again.", Level.WARNING)])
        _send(run)
    return len(lost)


def _clusters_with_messages(now: datetime) -> set[str]:
    """The clusters for which a message waits that will wake one of their processes."""
    found = set()
    for row in OrmQ.objects.all():
        try:
            task = queue_read(row.payload)
            if task["func"] == _EXECUTE and row.lock is not None and row.lock <= now:
                found.add(row.key)
        except Exception as error:  # noqa: BLE001  unpacking runs whatever the message names
            queue_unreadable(row.pk, error)
            row.delete()
    return found


def queue_read(payload: str) -> Any:
    """What a message of the queue says that was signed with SECRET_KEY, or with one of SECRET_KEY_FALLBACKS.

    Raises whatever unpacking raises.
    """
    return signing.loads(payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=PickleSerializer)


def queue_unreadable(pk: int, error: Exception) -> None:
    """Say in the log that a message goes because nobody can read it."""
    logger.error(
        "message %s of the queue cannot be read (%s) and is removed; was SECRET_KEY changed? "
        "Queued runs are sent again; if a schedule's time was in it, back up by hand",
        pk,
        type(error).__name__,
    )


def queue_keep(now: datetime | None = None) -> None:
    """Free the messages that would wait for a time that was, before the clock was set back."""
    now = now or timezone.now()
    # One that is being worked on is locked for longer than that, up to its very end.
    taken = timedelta(seconds=Conf.RETRY - Conf.TIMEOUT)
    OrmQ.objects.filter(lock__gt=now + BEAT_LOST, lock__lt=now + taken).update(lock=now)


_EXECUTE = "backups.tasks.run_execute"
_SENT_BY_QUEUE = [Trigger.SCHEDULE, Trigger.ADMIN, Trigger.BACKUP, Trigger.VERIFY]


def pulse(cluster: str, *, sparingly: bool = False, now: datetime | None = None) -> None:
    """Note that a cluster of the queue is alive; `sparingly`, not where that was noted just now."""
    now = now or timezone.now()
    just_now = (now - _PULSE_STEP, now + PULSE_AHEAD)
    seen = WorkerPulse.objects.filter(cluster=cluster, seen_at__range=just_now)
    if not (sparingly and seen.exists()):
        WorkerPulse.objects.update_or_create(cluster=cluster, defaults={"seen_at": now})


def snapshot_record(
    info: restic.SnapshotInfo,
    *,
    repository: Repository,
    database: Database | None,
    made_by: Run | None = None,
    manifest: Mapping[str, Any] | None = None,
    signature: str | None = None,
) -> Snapshot:
    """Insert or complete the row of a snapshot that the repository holds.

    `signature` is given by who just made it, and empty where there was no key to sign with.
    """
    known: dict[str, Any] = {
        "database": database,
        "time": info.time,
        "host": info.hostname,
        "path": info.paths[0] if info.paths else "",
        "tags": list(info.tags),
        "total_bytes_processed": info.total_bytes_processed,
        "data_added": info.data_added,
        "data_added_packed": info.data_added_packed,
        "forgotten_at": None,
    }
    if made_by is not None:
        known["made_by"] = made_by
    if manifest is not None:
        known |= {"manifest": dict(manifest), "dump_sha256": manifest["sha256"]}
    if signature is not None:
        known |= {"signature": signature, "made_here": True}
    snapshot, _ = Snapshot.objects.update_or_create(
        repository=repository, snapshot_id=info.id, defaults=known
    )
    return snapshot


def suspicion_record(snapshot: Snapshot, database: Database, reasons: Sequence[str]) -> None:
    """Note that a person is to say whether the backup is right."""
    Suspicion.objects.update_or_create(
        snapshot=snapshot,
        defaults={"database": database, "reasons": list(reasons), "state": SuspicionState.WAITING},
    )


def suspicion_settle(
    suspicion: Suspicion, state: SuspicionState, *, by: str, reason: str = "", now: datetime | None = None
) -> bool:
    """End the wait for a person; answers whether it was not ended before, by another one."""
    waits = Suspicion.objects.filter(pk=suspicion.pk, state=SuspicionState.WAITING)
    ended = {"settled_at": now or timezone.now(), "settled_by": by[:200], "reason": reason[:300]}
    hit = waits.update(state=state, **ended)
    suspicion.refresh_from_db()
    return hit == 1


def snapshot_learned(snapshot: Snapshot, manifest: Mapping[str, Any]) -> None:
    """Store the manifest by which a snapshot that came here without it was just proved."""
    if snapshot.manifest is None:
        Snapshot.objects.filter(pk=snapshot.pk).update(
            manifest=dict(manifest), dump_sha256=manifest["sha256"]
        )


def backup_rebuilt(repository: Repository, info: restic.SnapshotInfo, database: Database | None) -> bool:
    """Write down the backup that made a snapshot, where its run is not known; answers whether."""
    snapshot = Snapshot.objects.get(repository=repository, snapshot_id=info.id)
    if snapshot.made_by is not None or database is None:
        return False
    began = info.backup_start or info.time
    run = Run.objects.create(
        action=Action.BACKUP,
        database=database,
        repository=repository,
        snapshot=snapshot,
        status=Status.SUCCEEDED,
        trigger=Trigger.RECOVERED,
        queued_at=began,
        started_at=began,
        finished_at=info.backup_end or info.time,
        bytes_done=info.total_bytes_processed or 0,
        result={
            "snapshot_id": info.id,
            "dump_bytes": info.total_bytes_processed,
            "data_added": info.data_added,
            "data_added_packed": info.data_added_packed,
        },
    )
    Snapshot.objects.filter(pk=snapshot.pk).update(made_by=run)
    return True


def snapshots_sync(
    repository: Repository,
    found: Sequence[tuple[restic.SnapshotInfo, Database | None]],
    *,
    unreadable: Collection[str] = (),
    is_repaired: bool = False,
    now: datetime | None = None,
) -> tuple[int, int]:
    """Make the table say what the repository holds; answers how many are new and how many gone.

    Those with `unreadable` ids are there, though restic does not list them. What was made of a bad one is
    bad as well until it is verified, and so is all that a repair has just written anew.
    """
    now = now or timezone.now()
    there = Snapshot.objects.filter(repository=repository, forgotten_at=None)
    known = set(there.values_list("snapshot_id", flat=True))
    # Read before their database was set up.
    ownerless = set(there.filter(database=None).values_list("snapshot_id", flat=True))
    present = {info.id for info, _ in found}
    missing = known - present - set(unreadable)
    with transaction.atomic():
        for info, database in found:
            if info.id not in known:
                snapshot = snapshot_record(info, repository=repository, database=database)
                if info.original and (is_repaired or _was_bad(info.original, repository)):
                    Snapshot.objects.filter(pk=snapshot.pk).update(verdict=Verdict.UNREADABLE)
            elif database is not None and info.id in ownerless:
                there.filter(snapshot_id=info.id).update(database=database)
        gone = Snapshot.objects.filter(repository=repository, snapshot_id__in=missing).update(
            forgotten_at=now
        )
    return len(present - known), gone


def _was_bad(snapshot_id: str, repository: Repository) -> bool:
    """Whether a snapshot, which may be gone by now, was known to be bad."""
    rows = Snapshot.objects.filter(repository=repository, snapshot_id=snapshot_id, verdict__in=BAD_VERDICTS)
    return rows.exists()


def portal_came_back(copy: PortalCopy) -> None:
    """Give an outcome to what was under way when the portal was copied, and take all leases back.

    Nothing queued then is played now: it was asked for in another state of things.
    """
    then = timezone.localtime(copy.made_at)
    began = f"The portal came back from its copy of {then:%Y-%m-%d %H:%M:%S}"
    Run.objects.filter(pk=copy.made_by, status=Status.RUNNING).update(
        status=Status.SUCCEEDED, finished_at=copy.made_at, detail=""
    )
    Run.objects.filter(status=Status.RUNNING).update(
        status=Status.LOST,
        error=f"{began}, in which this run was under way. How it ended is not known.",
        finished_at=copy.made_at,
        detail="",
    )
    Run.objects.filter(status=Status.QUEUED).update(
        status=Status.CANCELLED,
        error=f"{began}, in which this run had not begun. Nothing was done.",
        finished_at=copy.made_at,
    )
    for model in (Database, Repository):
        model.objects.update(lease_run=None, lease_until=None)


def verification_record(
    run: Run, snapshot: Snapshot, *, is_of_the_server: bool = False, **found: Any
) -> Verification:
    """Store what a verification found, which is what the snapshot is from now on: the newest one counts.

    Of one that is bad its repository is suspect, unless it is known to be damaged, or all that was found
    `is_of_the_server`, whose settings make other values of the same rows.
    """
    with transaction.atomic():
        verification = Verification.objects.create(run=run, snapshot=snapshot, **found)
        is_good = verification.verdict == Verdict.IDENTICAL
        snapshot.verdict = verification.verdict
        snapshot.verified_at = verification.finished_at if is_good else None
        snapshot.save(update_fields=["verdict", "verified_at"])
        if verification.verdict in BAD_VERDICTS and not is_of_the_server:
            _suspect(snapshot, run, verification)
    result = {
        "snapshot_id": snapshot.snapshot_id,
        "verdict": str(verification.verdict),
        "differences": verification.differences,
        "tables": verification.tables,
        "rows": verification.rows,
    }
    run_note(run.pk, result=result)
    return verification


def _suspect(snapshot: Snapshot, run: Run, verification: Verification) -> None:
    because = (
        f"{run.get_action_display().lower()} {run.pk} found snapshot {snapshot.short_id} "
        f"{verification.get_verdict_display().lower()}"
    )
    repository = Repository.objects.filter(pk=snapshot.repository_id).exclude(health=Health.DAMAGED)
    repository.update(health=Health.SUSPECT, check_error=because)


def left_cleared(run_id: int, name: str) -> None:
    """Forget what a run noted that it would leave behind if it died: it is gone."""
    known = Run.objects.values_list("result", flat=True).get(pk=run_id)
    Run.objects.filter(pk=run_id).update(result={key: value for key, value in known.items() if key != name})


def runs_that_left(name: str) -> list[Run]:
    """Runs that are over and whose "scratch" (a database) or "partial" (a file) may still be there."""
    # Asked for every minute, of a history that only grows: by the index, of the few that may.
    over = Run.objects.filter(
        repository__in=Repository.objects.all(),
        action__in=_LEAVING,
        status__in=TERMINAL,
        result__has_key=name,
    )
    return list(over.select_related("database__repository"))


# Whose runs make a database or a file for themselves.
_LEAVING = [Action.VERIFY, Action.RESTORE]


def backup_counted(repository: Repository) -> bool:
    """Count a finished backup; answers whether an integrity check is due."""
    Repository.objects.filter(pk=repository.pk).update(backups_since_check=F("backups_since_check") + 1)
    repository.refresh_from_db(fields=["backups_since_check"])
    return 0 < repository.check_interval <= repository.backups_since_check


def check_recorded(
    repository: Repository, *, error: str, all_data: bool, now: datetime | None = None
) -> Health:
    """Store what an integrity check found, no `error` or one; answers what the health is now.

    Damage and suspicion stay until a check of `all_data` finds none: one that reads less may just not
    meet it.
    """
    row = Repository.objects.filter(pk=repository.pk)
    row.update(checked_at=now or timezone.now(), backups_since_check=0)
    if error:
        row.update(health=Health.DAMAGED, check_error=error)
    else:
        judged = row if all_data else row.exclude(health__in=[Health.DAMAGED, Health.SUSPECT])
        judged.update(health=Health.GOOD, check_error="")
    return Health(row.values_list("health", flat=True)[0])


def repository_learned(repository: Repository, restic_id: str) -> None:
    """Store restic's own id of the repository, by which it is known from then on."""
    Repository.objects.filter(pk=repository.pk, restic_id="").update(restic_id=restic_id)
    repository.refresh_from_db(fields=["restic_id"])


def hosts_settled(database: Database, hosts: Iterable[str], *, is_ours: bool) -> None:
    """Store whether the snapshots under these host names count as this installation's own series."""
    database.hosts = {**database.hosts, **dict.fromkeys(hosts, is_ours)}
    Database.objects.filter(pk=database.pk).update(hosts=database.hosts)


def repository_sized(repository: Repository, size_bytes: int) -> None:
    """Store how much data the repository holds."""
    Repository.objects.filter(pk=repository.pk).update(size_bytes=size_bytes, sized_at=timezone.now())


def snapshot_kept(snapshot: Snapshot, reasons: Sequence[str]) -> None:
    """Store why retention keeps a snapshot."""
    if snapshot.kept_because != list(reasons):
        Snapshot.objects.filter(pk=snapshot.pk).update(kept_because=list(reasons))


def database_probed(
    database: Database,
    *,
    flavour: str,
    server_version: str,
    client_version: str,
    warnings: Sequence[str],
) -> None:
    """Store what preflight learned of the server and its client."""
    Database.objects.filter(pk=database.pk).update(
        server_flavour=flavour,
        server_version=server_version,
        client_version=client_version,
        preflight_warnings=list(warnings),
    )


def lease_holder(thing: Database | Repository, now: datetime | None = None) -> Run | None:
    """The run that holds the thing's lease, None when it is free or the lease ran out."""
    thing.refresh_from_db(fields=["lease_run", "lease_until"])
    if thing.lease_until is None or thing.lease_until < (now or timezone.now()):
        return None
    return thing.lease_run


def _refuse_twin(action: Action, database: Database | None, repository: Repository) -> None:
    if action in RESTORE_ACTIONS:
        return  # refused by target, where the target is known
    twins = Run.objects.filter(action=action, status__in=ACTIVE)
    if action in EXCLUSIVE_ACTIONS or database is None:
        twins = twins.filter(repository=repository)
        if action == Action.FORGET and database is not None:
            # Each forgets for its own database; one after the other, as the lease has it.
            twins = twins.filter(Q(database=database) | Q(database=None))
    else:
        twins = twins.filter(database=database)
    twin = twins.order_by("pk").first()
    if twin is not None:
        raise Refused(
            f"Not started: {_describe(twin)} is {twin.get_status_display().lower()} already.",
            do="Wait for it to end, or cancel it, then start again.",
        )


def _describe(run: Run) -> str:
    subject = run.database or run.repository
    since = timezone.localtime(run.started_at or run.queued_at)
    return f"{run.get_action_display().lower()} {run.pk} of {subject} (since {since:%H:%M:%S})"


def _lease_take(run: Run, now: datetime) -> Run | None:
    """Take the lease that the run's action needs; answers who holds it instead."""
    if run.action in EXCLUSIVE_ACTIONS:
        model: type[Database] | type[Repository] = Repository
        pk = run.repository_id
    elif run.action == Action.BACKUP:
        assert run.database_id is not None  # noqa: S101
        model, pk = Database, run.database_id
    else:
        return None
    free = Q(lease_run=None) | Q(lease_until=None) | Q(lease_until__lt=now)
    hit = model.objects.filter(free, pk=pk).update(lease_run=run, lease_until=now + LEASE)
    return None if hit else model.objects.get(pk=pk).lease_run


def _lease_release(run_id: int) -> None:
    for model in (Database, Repository):
        model.objects.filter(lease_run=run_id).update(lease_run=None, lease_until=None)


def _send(run: Run) -> None:
    cluster = _cluster(turns.is_prompt(run))
    async_task(_EXECUTE, run.pk, task_name=str(run), group=run.action, cluster=cluster)


def _cluster(prompt: bool) -> str:
    return settings.RESTORES_CLUSTER if prompt else str(settings.Q_CLUSTER["name"])


_SAFE_WHEN_LOST = {
    Action.BACKUP: "No heartbeat was written and earlier snapshots are untouched.",
    Action.VERIFY: "The live database and the snapshots are untouched.",
    Action.DROP_KEPT: "The live database was not touched.",
    Action.DEFINE: "No table was touched; try it again.",
}


def _lost_sentence(run: Run) -> str:
    beat = timezone.localtime(run.beat_at or run.queued_at)
    safe = snapshot_was_made(run) or _SAFE_WHEN_LOST.get(Action(run.action), "The snapshots are untouched.")
    restore = Restore.objects.filter(run=run).first()
    if restore is not None:
        safe = _safe_when_lost(restore)
    return (
        f"The worker died in the middle of this run (last sign of life {beat:%H:%M:%S}). "
        f"{safe} Start it again; if it happens again, see the worker's own log."
    )


def snapshot_was_made(run: Run) -> str:
    """What is true of a backup that ended after its dump was stored, empty for all others."""
    if run.action != Action.BACKUP:
        return ""
    return {
        "confirm": "Its snapshot was made, but no heartbeat was written.",
        "heartbeat": "Its snapshot was made and is good; its heartbeat may have been written.",
    }.get(run.phase, "")


def restore_left(restore: Restore) -> str:
    """What a restore or an undo left of the live database, empty where it was not touched."""
    if restore.swap == Swap.FINISHED and restore.definitions_left:
        return (
            f"The tables are in {restore.target}, but {left_out(restore.definitions_left)} could not be made."
        )
    if restore.swap == Swap.FINISHED:
        return f"{restore.target} is wholly restored."
    if _is_loading_into_live(restore):
        return f"What was loaded into {restore.target} is taken away."
    if not restore.is_settled:
        return "It was swapping tables, which is ended either way within minutes."
    if restore.mode == RestoreMode.IN_PLACE and restore.run.phase == "load":
        saved = restore.safety_snapshot
        way_back = f", or restore snapshot {saved.short_id}, which has what it held before" if saved else ""
        return f"{restore.target} may be partly overwritten: restore again{way_back}."
    return ""


def _safe_when_lost(restore: Restore) -> str:
    """What a restore whose worker died left of its target; how a swap ended is added once it has."""
    untouched = "The live database was not touched"
    beside = "" if _is_loading_into_live(restore) else f"{untouched}; "
    if restore.mode == RestoreMode.NEW and "scratch" in restore.run.result:
        return f"{beside}{restore.target} was half loaded and is taken away."
    if restore.mode == RestoreMode.NEW and restore.run.phase in ("load", "check"):
        return f"{beside}{restore.target} may hold a part of the snapshot."
    return restore_left(restore) or f"{untouched}."


def _is_loading_into_live(restore: Restore) -> bool:
    """Whether the new database is the live one itself, which was lost."""
    return (
        restore.mode == RestoreMode.NEW
        and restore.target == restore.database.database
        and restore.run.phase in ("load", "check")
    )
