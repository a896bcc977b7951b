"""Keeps the next times of schedules right, whatever a clock or django-q2 made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min, Q
from django.utils import timezone

from backups import marks
from backups.models import Run
from backups.models.as_stored import as_stored, moment
from backups.scheduling import schedules

if TYPE_CHECKING:
    from django_q.models import Schedule

_MINUTE = timedelta(minutes=1)
# What the clocks of two machines may be apart without a planned time being played twice.
CLOCKS_APART = timedelta(hours=1)
# Expressions in one question.
_AT_ONCE = 500


def schedules_keep(now: datetime | None = None) -> None:
    """Bring back to time what, left alone, would be done too late or once too often.

    The clock may have been set back, TIME_ZONE may have changed, and django-q2 takes an hour that comes
    twice for two. What is due already is left as it is, and caught up with once. As long as nobody writes to
    them and the clock goes forwards, rows stay as right as they were.
    """
    now = now or timezone.now()
    version = marks.version(_SCHEDULES)
    if now < _LOOKED.get(version, partial(_bring_back, now)):
        _bring_back(now)


_SCHEDULES = frozenset({"django_q_schedule"})
_LOOKED = marks.Kept[datetime]()


@transaction.atomic
def _bring_back(now: datetime) -> datetime:
    """Answers when that was."""
    from django_q.models import Schedule

    # django-q2 leaves these alone. A worker says so, who plays them by `due`, and no portal: a worker of the
    # version before plays only what its django-q2 finds.
    Schedule.objects.filter(schedules.ours_alone()).exclude(repeats=0).update(repeats=0)
    ours = Schedule.objects.filter(name__startswith=schedules.PREFIX, next_run__gt=now)
    # Of thousands of schedules all but a few are right, and many have the same times.
    ends = {"first": as_stored(Min("next_run")), "last": as_stored(Max("next_run"))}
    alike = ours.order_by().values_list("cron").annotate(**ends)
    doubtful = [cron for cron, first, last in alike if not _are_right(cron, moment(first), moment(last), now)]
    for some in (doubtful[begin : begin + _AT_ONCE] for begin in range(0, len(doubtful), _AT_ONCE)):
        named = Q(cron__in=[cron for cron in some if cron is not None])
        if None in some:
            named |= Q(cron=None)
        for schedule in ours.filter(named).select_for_update():
            right = _right_time(schedule, now) if schedule.cron else min(schedule.next_run, now + _MINUTE)
            if schedule.next_run != right:
                schedule.next_run = right
                schedule.save(update_fields=["next_run"])
    return now


def _are_right(cron: str | None, first: datetime, last: datetime, now: datetime) -> bool:
    """Whether all times that rows with one cron expression have are as they should be."""
    if not cron:
        return last <= now + _MINUTE
    return not schedules.usable(cron) or first == last == _next_time(cron, now)


def _right_time(schedule: Schedule, now: datetime) -> datetime:
    """When a schedule is due next, in UTC: Python takes a time in an hour that comes twice to equal none.

    What a clock ahead of ours has passed on stays passed on. Only where no such clock explains the row's
    time was ours set back.
    """
    if schedule.next_run == (next_time := _next_time(schedule.cron, now)):
        return next_time
    latest = now + CLOCKS_APART
    times = (time.astimezone(UTC) for time in schedules.all_times(schedule.cron, after=now))
    within: list[datetime] = []
    while not within or within[-1] <= latest:
        within.append(next(times))
        if within[-1] == schedule.next_run:
            return within[-1]
    played = _played_until(schedule, latest)
    return next((time for time in within if time not in played), within[-1])


def _played_until(schedule: Schedule, latest: datetime) -> set[datetime]:
    """The planned times that have a run. Later ones had one before the clock was set back: they are free."""
    verb, pk = schedules.verb_and_pk(schedule)
    if verb not in schedules.BECOME_RUNS:
        return set()
    runs = Run.objects.filter(database=pk, action=verb)
    runs.filter(slot__gt=latest).update(slot=None)
    newest = runs.filter(slot__isnull=False).order_by("-slot").values_list("slot", flat=True)[:100]
    return {slot for slot in newest if slot}


# Of this process, each expression's last answer: the time that comes next after the one that was asked for.
_answered: dict[tuple[str, str], tuple[datetime, datetime]] = {}


def _next_time(cron: str, now: datetime) -> datetime:
    """When it is due next, worked out anew only where that time came, or the clock was set back."""
    key = settings.TIME_ZONE, cron
    asked, answer = _answered.get(key, (now, now))
    if not asked <= now < answer:
        # In UTC, for Python takes a time in an hour that comes twice to equal none elsewhere.
        answer = schedules.next_times(cron, 1, after=now)[0].astimezone(UTC)
        if len(_answered) >= schedules.CRONS_KEPT:
            _answered.clear()
        _answered[key] = now, answer
    return answer
