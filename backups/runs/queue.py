"""Which runs wait, and that a worker is woken for them.

The rows are the queue: a message only wakes a worker, and may be lost or doubled. Most commands send
none, and do without the library that does.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from backups.choices import Action, Status, Trigger
from backups.models import Database, Repository, Run, Snapshot, WorkerPulse
from backups.runs import turns, waiting
from backups.runs.leases import BEAT_LOST
from backups.runs.refusals import describe
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

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


def in_turn(prompt: bool, now: datetime | None = None) -> Iterator[Run]:
    """Of the runs that wait in the queue those that may begin, looked for one after the other.

    A command that waits for its turn plays its run itself, and has its place among them until it is silent.
    """
    now = now or timezone.now()
    related = ("database__server", "repository")
    rows = Run.objects.filter(_in_queue() | Q(beat_at__gt=now - BEAT_LOST), status=Status.QUEUED)
    if not rows.exists():  # as mostly, and what belongs to a run's row makes it a wide one
        return
    queued = [run for run in rows.select_related(*related) if turns.is_prompt(run) == prompt]
    if all(map(_waits_with_command, queued)):
        return
    ahead = list(Run.objects.filter(status=Status.RUNNING).order_by("pk").select_related(*related))
    repositories = Repository.objects.count()
    small = cache(lambda: _small([*queued, *ahead]))
    for run in turns.in_order(queued, now):
        if _waits_with_command(run):
            before = waiting.before(run, now)
            if before is None:
                ahead.append(run)  # within a second it will be under way
            elif before.status == Status.QUEUED:
                before = None  # which comes later in this order, and would wait for the command in turn
        elif (before := turns.waits_for(run, ahead, repositories=repositories, small=small)) is None:
            yield run
        else:
            note_wait(run, before)
        if before is not None and turns.holds_others_back(run, before, now):
            ahead.append(run)


def _small(runs: Collection[Run]) -> set[int]:
    """The ids of the databases of which these are backups and whose newest one was small and quick."""
    ids = {run.database_id for run in runs if run.action == Action.BACKUP and run.database_id}
    newest = Snapshot.objects.present().filter(database=OuterRef("pk")).newest_first().values("pk")[:1]
    found = Database.objects.filter(pk__in=ids).annotate(newest=Subquery(newest)).values_list("newest")
    dumps = Snapshot.objects.filter(
        pk__in=[pk for (pk,) in found if pk is not None], total_bytes_processed__lte=turns.SMALL_BYTES
    ).values_list("database_id", "made_by__started_at", "made_by__finished_at")
    return {pk for pk, began, ended in dumps if pk and began and ended and _was_quick(ended - began)}


def _was_quick(took: timedelta) -> bool:
    return timedelta() <= took <= timedelta(seconds=turns.SMALL_SECONDS)


def _in_queue() -> Q:
    return of_the_queue() & Q(worker="")


def _waits_with_command(run: Run) -> bool:
    """Whether the command that asked for a queued run says all the time that it waits."""
    return run.beat_at is not None


def note_wait(run: Run, before: Run) -> None:
    """Say of a queued run which other one it waits for."""
    words = phrase("Waits for {describe}.", describe=describe(before))[:200]
    if (run.detail, run.waits_for_id) != (words, before.pk):
        Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(detail=words, waits_for=before)


def runs_wake(*, prompt: bool) -> bool:
    """Wake a worker if a run may begin; answers whether. For whoever just made room."""
    run = next(in_turn(prompt), None)
    if run is not None:
        wake_for(run)
    return run is not None


def runs_left(now: datetime | None = None) -> int:
    """Leave to the queue what follows a run, if whoever asked for it did not play it; answers how many."""
    left = Run.objects.filter(status=Status.QUEUED, trigger__in=SENT_BY_QUEUE, worker=WHO_ASKED)
    return left.filter(queued_at__lt=(now or timezone.now()) - _ASKED_LOST).update(worker="")


def wake_up(*, prompt: bool) -> dict[str, Any] | None:
    """What the message to this worker would be that a run may begin; None where none may.

    Whoever looks at the rows now and then misses no run whose message was lost, or lies with a worker that
    is dead or busy.
    """
    run = next(in_turn(prompt), None)
    if run is None:
        return None
    return {
        "id": uuid.uuid4().hex, "name": str(run), "func": _EXECUTE, "args": (run.pk,), "kwargs": {},
        "group": run.action, "started": timezone.now(),
    }  # fmt: skip


def queue_read(payload: str) -> Any:
    """What a message of the queue says that was signed with SECRET_KEY, or with one of SECRET_KEY_FALLBACKS.

    Raises whatever unpacking raises.
    """
    from django_q.conf import Conf
    from django_q.signing import PickleSerializer

    return signing.loads(payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=PickleSerializer)


def queue_unreadable(pk: int, error: Exception) -> None:
    """Say in the log that a message goes because nobody can read it."""
    logger.error(
        "message %s of the queue cannot be read (%s) and is removed; was SECRET_KEY changed? "
        "Queued runs are done all the same",
        pk,
        type(error).__name__,
    )


def repair_queue_clock(now: datetime | None = None) -> None:
    """Free the messages that would wait for a time that was, before the clock was set back.

    Also those that a worker of the version before has taken, which locked them for days.
    """
    from django_q.models import OrmQ

    now = now or timezone.now()
    longest = timedelta(seconds=settings.MESSAGE_SECONDS) + BEAT_LOST
    OrmQ.objects.filter(lock__gt=now + longest).update(lock=now)


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
    _send(run.pk, str(run), group=run.action, prompt=turns.is_prompt(run))


def wake_for_question(question_id: int) -> None:
    """Send a worker the message that a page asks something.

    It is the one that tells of a run, which a worker of before knows too: it finds none, and goes on.
    """
    _send(question_id, f"Question {question_id}", group="question", prompt=True)


def _send(pk: int, name: str, *, group: str, prompt: bool) -> None:
    from django_q.tasks import async_task

    async_task(_EXECUTE, pk, task_name=name, group=group, cluster=_cluster(prompt))


def _cluster(prompt: bool) -> str:
    return settings.RESTORES_CLUSTER if prompt else str(settings.Q_CLUSTER["name"])
