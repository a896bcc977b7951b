"""The only writers of how a run stands. No I/O but the portal's own database.

A run's life: `run_enqueue` inserts it, `run_claim` takes it for one worker (a conditional UPDATE
that must hit one row), `run_pick` does so for the one whose turn it is, `run_beat` says that it lives,
`run_finish` gives it its outcome, and `runs_reap` gives the outcome to those whose worker died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from backups.choices import ACTIVE, TERMINAL, Action, Status, Trigger, may_still
from backups.errors import CANCELLED, Failure, LeaseLost, Refused
from backups.models import Database, Repository, Run
from backups.runs import turns, waiting
from backups.runs.asked import Asker, Wanted, right_of
from backups.runs.consequences import lost_sentence
from backups.runs.leases import BEAT_LOST, LEASE, lease_release, lease_take
from backups.runs.notes import line, run_log
from backups.runs.queue import WHO_ASKED, in_turn, note_wait, of_the_queue, wake_for
from backups.runs.refusals import held, refuse_twin
from backups.text.sentences import english, phrase

logger = logging.getLogger(__name__)

# So long after a run was lost its repository is looked at for stale locks, once a minute.
LOCK_LEFT = timedelta(minutes=3)


class IllegalTransition(Exception):
    """A run was to leave a status that it is not in."""


@dataclass(frozen=True)
class Beat:
    """What a run's worker reports about once a second."""

    phase: str
    bytes_done: int
    bytes_expected: int | None
    detail: str


def run_enqueue(wanted: Wanted, asker: Asker, *, send: bool = True) -> Run:
    """Insert a queued run and, with `send`, wake a worker once the transaction is through.

    Without it whoever inserts it plays it.

    Raises Refused when the same is queued or running already; the backup before a restore waits for a
    running one elsewhere, and never behind a queued one.
    """
    repository = wanted.where
    try:
        with transaction.atomic():
            Repository.objects.select_for_update().get(pk=repository.pk)
            run = _row_of(wanted, repository, asker)
            _refuse(run, asker)
            run.worker = "" if send else WHO_ASKED
            run.save()
            if send:
                transaction.on_commit(lambda: wake_for(run))
    except IntegrityError:
        if asker.slot is None:
            raise
        raise _slot_taken(wanted, asker.slot) from None
    return run


def _row_of(wanted: Wanted, repository: Repository, asker: Asker) -> Run:
    return Run(
        action=wanted.action,
        trigger=asker.trigger,
        database=wanted.database,
        repository=repository,
        snapshot=wanted.snapshot,
        requested_by=asker.user,
        parent=asker.parent,
        options=dict(wanted.options),
        request=wanted.request,
        slot=asker.slot,
        priority=turns.priority_of(wanted.action, asker.trigger),
    )


def _refuse(run: Run, asker: Asker) -> None:
    """Raise Refused for a run that is asked for while it may not be."""
    if asker.trigger == Trigger.RESTORE or asker.waits:
        return
    action = Action(run.action)
    slots = Run.objects.filter(database=run.database, action=action, slot=asker.slot)
    if asker.slot is not None and slots.exists():
        raise _slot_taken(Wanted(action, run.database), asker.slot)
    refuse_twin(action, run.database, run.repository)
    if asker.trigger == Trigger.CLI and (holder := waiting.in_use(run)) is not None:
        raise held(run, holder)


def _slot_taken(wanted: Wanted, slot: datetime) -> Refused:
    return Refused(
        phrase(
            "The {action} of {database} that was planned for {slot} has been queued already.",
            action=wanted.action.label.lower(),
            database=wanted.database,
            slot=f"{timezone.localtime(slot):%Y-%m-%d %H:%M}",
        ),
        code="run.slot_taken",
    )


def run_claim(run_id: int, *, worker: str, now: datetime | None = None) -> Run | None:
    """Take a queued run for `worker`; None when someone else has, or it is over.

    A redelivered or doubled queue message ends here, and what somebody asked for who may no more. Raises
    Refused (the run is then failed with the sentence) when another run holds the lease that this one needs.
    """
    now = now or timezone.now()
    with transaction.atomic():
        _one_picks_at_a_time()
        run, holder = _take(run_id, worker, now)
    if run is not None and holder is not None:
        refusal = held(run, holder)
        run_finish(run_id, status=Status.FAILED, failure=Failure.of(refusal))
        raise refusal
    return run


