"""All planned times of a range are those that the queue goes by, also where the clock is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from pytest_django import Settings

from backups.scheduling import schedules
from backups.scheduling.planned import planned_times

SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
# By whose clock, the first day, how many days, and how many times there are.
COUNTS = {
    "an ordinary week": ("0 3,15 * * *", "Europe/Rome", date(2026, 5, 4), 7, 14),
    "each hour of the day with 23": ("0 * * * *", "Europe/Rome", SPRING, 1, 23),
    "each hour of the day with 25": ("0 * * * *", "Europe/Rome", AUTUMN, 1, 25),
    "the hour that is left out": ("30 2 * * *", "Europe/Rome", SPRING, 1, 1),
    "the hour that comes twice": ("30 2 * * *", "Europe/Rome", AUTUMN, 1, 1),
    "a change at midnight": ("30 0 * * *", "Africa/Cairo", date(2026, 4, 24), 1, 1),
    "days of the week": ("0 5 * * 0", "UTC", date(2026, 7, 1), 92, 13),
    "the last day of a month": ("0 5 l * *", "UTC", date(2026, 1, 1), 365, 12),
    "either of two kinds of day": ("0 5 1 * 1", "UTC", date(2026, 6, 1), 30, 5),
    "a day that most years have not": ("0 5 29 2 *", "UTC", date(2026, 1, 1), 365, 0),
    "half an hour, of a summer": ("*/30 3-4 * * *", "Australia/Lord_Howe", date(2026, 4, 4), 3, 12),
}


@pytest.mark.parametrize("case", COUNTS)
def test_times_are_those_of_the_schedule(case: str, settings: Settings) -> None:
    cron, settings.TIME_ZONE, first, days, count = COUNTS[case]
    zone = ZoneInfo(settings.TIME_ZONE)
    begin, end = (
        datetime.combine(first + timedelta(days=n), datetime.min.time(), zone).astimezone(UTC)
        for n in (0, days)
    )

    found = planned_times(cron, begin, end)

    one_by_one = schedules.all_times(cron, after=begin - timedelta(seconds=1))
    assert found == [
        time.astimezone(UTC) for time in takewhile(lambda time: time.astimezone(UTC) < end, one_by_one)
    ]
    assert found is not None
    assert len(found) == count


def test_a_range_may_begin_and_end_within_a_day() -> None:
    begin = datetime(2026, 5, 4, 3, tzinfo=UTC)

    found = planned_times("0 * * * *", begin, begin + timedelta(hours=3))

    assert found == [begin, begin + timedelta(hours=1), begin + timedelta(hours=2)]


def test_very_many_are_not_counted() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)

    assert planned_times("* * * * *", begin, begin + timedelta(days=34)) is not None
    assert planned_times("* * * * *", begin, begin + timedelta(days=60)) is None
