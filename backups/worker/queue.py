"""What the queue may be told to do: our own functions with the ids of our rows, and nothing else.

Who can write in the portal's database can write a schedule, and django-q2 would sign its message with our
key and call whatever it names. Here each order is looked at three times: as a schedule, where it is signed,
and where it is taken for a worker. django-q2's own `pre_execute` is too late: what it raises ends the worker.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

from croniter import croniter
from django.conf import settings
from django.dispatch import receiver
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import Schedule
from django_q.signals import pre_enqueue
from django_q.signing import SignedPackage

from backups import marks, process
from backups.alerting import alerts
from backups.choices import ACTIVE
from backups.models import Run
from backups.models.as_stored import as_stored, moment
from backups.runs.queue import queue_read, queue_unreadable, wake_up
from backups.scheduling import schedules
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

# Each function that is played, and how many ids it takes.
_PLAYED = {
    "backups.tasks.run_execute": 1,
    "backups.tasks.backup_due": 1,
    "backups.tasks.verify_due": 1,
    "backups.tasks.snapshots_due": 1,
    "backups.tasks.tend_runs": 0,
}
# Without those that call further functions (hook, chain) or play at once, in whichever process (sync).
_PARTS = frozenset({"id", "name", "func", "args", "kwargs", "group", "cluster", "started", "ack_failure"})
# So often a worker with nothing to do looks at the rows itself.
_LOOK_SECONDS = 5.0
_ID = re.compile(r"\([0-9]{1,18},\)")
_REMOVED = phrase(
    "The queue runs only Vedetta's own functions. Backups go on as they are scheduled. Something else "
    "writes in the portal's own database. Find out what can (DATABASE_URL), change that password, and "
    "look through the portal's users, databases and audit."
)


class OwnOrders(ORM):
    """The queue's messages in the portal's database, of which those that are not ours are removed.

    A message may be lost or doubled: where there is none, the rows say what there is to do.
    """

    _looked = 0.0

    def enqueue(self, task: str) -> int | None:
        """Put a message into the queue, None where it is not one of ours."""
        if why := _why_strange(queue_read(task)):
            _tell(phrase("An order to the queue was refused: {why}.", why=why))
            return None
        return int(super().enqueue(task))

    def timeout(self, task: Any) -> datetime:
        """When a message that was taken now is sent once more, if it was not worked on by then."""
        return timezone.now() + timedelta(seconds=settings.MESSAGE_SECONDS)

    def dequeue(self) -> list[tuple[int, str]]:
        """The next message, or what the rows have one do without it."""
        return self._messages() or self._from_rows()

    def _messages(self) -> list[tuple[int, str]]:
        """Signed anew where that was with a key of before."""
        taken = []
        for pk, payload in super().dequeue() or ():
            try:
                order = queue_read(payload)
            except Exception as error:  # noqa: BLE001  unpacking runs whatever the message names
                queue_unreadable(pk, error)
                self.delete(pk)
                continue
            if why := _why_strange(order):
                _tell(
                    phrase(
                        "Message {number} of the queue was removed before a worker took it: {why}.",
                        number=pk,
                        why=why,
                    )
                )
                self.delete(pk)
            else:
                taken.append((pk, SignedPackage.dumps(order)))
        return taken

    def _from_rows(self) -> list[tuple[int, str]]:
        """What no message needs to tell. It has no number, as there is nothing to be removed after it."""
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return []
        self._looked = time.monotonic()
        is_prompt = self.list_key == settings.RESTORES_CLUSTER
        # In the cluster of which a process is free at any time.
        order = _to_tend() if is_prompt and _somebody_died() else wake_up(prompt=is_prompt)
        return [(0, SignedPackage.dumps(order))] if order else []


def _somebody_died() -> bool:
    """Whether the process of a run on this machine is gone, which holds up others until that is told."""
    workers = Run.objects.filter(status__in=ACTIVE).exclude(worker="").values_list("worker", flat=True)
    return any(map(process.is_gone, workers))


def _to_tend() -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex, "name": "tend", "func": "backups.tasks.tend_runs", "args": (), "kwargs": {},
        "started": timezone.now(),
    }  # fmt: skip


def strange_schedules_remove() -> None:
    """Remove the schedules that are not ours, and put back what of ours was changed into one.

    What nobody wrote to since this process looked is looked at again within `marks.BOUND_SECONDS`, and so
    are those of which only the next times were written: planned times come due all the time.
    """
    _LOOKED.get(marks.version(_ORDERS), _remove_strange_schedules)


_ORDERS = frozenset({marks.ORDERS})
_LOOKED = marks.Kept[None]()


def _remove_strange_schedules() -> None:
    strange = _strange_schedules()
    for pk, why in strange:
        Schedule.objects.filter(pk=pk).delete()
        _tell(phrase("Schedule {number} of the queue was removed: {why}.", number=pk, why=why))
    if strange:
        schedules.schedules_sync()


class _Looked(NamedTuple):
    """What of a schedule is looked at beside its next time: of very many, whole rows would take too long."""

    func: Any
    hook: Any
    args: Any
    kwargs: Any
    intended_date_kwarg: Any
    cluster: Any
    schedule_type: Any
    minutes: Any
    cron: Any


# Of this process: as they were read last, those in which nothing was strange.
_plain: list[tuple[Any, ...]] = []


def _strange_schedules() -> list[tuple[int, str]]:
    """Their keys, and why they are. All are read, in one query; what reads as it did is not judged again."""
    columns = ("pk", as_stored("next_run"), *_Looked._fields)
    rows = list(Schedule.objects.order_by("pk").values_list(*columns))
    if rows == _plain:
        return []
    known = set(_plain)
    found = {row: why for row in rows if row not in known and (why := _why_strange_row(*row))}
    _plain[:] = [row for row in rows if row not in found]
    return [(row[0], why) for row, why in found.items()]


def _why_strange_row(pk: int, next_run: Any, *looked: Any) -> str:
    """Empty where it is not."""
    try:
        return _why_strange_schedule(_Looked._make(looked), _next_run(pk, next_run))
    except (Schedule.DoesNotExist, *_OF_OTHER_KINDS):
        return phrase("it holds values of other kinds")


# What reading and judging values raises that are not of their column's kind: SQLite keeps them in any.
_OF_OTHER_KINDS = (TypeError, ValueError, AttributeError, OverflowError)


def _next_run(pk: int, stored: Any) -> datetime | None:
    """As Django, and so the queue, reads it; raises what that raises, and where the row is gone by now."""
    try:
        return cast(datetime | None, moment(stored))
    except _OF_OTHER_KINDS:
        return Schedule.objects.get(pk=pk).next_run


@receiver(pre_enqueue, dispatch_uid="backups.keep_our_parts")
def _keep_our_parts(task: dict[str, Any], **_: Any) -> None:
    """No order of this process's carries what we never ask for: who gives one asks for OwnOrders first."""
    for name in task.keys() - _PARTS:
        del task[name]


