"""Runs whose secrets this process has not: the worker plays them, and the command follows them to their end.

So `docker compose exec portal manage backup` ends as it does where the secrets are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from django.db.models import QuerySet
from django.utils import timezone

from backups import endpoints, installation
from backups.choices import (
    OVERWRITING_MODES,
    RESTORE_ACTIONS,
    TERMINAL,
    Action,
    RestoreMode,
    Status,
    Trigger,
)
from backups.errors import Failure, Problem
from backups.management import interrupts
from backups.management.waiting import Wait
from backups.models import Run, RunLine
from backups.requests import (
    ApplyRowsRequest,
    BackupRequest,
    DiffRequest,
    PreflightRequest,
    ReplayProofRequest,
    Request,
    RestoreRequest,
    RowsBackRequest,
    UndoTransactionsRequest,
    VerifyRequest,
)
from backups.runs import lifecycle, queue
from backups.runs.asked import Asker
from backups.runs.hearing import Hearing
from backups.runs.leases import BEAT_LOST
from backups.runs.portal_database_away import AWAY, outlast
from backups.runs.progress import Observer, State
from backups.text import formatting
from backups.text.sentences import phrase
from backups.worker import executor

_EVERY_SECONDS = 0.5
# A worker that was just started says so within this time; where one of its clusters did, the other follows.
_COMES_WITHIN_SECONDS = 5.0
# One that is there and free has begun by then. One that plays something else gives its next sign within a
# minute or so: less than the time until it counts as gone would be too early to give it up.
_BEGINS_WITHIN_SECONDS = 3.0
_OTHER_COMES_WITHIN_SECONDS = 120.0
# Follow-ups are queued right after the end of what they follow.
_FOLLOWS_WITHIN_SECONDS = 1.0
_IS_STOPPED = phrase("The worker was asked to stop it. Ctrl-C once more leaves it to the worker.")

Read = Callable[[], object]


def missing_here(request: Request) -> Problem | None:
    """Which secret that its run reads is not to be had in this process; None where all are."""
    for read in _reads(request):
        if (missing := endpoints.not_here(read)) is not None:
            return missing
    return None


def _reads(request: Request) -> Iterator[Read]:
    """What its run will read, and no more: a file is restored without any server."""
    about = request.about
    saves_first = isinstance(request, ApplyRowsRequest) and not request.without_safety
    # What was kept is on the server, or on this machine.
    if request.action not in RESTORE_ACTIONS - {Action.RESTORE} or saves_first:
        repository = about.repository or (about.snapshot.repository if about.snapshot else None)
        if repository is None and about.database is not None:
            repository = about.database.repository
        if repository is not None:
            yield partial(endpoints.refuse_missing_secrets, repository)
    if about.database is not None:
        for server in _servers(request):
            yield partial(server, about.database)


def _servers(request: Request) -> list[Callable[..., object]]:
    match request:
        case PreflightRequest():
            return [endpoints.database_server, endpoints.scratch_server]
        case DiffRequest() if request.is_of_moments:
            now = [endpoints.database_server] if request.until is None else []
            return [endpoints.scratch_server, *now]
        case BackupRequest() | DiffRequest(until=None):
            return [endpoints.database_server]
        case VerifyRequest() | ReplayProofRequest() | UndoTransactionsRequest():
            return [endpoints.scratch_server]
        case RowsBackRequest():
            return [endpoints.database_server, endpoints.scratch_server]
        case ApplyRowsRequest():
            return [endpoints.restoring_server, endpoints.database_server]
        case RestoreRequest(mode=RestoreMode.FILE, until=until):
            return [endpoints.scratch_server] if until else []
        case RestoreRequest(mode=mode, without_safety=without) if mode in OVERWRITING_MODES and not without:
            return [endpoints.restoring_server, endpoints.database_server]
        case _ if request.action in RESTORE_ACTIONS:
            return [endpoints.restoring_server]
    return []


def _is_of_late(seen_at: datetime | None) -> bool:
    return seen_at is not None and abs(timezone.now() - seen_at) <= queue.PULSE_LOST


class Follower:
    """Follows a run that a worker plays, and what comes after it, as if this process played it."""

    def __init__(self, run: Run, missing: Problem, observer: Observer, waits: Wait | None = None) -> None:
        self._run = run
        self._missing = missing
        self._observer = observer
        self._wait = waits
        self._family = {run.pk}
        self._told = 0
        self._waits = ""
        self._began = time.monotonic()
        self._over_since: float | None = None
        self._is_stopping = False
        self._pulses, self._beats = Hearing(), Hearing()

    def to_its_end(self) -> Run:
        """The run when it and its follow-ups are over.

        A first Ctrl-C asks for its cancel, a second one leaves. Raises Problem where nothing is heard of it
        any more, and KeyboardInterrupt where the run had ended well when a person stopped what followed.
        """
        while True:
            try:
                if outlast(self._look_or_forget):
                    break
                time.sleep(_EVERY_SECONDS)
            except KeyboardInterrupt:
                if self._is_stopping:
                    raise
                self._is_stopping = True
                self._cancel()
        if self._is_stopping and self._run.status == Status.SUCCEEDED:
            raise KeyboardInterrupt
        return self._run

    def _look_or_forget(self) -> bool:
        """While the portal's database is away nobody can be heard, so that does not count."""
        try:
            return self._look()
        except AWAY:
            self._beats = Hearing()
            raise

    def _look(self) -> bool:
        """Tell what is new; answers whether all is over."""
        self._run.refresh_from_db()
        self._family |= set(Run.objects.filter(parent__in=self._family).values_list("pk", flat=True))
        under_way = list(self._under_way())
        self._tell(under_way)
        self._go_on_waiting()
        for run in under_way:
            if self._is_lost(run):
                return True
        if under_way:
            self._over_since = None
            return False
        self._run.refresh_from_db()  # it may have ended between the two looks
        self._over_since = self._over_since or time.monotonic()
        is_followed = self._run.status in (Status.SUCCEEDED, Status.FAILED) and not self._is_stopping
        return not is_followed or time.monotonic() - self._over_since >= _FOLLOWS_WITHIN_SECONDS

    def _under_way(self) -> QuerySet[Run]:
        """Of the run and what belongs to it what is not over: a part of it comes last."""
        return Run.objects.filter(pk__in=self._family).exclude(status__in=TERMINAL).order_by("pk")

    def _tell(self, under_way: list[Run]) -> None:
        new = list(RunLine.objects.filter(run__in=self._family, pk__gt=self._told).order_by("pk"))
        if new:
            self._told = new[-1].pk
        running = [run for run in under_way if run.status == Status.RUNNING]
        shown = (running or under_way or [self._run])[-1]
        phase = shown.phase or ("queued" if shown.status == Status.QUEUED else "starting")
        state = State(phase, shown.bytes_done, shown.bytes_expected, shown.detail)
        lines = [line.text for line in new]
        if shown.status == Status.QUEUED and shown.detail not in ("", self._waits):
            self._waits = shown.detail
            lines.append(shown.detail)
        if under_way or lines:
            self._observer(state, lines)

    def _go_on_waiting(self) -> None:
        """Raises Refused where a run that waits for another has done so for as long as it may."""
        before = self._run.waits_for if self._run.status == Status.QUEUED else None
        if before is not None and self._wait is not None and self._wait.is_wanted:
            self._wait.goes_on(self._run, before)

    def _is_lost(self, run: Run) -> bool:
        """Whether nobody comes for a queued run, which then is over. Raises Problem for a running one."""
        if run.status == Status.QUEUED:
            # A part of it is played with it, and waits for no worker of its own.
            if (run.pk != self._run.pk and not self._run.is_over) or self._somebody_comes(run):
                return False
            if run.pk != self._run.pk:
                return True  # what follows goes on waiting in the queue
            taken_back = executor.take_back(run.pk, Failure.of(self._nobody_comes()))
            self._run.refresh_from_db()
            return taken_back
        if run.beat_at is not None:
            silent = self._beats.unchanged_for(run.pk, run.beat_at)
            if silent > BEAT_LOST.total_seconds():
                raise Problem(
                    phrase(
                        "{run} has given no sign for {silent} seconds. How it ends is not known yet.",
                        run=run,
                        silent=f"{silent:.0f}",
                    ),
                    code="run.not_heard_of",
                    safe=phrase("This does not stop the run."),
                    do=phrase(
                        "See its page in the portal, and whether the worker runs: {worker}.", worker=_worker()
                    ),
                )
        return False

    def _somebody_comes(self, run: Run) -> bool:
        own, any_cluster = queue.worker_pulses(run)
        if own is not None and self._pulses.is_heard(run.pk, own, queue.PULSE_LOST.total_seconds()):
            return True
        waited = time.monotonic() - self._began
        within = _OTHER_COMES_WITHIN_SECONDS if _is_of_late(any_cluster) else _COMES_WITHIN_SECONDS
        given = timedelta(seconds=within - waited)
        if own is not None and _is_of_late(own):
            given = max(given, own + queue.PULSE_LOST - timezone.now())
        seen = own if _is_of_late(own) else any_cluster
        if seen is not None and _is_of_late(seen) and waited > _BEGINS_WITHIN_SECONDS:
            self._tell_how_long(run, seen, given)
        return given >= timedelta()

    def _tell_how_long(self, run: Run, seen: datetime, given: timedelta) -> None:
        """Once, of a run that waits for a sign of the worker and for nothing else."""
        if self._waits or run.pk != self._run.pk:
            return
        now = timezone.now()
        self._waits = phrase(
            "No worker has begun with it yet. One was last seen {ago} ago. It is given until {until}.",
            ago=formatting.duration(now - seen),
            until=f"{timezone.localtime(now + given):%H:%M:%S}",
        )
        self._observer(State("queued", 0, None, ""), [self._waits])

    def _nobody_comes(self) -> Problem:
        return Problem(
            phrase(
                "{missing} No worker is there that could do it, so the run was taken out of the queue again.",
                missing=self._missing.what,
            ),
            code=self._missing.code,
            safe=executor.safe_words(self._run),
            do=phrase("{do} Or start the worker: {worker}.", worker=_worker(), do=self._missing.do),
        )

    def _cancel(self) -> None:
        self._observer(State("stopping", 0, None, ""), [_IS_STOPPED])
        for run in self._under_way():
            with suppress(lifecycle.IllegalTransition):
                lifecycle.run_cancel(run)


def _worker() -> str:
    return installation.commands().start_worker


def preflight_left_to_worker(request: PreflightRequest, say: Callable[[str], object]) -> Run | None:
    """The look at what a backup needs as the worker has it, where this process has not the secrets for it.

    None where it has, or where no worker is there that could look: then what is found here is told. `say` is
    for what it waits for.
    """
    if (missing := missing_here(request)) is None:
        return None
    if not any(map(_is_of_late, queue.worker_pulses(Run(action=request.action)))):
        return None

    def waits(state: State, lines: list[str]) -> None:
        if state.phase == "queued":
            for line in lines:
                say(line)

    with interrupts.held() as let_through:
        run = request.submit(Asker(Trigger.CLI))
        try:
            let_through()
            return Follower(run, missing, waits).to_its_end()
        except KeyboardInterrupt:
            with suppress(lifecycle.IllegalTransition):
                lifecycle.run_cancel(run)
            raise
