"""All times that a cron expression names within a range: what a report counts the runs against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from django.conf import settings

from backups.scheduling import schedules

# Every five minutes for half a year; of more nobody wants a list.
MOST_TIMES = 50_000
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_ALL = "*"


def planned_times(cron: str, begin: datetime, end: datetime) -> list[datetime] | None:
    """When a usable cron expression is due from `begin` until before `end`, in UTC, oldest first.

    None where that is more often than MOST_TIMES. The same times as `schedules.next_times` has, without
    asking croniter for each: of a day on which the clock is not changed they are its hours and minutes.
    """
    zone = ZoneInfo(settings.TIME_ZONE)
    offsets = _within_a_day(cron)
    found: list[datetime] = []
    for day in _days(cron, begin.astimezone(zone).date(), end.astimezone(zone).date()):
        midnight, next_midnight = _midnight(day, zone), _midnight(day + _DAY, zone)
        if offsets is not None and next_midnight - midnight == _DAY:
            times = [midnight + offset for offset in offsets]
        else:
            times = _asked_for(cron, midnight, next_midnight)
        found += [time for time in times if begin <= time < end]
        if len(found) > MOST_TIMES:
            return None
    return found


def _days(cron: str, first: date, last: date) -> Iterator[date]:
    """The days on which it is due, as the last three of its fields say."""
    at_noon = " ".join(["0", "12", *cron.split()[2:]])
    if cron.split()[2:] == [_ALL] * 3:
        yield from (first + number * _DAY for number in range((last - first).days + 1))
        return
    times = croniter(at_noon, datetime.combine(first, datetime.min.time()))
    while True:
        try:
            day = times.get_next(datetime).date()
        except CroniterBadDateError:
            return
        if day > last:
            return
        yield day


def _within_a_day(cron: str) -> list[timedelta] | None:
    """How long after midnight; None where croniter must be asked, as it means more than numbers."""
    minutes, hours = croniter(cron).expanded[:2]
    minutes = list(range(60)) if minutes == [_ALL] else minutes
    hours = list(range(24)) if hours == [_ALL] else hours
    if not all(isinstance(each, int) for each in (*minutes, *hours)):
        return None
    return [timedelta(hours=hour, minutes=minute) for hour in sorted(hours) for minute in sorted(minutes)]


# Of ten years and some: hundreds of databases have schedules of their own, and the same days.
@lru_cache(maxsize=4000)
def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)


def _asked_for(cron: str, begin: datetime, end: datetime) -> list[datetime]:
    times = (time.astimezone(UTC) for time in schedules.all_times(cron, after=begin - _SECOND))
    return list(takewhile(lambda time: time < end, times))