def _why_strange(order: object) -> str:
    """Why an order is not one of ours, empty where it is."""
    if not isinstance(order, Mapping):
        return phrase("it holds no order")
    func, args = order.get("func"), order.get("args")
    if not isinstance(func, str) or func not in _PLAYED:
        return phrase("it names {shown}", shown=_shown(func))
    if more := order.keys() - _PARTS:
        return phrase("it also asks for {shown}", shown=_shown(min(more, key=str)))
    is_ids = isinstance(args, tuple) and all(type(each) is int for each in args)
    if not is_ids or len(args or ()) != _PLAYED[func] or order.get("kwargs"):
        return phrase("it gives {func} arguments that it does not take", func=func)
    return ""


def _why_strange_schedule(schedule: _Looked, next_run: datetime | None) -> str:
    """Also what would only stop the queue's look at all schedules: it stumbles over the first bad one."""
    if schedule.func not in _PLAYED:
        return phrase("it names {shown}", shown=_shown(schedule.func))
    if schedule.hook or schedule.kwargs or schedule.intended_date_kwarg:
        return phrase("it asks for more than {func}", func=schedule.func)
    if bool(schedule.args) != bool(_PLAYED[schedule.func]) or not _ID.fullmatch(schedule.args or "(0,)"):
        return phrase("it gives {func} arguments that it does not take", func=schedule.func)
    if schedule.cluster not in (None, settings.Q_CLUSTER["name"], settings.RESTORES_CLUSTER):
        return phrase("it is for the worker {shown}, which is not ours", shown=_shown(schedule.cluster))
    if next_run is None or not _has_rhythm(schedule):
        return phrase("it has no rhythm that can be kept")
    return ""


def _has_rhythm(schedule: _Looked) -> bool:
    if schedule.schedule_type == Schedule.CRON:
        return bool(schedule.cron) and _is_cron(schedule.cron)
    return schedule.schedule_type in dict(Schedule.TYPE) and (schedule.minutes or 1) > 0


@lru_cache(maxsize=10_000)
def _is_cron(text: str) -> bool:
    return bool(croniter.is_valid(text))


def _shown(name: object) -> str:
    return repr(name[:100]) if isinstance(name, str) else f"a {type(name).__name__}"


def _tell(what: str) -> None:
    logger.error("%s %s", what, _REMOVED)
    alerts.strange_order(f"{what} {_REMOVED}")
