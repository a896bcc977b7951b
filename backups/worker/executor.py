"""Takes queued runs, executes their actions and gives them their outcomes. Used by the queue and the CLI."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from importlib import import_module

from django.conf import settings
from django.utils import timezone

from backups import at_first_use, process, requests
from backups.alerting import alerts
from backups.choices import Action, Level, Status, Trigger
from backups.errors import CANCELLED, UNEXPECTED, Cancelled, Failure, LeaseLost, Problem, Refused
from backups.models import Restore, Run
from backups.runs import consequences, leases, lifecycle, notes, turns
from backups.runs.asked import Asker, Submits
from backups.runs.outcome import CallsForMore, Outcome
from backups.runs.portal_database_away import outlast
from backups.runs.progress import Observer, Progress, State
from backups.runs.queue import runs_wake
from backups.runs.subject import database_of
from backups.text.sentences import joined, phrase

logger = logging.getLogger(__name__)

Play = Callable[[Run, Progress], Outcome]
_MODULES: set[str] = set()


def _of(module: str, function: str = "run") -> Play:
    """What plays an action, loaded by whoever plays it: a command that backs up loads no restore."""

    name = f"backups.actions.{module}"
    _MODULES.add(name)

    def play(run: Run, progress: Progress) -> Outcome:
        played: Play = getattr(import_module(name), function)
        return played(run, progress)

    return play


ACTIONS: dict[str, Play] = {
    Action.BACKUP: _of("backup"),
    Action.VERIFY: _of("verify"),
    Action.REPLAY: _of("replay_proof"),
    Action.RESTORE: _of("restore"),
    Action.UNDO: _of("undo", "undo"),
    Action.DROP_KEPT: _of("undo", "drop_kept"),
    Action.DEFINE: _of("undo", "define"),
    Action.INIT: _of("repository", "init"),
    Action.SNAPSHOTS: _of("repository", "snapshots"),
    Action.RECOVER: _of("recover"),
    Action.PORTAL: _of("portal_copy"),
    Action.PREFLIGHT: _of("preflight"),
    Action.FORGET: _of("forget"),
    # A form of request that is played otherwise than its action.
    requests.ForgetSnapshotRequest.form: _of("forget_snapshot"),
    Action.PRUNE: _of("repository", "prune"),
    Action.STATS: _of("repository", "stats"),
    Action.CHECK: _of("check"),
    Action.REPAIR_INDEX: _of("repair", "index"),
    Action.REPAIR_SNAPSHOTS: _of("repair", "snapshots"),
    Action.UNLOCK: _of("unlock"),
    Action.DIFF: _of("diff"),
    requests.UndoTransactionsRequest.form: _of("undo_transactions"),
    Action.ROWS_BACK: _of("rows_back"),
    requests.ApplyRowsRequest.form: _of("apply_rows"),
}


def load() -> None:
    """Load what plays any action: for a process that lives on while newer files take the place of its own."""
    for name in _MODULES:
        import_module(name)
    at_first_use.load_all()


# What stays as it was when the action ends before its time.
_SAFE: dict[str, str] = {
    Action.BACKUP: phrase("No snapshot was made, no heartbeat was written; earlier snapshots are safe."),
    Action.VERIFY: phrase("The live database and the snapshots were not touched."),
    Action.REPLAY: phrase("The live database, the snapshots and the log were not touched."),
    Action.RESTORE: phrase("The live database was not touched."),
    Action.UNDO: phrase("The database is as it was before."),
    Action.DROP_KEPT: phrase("The live database was not touched."),
    Action.DEFINE: phrase("No table was touched."),
    Action.CHECK: phrase("A check changes nothing."),
    Action.PREFLIGHT: phrase("A test changes nothing."),
    Action.PORTAL: phrase("The backups of databases and the gate do not depend on it."),
    Action.DIFF: phrase("A comparison changes nothing."),
    Action.ROWS_BACK: phrase("The live database was not touched."),
    Action.FORGET: phrase("The newest and the newest verified snapshot are kept in any case."),
}
_OTHERWISE_SAFE = phrase("The snapshots are as they were.")


def execute(run_id: int, *, observer: Observer | None = None, send_follow_ups: bool = True) -> Run | None:
    """Execute a queued run to its end; None when it is not ours to execute.

    Follow-ups go to the queue, or with `send_follow_ups=False` are executed here, one after the
    other. Problems end in the run's status; only what ends this process is raised again. Raises
    Refused (the run has failed with its sentence) when another run holds the lease.
    """
    run = lifecycle.run_claim(run_id, worker=process.identity())
    return _execute_all(run, observer, send_follow_ups=send_follow_ups) if run is not None else None


def execute_in_turn(run_id: int, *, observer: Observer, waits_for: Callable[[Run], None]) -> Run | None:
    """`execute` what somebody at a command line asked for, as soon as nothing stands in its way.

    `waits_for` is told each second for which run it waits, and may raise.
    """
    while True:
        run, before = lifecycle.run_claim_in_turn(run_id, worker=process.identity())
        if before is None:
            return _execute_all(run, observer, send_follow_ups=False) if run is not None else None
        waits_for(before)
        time.sleep(_LOOK_SECONDS)


_LOOK_SECONDS = 1.0


def _execute_all(run: Run, observer: Observer | None, *, send_follow_ups: bool) -> Run:
    for child in _execute_and_wake(run, observer, send_follow_ups=send_follow_ups):
        if not send_follow_ups:
            with suppress(Refused):
                execute(child.pk, observer=observer, send_follow_ups=False)
    run.refresh_from_db()
    return run


def take_back(run_id: int, failure: Failure) -> bool:
    """Fail a queued run that no worker comes for, as one that was played; False where one has begun it."""
    if not lifecycle.run_take_back(run_id, failure):
        return False
    alerts.run_ended(run_id)
    return True


def end_interrupted(run: Run) -> None:
    """Cancel a run of this process that a Ctrl-C met outside its action, where nobody else would end it."""
    with suppress(lifecycle.IllegalTransition):
        lifecycle.run_cancel(run)
    if Run.objects.filter(pk=run.pk, status=Status.RUNNING, worker=process.identity()).exists():
        with suppress(lifecycle.IllegalTransition):
            lifecycle.run_finish(run.pk, status=Status.CANCELLED, failure=_stopped(run, is_asked=False))


def execute_next(*, prompt: bool, observer: Observer | None = None) -> Run | None:
    """Execute the queued run whose turn it is, as `lifecycle.run_pick` has it; None where none may begin."""
    run = lifecycle.run_pick(prompt=prompt, worker=process.identity(), has_room=_Room())
    if run is None:
        return None
    runs_wake(prompt=prompt)  # another may begin beside it
    _execute_and_wake(run, observer, send_follow_ups=True)
    return run


class _Room:
    """Whether the processes of this cluster may play one more run.

    One of them is left over: for what pages ask, or for a second small backup at one server. Other workers'
    runs, and those of commands, keep none of ours busy. Who ends one wakes whoever may begin.
    """

    def __call__(self, run: Run) -> bool:
        return turns.places([*self._busy, run]) <= settings.RUNS_AT_ONCE

    @cached_property
    def _busy(self) -> list[Run]:
        """Looked up when the first is asked for, as no other process picks then."""
        ours = os.getpgrp()
        running = Run.objects.filter(status=Status.RUNNING).exclude(worker="")
        rows = running.select_related("database__server")
        return [run for run in rows if process.runs_in_group(run.worker, ours)]


def _execute_and_wake(run: Run, observer: Observer | None, *, send_follow_ups: bool) -> list[Run]:
    """Execute a run, then wake whoever waited for its end; answers its follow-ups."""
    try:
        outcome = _execute(run, observer)
        return _follow_ups(run, outcome, send=send_follow_ups)
    finally:
        for prompt in (False, True):
            runs_wake(prompt=prompt)


def _execute(run: Run, observer: Observer | None) -> Outcome:
    progress = Progress(run, observer, partial(_run_child, run, observer))
    alerts.run_began(run)
    try:
        # Read here, else an action that takes no parameters would execute what it does not know.
        form = requests.read(run).form
        play = ACTIONS.get(form, ACTIONS[run.action])
        outcome = play(run, progress)
    except LeaseLost:
        logger.error("%s was given up for lost while it ran; it stops here", run)
        return Outcome()
    except BaseException as error:
        _failed(run, progress, error)
        if isinstance(error, Exception):
            return error.outcome if isinstance(error, CallsForMore) else Outcome()
        raise
    progress.flush()
    try:
        _finish(run, Status.SUCCEEDED)
    except lifecycle.IllegalTransition:
        logger.error("%s was given up for lost just before it succeeded", run)
        return Outcome()
    alerts.run_ended(run.pk)
    return outcome


def _run_child(
    parent: Run,
    observer: Observer | None,
    request: Submits,
    trigger: Trigger,
    tick: Callable[[], None],
) -> Run:
    """Execute a run within another; a cancel of the parent cancels it too."""

    def watch(state: State, lines: list[str]) -> None:
        tick()
        if observer:
            observer(state, lines)

    _wait_for_lease(parent, tick)
    child = request.submit(Asker(trigger, parent.requested_by, parent), send=False)
    claimed = lifecycle.run_claim(child.pk, worker=process.identity())
    if claimed is not None:
        _execute(claimed, watch)
    child.refresh_from_db()
    return child


def _wait_for_lease(parent: Run, tick: Callable[[], None]) -> None:
    """A backup that runs elsewhere is waited for: what it saves is older than what we need."""
    database = database_of(parent)
    while leases.lease_holder(database) is not None:
        process.sleep_tick()
        tick()


def _failed(run: Run, progress: Progress, error: BaseException) -> None:
    status, failure = _judge(run, progress, error)
    logger.warning("%s: %s", run, failure.sentence)
    with suppress(LeaseLost, Cancelled):
        progress.flush()
    with suppress(lifecycle.IllegalTransition):
        _finish(run, status, failure)
    alerts.run_ended(run.pk)


def _finish(run: Run, status: Status, failure: Failure | None = None) -> None:
    """Give a run its outcome, however long the portal's database is away. Raises IllegalTransition."""
    now = timezone.now()
    try:
        outlast(lambda: lifecycle.run_finish(run.pk, status=status, failure=failure, now=now))
    except lifecycle.IllegalTransition:
        # Unless it was this that was written, and only the answer to it lost.
        if not Run.objects.filter(pk=run.pk, status=status, finished_at=now).exists():
            raise