def run_claim_in_turn(
    run_id: int, *, worker: str, now: datetime | None = None
) -> tuple[Run | None, Run | None]:
    """Take a queued run as soon as nothing stands in its way: the run, or for which other one it waits.

    Both are None when it is over, or someone else's. To be called again within `BEAT_LOST`, else the run
    is taken for one whose command has died.
    """
    now = now or timezone.now()
    with transaction.atomic():
        _one_picks_at_a_time()
        queued = Run.objects.select_related("database__server", "repository")
        run = queued.filter(pk=run_id, status=Status.QUEUED).first()
        if run is None:
            return None, None
        holder = waiting.before(run, now)
        if holder is None:
            taken, holder = _take(run_id, worker, now)
            if holder is None:
                return taken, None
            _put_back(run, holder)
        Run.objects.filter(pk=run_id, status=Status.QUEUED).update(beat_at=now, worker=worker)
        note_wait(run, holder)
        return None, holder


def run_pick(
    *,
    prompt: bool,
    worker: str,
    has_room: Callable[[Run], bool] = lambda _run: True,
    now: datetime | None = None,
) -> Run | None:
    """Take for `worker` the queued run whose turn it is, None where none may begin.

    `prompt` are the actions that somebody waits for. Those that have to wait say in `detail` for what.
    `has_room` tells whether the worker's cluster may play it as well, while no other process picks.
    """
    now = now or timezone.now()
    with transaction.atomic():
        _one_picks_at_a_time()
        for queued in in_turn(prompt, now):
            if not has_room(queued):
                continue
            run, holder = _take(queued.pk, worker, now)
            if holder is not None:
                _put_back(queued, holder)
            elif run is not None:
                return run
    return None


def _one_picks_at_a_time() -> None:
    """Else two would see the same server, or database, free. SQLite has one writer anyway."""
    list(Repository.objects.select_for_update().order_by("pk").values_list("pk"))


def _put_back(run: Run, holder: Run) -> None:
    """Its lease is held by a run that is not under way any more, until that ran out."""
    queued = {"status": Status.QUEUED, "started_at": None, "beat_at": None, "worker": ""}
    Run.objects.filter(pk=run.pk).update(**queued)
    note_wait(run, holder)


def _take(run_id: int, worker: str, now: datetime) -> tuple[Run | None, Run | None]:
    """A queued run, taken, None where it is not to be had; and who holds the lease that it needs."""
    if _is_without_right(run_id, now):
        return None, None
    hit = Run.objects.filter(pk=run_id, status=Status.QUEUED).update(
        status=Status.RUNNING, started_at=now, beat_at=now, worker=worker, detail="",
        waits_for=None,
    )  # fmt: skip
    if hit != 1:
        return None, None
    related = ("database__repository", "database__server", "repository", "snapshot")
    run = Run.objects.select_related(*related).get(pk=run_id)
    return run, waiting.beside_rows(run) or lease_take(run, now)


def _is_without_right(run_id: int, now: datetime) -> bool:
    """Whether whoever asked for a run may start it no more, in which case it is cancelled.

    A part of a run that is under way, as is the backup before a restore, stands and falls with that.
    """
    asked = Run.objects.filter(pk=run_id, status=Status.QUEUED, parent=None, requested_by__isnull=False)
    run = asked.select_related("requested_by").first()
    if run is None or run.requested_by is None:
        return False
    person = run.requested_by
    if may_still(person, right_of(run)):
        return False
    why = phrase("may not start such a run any more") if person.is_active else phrase("is no longer active")
    _cancel_without_right(
        asked, phrase("{person}, who asked for it, {why}.", person=person.get_username(), why=why), now
    )
    return True


def person_goes(person: User, *, now: datetime | None = None) -> None:
    """Cancel what waits of a person whose account is about to be deleted: afterwards it would be nobody's."""
    waits = Run.objects.filter(status=Status.QUEUED, parent=None, requested_by=person)
    why = phrase("the account of {person}, who asked for it, was deleted.", person=person.get_username())
    _cancel_without_right(waits, why, now or timezone.now())


def _cancel_without_right(runs: QuerySet[Run], why: str, now: datetime) -> None:
    sentence = phrase(
        "Cancelled before it started: {why} Nothing was done. Anybody who may start such a run can "
        "start it again.",
        why=why,
    )
    keys = list(runs.values_list("pk", flat=True))
    Run.objects.filter(pk__in=keys, status=Status.QUEUED).update(
        status=Status.CANCELLED, finished_at=now, **failure_columns(Failure(sentence, "run.asker_may_not"))
    )
    for key in keys:
        logger.warning("run %s: %s", key, sentence)


