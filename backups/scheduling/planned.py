"""All times that a cron expression names within a range: what a report counts the runs against."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from django.conf import settings

from backups.scheduling import schedules

# Every five minutes for half a year; of more nobody wants a list.
MOST_TIMES = 50_000
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_ALL = "*"
_DAYS_AT_ONCE, _MINUTES_OF_TWO_DAYS = 100, 2880


def planned_times(cron: str, begin: datetime, end: datetime) -> list[datetime] | None:
    """When a usable cron expression is due from `begin` until before `end`, in UTC, oldest first.

    None where that is more often than MOST_TIMES. The same times as `schedules.next_times` has, without
    asking croniter for each: of a day on which the clock is not changed they are its hours and minutes.
    """
    zone = ZoneInfo(settings.TIME_ZONE)
    first, last = begin.astimezone(zone).date(), end.astimezone(zone).date()
    offsets = _within_a_day(cron)
    is_each_day = cron.split()[2:] == [_ALL] * 3
    found: list[datetime] = []
    for days in _calendar(first, last, zone) if is_each_day else _spans(_days(cron, first, last), zone):
        if offsets is not None and days.are_whole:
            found += [midnight + offset for midnight in days.midnights for offset in offsets]
        else:
            ends = [*days.midnights[1:], days.next_midnight]
            for midnight, next_midnight in zip(days.midnights, ends, strict=True):
                found += _asked_for(cron, midnight, next_midnight)
        # What is of the first day before `begin` is not counted.
        if len(found) > MOST_TIMES + _MINUTES_OF_TWO_DAYS:
            return None
    found = found[bisect_left(found, begin) : bisect_left(found, end)]
    return None if len(found) > MOST_TIMES else found


class _Span(NamedTuple):
    """Days of 24 hours by their midnights, in UTC, or a single one that is shorter or longer."""

    midnights: Sequence[datetime]
    # The one after the last of them.
    next_midnight: datetime
    are_whole: bool


# Hundreds of databases have schedules of their own, and a report has one range of days.
@lru_cache(maxsize=16)
def _calendar(first: date, last: date, zone: ZoneInfo) -> tuple[_Span, ...]:
    return tuple(_spans((first + number * _DAY for number in range((last - first).days + 1)), zone))


def _spans(days: Iterable[date], zone: ZoneInfo) -> Iterator[_Span]:
    """So many whole days at once that a schedule of each minute is not reckoned for years in vain."""
    whole: list[datetime] = []
    for day in days:
        midnight, next_midnight = _midnight(day, zone), _midnight(day + _DAY, zone)
        is_whole = next_midnight - midnight == _DAY
        # Of some schedules not all days are there.
        is_next = bool(whole) and midnight == whole[-1] + _DAY
        if whole and (not is_whole or not is_next or len(whole) == _DAYS_AT_ONCE):
            yield _Span(whole, whole[-1] + _DAY, are_whole=True)
            whole = []
        if is_whole:
            whole.append(midnight)
        else:
            yield _Span([midnight], next_midnight, are_whole=False)
    if whole:
        yield _Span(whole, whole[-1] + _DAY, are_whole=True)


def _days(cron: str, first: date, last: date) -> Iterator[date]:
    """The days on which it is due, as the last three of its fields say."""
    at_noon = " ".join(["0", "12", *cron.split()[2:]])
    times = croniter(at_noon, datetime.combine(first, datetime.min.time()))
    while True:
        try:
            day = times.get_next(datetime).date()
        except CroniterBadDateError:
            return
        if day > last:
            return
        yield day


@lru_cache(maxsize=schedules.CRONS_KEPT)
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
