"""Which runs wait, and that a worker is woken for them.

The rows are the queue: a message only wakes a worker, and may be lost or doubled.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import PickleSerializer
from django_q.tasks import async_task

from backups.choices import Level, Status, Trigger
from backups.models import Repository, Run, WorkerPulse
from backups.runs import turns
from backups.runs.leases import BEAT_LOST
from backups.runs.notes import line, run_log
from backups.runs.refusals import describe
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

# So long a run may wait without a message that tells of it.
QUEUE_LOST = timedelta(minutes=1)
# So long whoever asked for a run may be busy with what comes before it.
_ASKED_LOST = timedelta(minutes=5)
PULSE_LOST = timedelta(minutes=2)
# Further ahead than clocks of two machines are apart: it was seen before the clock was set back.
PULSE_AHEAD = timedelta(minutes=1)
_PULSE_STEP = timedelta(seconds=15)


# Who plays a queued run that no message tells of.
WHO_ASKED = "who asked"


def of_the_queue() -> Q:
    """The runs that a worker is to play. A command plays its own, but where it left it to the worker.

    A row of before 1.0 does not say so, and is a command's that died.
    """
    left_to_the_worker = Q(trigger=Trigger.CLI, worker="", request__isnull=False)
    return Q(trigger__in=SENT_BY_QUEUE) | left_to_the_worker


def in_turn(prompt: bool) -> Iterator[Run]:
    """Of the runs that wait in the queue those that may begin, looked for one after the other."""
    related = ("database__server", "repository")
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
            note_wait(run, before)


def _in_queue() -> QuerySet[Run]:
    return Run.objects.filter(of_the_queue(), status=Status.QUEUED, worker="")


def note_wait(run: Run, before: Run) -> None:
    """Say of a queued run which other one it waits for."""
    words = phrase("Waits for {describe}.", describe=describe(before))[:200]
    if run.detail != words:
        Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(detail=words)


def runs_wake(*, prompt: bool) -> bool:
    """Wake a worker if a run may begin; answers whether. For whoever just made room."""
    run = next(in_turn(prompt), None)
    if run is not None:
        wake_for(run)
    return run is not None


def runs_resend(now: datetime | None = None) -> int:
    """Wake workers for runs that may begin and of whom no message is left; answers how many.

    Also those that whoever asked for them did not come to play. Messages that cannot be read go: the queue
    would stumble over them for ever.
    """
    now = now or timezone.now()
    since = now - QUEUE_LOST
    left = Run.objects.filter(status=Status.QUEUED, trigger__in=SENT_BY_QUEUE, worker=WHO_ASKED)
    left.filter(queued_at__lt=now - _ASKED_LOST).update(worker="")
    woken = _clusters_with_messages(now)
    running = list(Run.objects.filter(status=Status.RUNNING).only("action"))
    lost = [
        run
        for prompt in (False, True)
        if _cluster(prompt) not in woken
        and sum(turns.is_prompt(each) == prompt for each in running) < settings.RUNS_AT_ONCE
        and (run := next(in_turn(prompt), None)) is not None
        and run.queued_at < since
    ]
    for run in lost:
        run_log(
            run.pk,
            [line(phrase("The message to the worker about it was lost. It is sent again."), Level.WARNING)],
        )
        wake_for(run)
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


def repair_queue_clock(now: datetime | None = None) -> None:
    """Free the messages that would wait for a time that was, before the clock was set back."""
    now = now or timezone.now()
    # One that is being worked on is locked for longer than that, up to its very end.
    taken = timedelta(seconds=Conf.RETRY - Conf.TIMEOUT)
    OrmQ.objects.filter(lock__gt=now + BEAT_LOST, lock__lt=now + taken).update(lock=now)


_EXECUTE = "backups.tasks.run_execute"
SENT_BY_QUEUE = [Trigger.SCHEDULE, Trigger.ADMIN, Trigger.BACKUP, Trigger.VERIFY]


def worker_heartbeat(cluster: str, *, sparingly: bool = False, now: datetime | None = None) -> None:
    """Note that a cluster of the queue is alive; `sparingly`, not where that was noted just now."""
    now = now or timezone.now()
    just_now = (now - _PULSE_STEP, now + PULSE_AHEAD)
    seen = WorkerPulse.objects.filter(cluster=cluster, seen_at__range=just_now)
    if not (sparingly and seen.exists()):
        WorkerPulse.objects.update_or_create(cluster=cluster, defaults={"seen_at": now})


def worker_pulses(run: Run) -> tuple[datetime | None, datetime | None]:
    """When the cluster that is to play a run was last seen, and when any was; None where none ever was."""
    seen = dict(WorkerPulse.objects.values_list("cluster", "seen_at"))
    return seen.get(_cluster(turns.is_prompt(run))), max(seen.values(), default=None)


def wake_for(run: Run) -> None:
    """Send a worker the message that a run waits."""
    cluster = _cluster(turns.is_prompt(run))
    async_task(_EXECUTE, run.pk, task_name=str(run), group=run.action, cluster=cluster)


def wake_for_question(question_id: int) -> None:
    """Send a worker the message that a page asks something.

    It is the one that tells of a run, which a worker of before knows too: it finds none, and goes on.
    """
    task_name = f"Question {question_id}"
    async_task(_EXECUTE, question_id, task_name=task_name, group="question", cluster=_cluster(prompt=True))


def _cluster(prompt: bool) -> str:
    return settings.RESTORES_CLUSTER if prompt else str(settings.Q_CLUSTER["name"])