def run_beat(run_id: int, beat: Beat, *, now: datetime | None = None) -> bool:
    """Say that the run lives and how far it is; answers whether its cancel was requested.

    Raises LeaseLost when the run is not running any more.
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
        raise LeaseLost
    for model in (Database, Repository):
        model.objects.filter(lease_run=run_id).update(lease_until=now + LEASE)
    return Run.objects.values_list("cancel_requested", flat=True).get(pk=run_id)


def run_finish(
    run_id: int, *, status: Status, failure: Failure | None = None, now: datetime | None = None
) -> None:
    """Give a running run its outcome and its leases back. Raises IllegalTransition."""
    if status not in {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}:
        raise IllegalTransition(f"a run does not finish as {status}")
    with transaction.atomic():
        hit = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
            status=status, finished_at=now or timezone.now(), detail="", **failure_columns(failure)
        )
        if hit != 1:
            raise IllegalTransition(f"run {run_id} is not running")
        lease_release(run_id)


def failure_columns(failure: Failure | None) -> dict[str, Any]:
    """The columns that say why a run failed."""
    if failure is None:
        return {}
    return {"error": english(failure.sentence), "error_code": failure.code, "error_params": failure.stored}


def run_cancel(run: Run, *, now: datetime | None = None) -> None:
    """Cancel a queued run at once; ask a running one's worker to stop. Raises IllegalTransition."""
    hit = Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(
        status=Status.CANCELLED,
        **failure_columns(Failure(phrase("Cancelled before it started."), CANCELLED)),
        finished_at=now or timezone.now(),
    )
    hit += Run.objects.filter(pk=run.pk, status=Status.RUNNING).update(cancel_requested=True)
    if hit == 0:
        raise IllegalTransition(f"{run} is over, there is nothing to cancel")


def run_take_back(run_id: int, failure: Failure, *, now: datetime | None = None) -> bool:
    """Fail a queued run that nobody comes for; answers whether none had begun it."""
    queued = Run.objects.filter(pk=run_id, status=Status.QUEUED)
    columns = failure_columns(failure)
    return bool(queued.update(status=Status.FAILED, finished_at=now or timezone.now(), **columns))


def runs_stop(*, is_ours: Callable[[str], bool]) -> list[Run]:
    """Ask running runs to cancel because their worker is to end; answers which were asked.

    `is_ours` tells of a worker's identity whether it is one of those that end.
    """
    asked = []
    for run in Run.objects.filter(status=Status.RUNNING, cancel_requested=False).exclude(worker=""):
        if is_ours(run.worker):
            with suppress(IllegalTransition):
                run_cancel(run)
                run_log(run.pk, [line(phrase("The worker was told to stop, so this run is cancelled."))])
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
    _count_from_now(now)
    _give_up_never_begun(now, is_gone, may_live)
    lost = []
    for run in Run.objects.filter(status=Status.RUNNING).select_related("database", "repository"):
        if not is_dead(run, now, is_gone, may_live):
            continue
        with transaction.atomic():
            hit = Run.objects.filter(pk=run.pk, status=Status.RUNNING, beat_at=run.beat_at).update(
                status=Status.LOST,
                **failure_columns(Failure(lost_sentence(run), "run.worker_died")),
                finished_at=now,
                detail="",
            )
            if hit:
                lease_release(run.pk)
        if hit:
            run.refresh_from_db()
            lost.append(run)
    return lost


def is_dead(run: Run, now: datetime, is_gone: Callable[[str], bool], may_live: Callable[[Run], bool]) -> bool:
    """Whether nobody plays a running run any more, as `runs_reap` finds it."""
    if run.worker and is_gone(run.worker):
        return True
    return run.beat_at is None or not (run.beat_at > now - BEAT_LOST or may_live(run))


def _count_from_now(now: datetime) -> None:
    """After the clock was set back, a dead worker's last beat would keep its run alive for as long."""
    Run.objects.filter(status__in=ACTIVE, beat_at__gt=now + BEAT_LOST).update(beat_at=now)


def _give_up_never_begun(
    now: datetime, is_gone: Callable[[str], bool], may_live: Callable[[Run], bool]
) -> None:
    """Runs that a process queued for itself alone, and then died: they would refuse others for ever."""
    why = Failure(
        phrase("The process of this run ended before the run began. Nothing was done."), "run.never_begun"
    )
    orphans = Run.objects.filter(status=Status.QUEUED).exclude(of_the_queue())
    waits = orphans.filter(beat_at__isnull=False)
    dead = [run.pk for run in waits if is_dead(run, now, is_gone, may_live)]
    never_beat = Q(beat_at=None, queued_at__lt=now - BEAT_LOST)
    orphans.filter(Q(pk__in=dead) | never_beat | Q(parent__status__in=TERMINAL)).update(
        status=Status.CANCELLED,
        **failure_columns(why),
        finished_at=now,
    )


def repositories_left_locked(now: datetime | None = None) -> list[Repository]:
    """Where a run was lost lately: the restic of its dead worker may take a while to end."""
    lately = (now or timezone.now()) - LOCK_LEFT
    return list(Repository.objects.filter(runs__status=Status.LOST, runs__finished_at__gt=lately).distinct())