def _judge(run: Run, progress: Progress, error: BaseException) -> tuple[Status, Failure]:
    """The outcome and why; a traceback goes to the log."""
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return Status.CANCELLED, _stopped(run, is_asked=isinstance(error, Cancelled))
    safe = outlast(lambda: safe_words(run))
    if isinstance(error, Problem):
        return Status.FAILED, Failure.of(error, safe=safe).masked(progress.masked)
    progress.log("".join(traceback.format_exception(error)), Level.ERROR)
    sentence = phrase(
        "{action} met an unexpected {kind}. {safe} The run's log has the details; please report them.",
        action=run.get_action_display(),
        kind=type(error).__name__,
        safe=safe,
    )
    return Status.FAILED, Failure(sentence, UNEXPECTED, {"type": type(error).__name__})


def _stopped(run: Run, *, is_asked: bool) -> Failure:
    by = phrase("Cancelled.") if is_asked else phrase("Stopped at the keyboard.")
    return Failure(joined([by, outlast(lambda: safe_words(run))]), CANCELLED)


def safe_words(run: Run) -> str:
    """What is safe, by how far the run came as its rows tell."""
    run.refresh_from_db(fields=["phase"])
    restore = Restore.objects.filter(run=run).first()
    touched = (
        consequences.restore_left(restore)
        if restore is not None
        else consequences.snapshot_was_made(run) or consequences.rows_left(run)
    )
    return touched or _SAFE.get(run.action, _OTHERWISE_SAFE)


def _follow_ups(run: Run, outcome: Outcome, *, send: bool) -> list[Run]:
    children = []
    for follow_up in outcome.follow_ups:
        try:
            asker = Asker(follow_up.trigger, parent=run)
            child = outlast(partial(follow_up.request.submit, asker, send=send))
        except Refused as refused:
            notes.run_log(run.pk, [notes.line(str(refused), Level.WARNING)])
        else:
            children.append(child)
    return children
