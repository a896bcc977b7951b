"""Schedules follow the databases' cron expressions, and nobody else's are touched."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone
from django_q.models import Schedule
from pytest_django.fixtures import Settings

from backups.models import Database
from backups.scheduling.schedules import is_due_on, longest_gap, next_times, schedules_sync
from tests.runs.test_services import add_database


@pytest.fixture
def database(db: None) -> Database:
    return add_database()


def names() -> set[str]:
    return set(Schedule.objects.values_list("name", flat=True))


def test_each_database_has_its_backup_and_its_verification(database: Database) -> None:
    schedules_sync()

    backup = Schedule.objects.get(func="backups.tasks.backup_due")
    verify = Schedule.objects.get(func="backups.tasks.verify_due")
    assert (backup.cron, backup.args) == ("0 3,15 * * *", f"({database.pk},)")
    assert (verify.cron, verify.args) == ("0 5 * * 0", f"({database.pk},)")
    assert backup.next_run > timezone.now()


def test_each_cluster_has_its_tending_every_minute(database: Database) -> None:
    schedules_sync()

    tending = Schedule.objects.filter(func="backups.tasks.tend_runs")
    assert {schedule.cluster for schedule in tending} == {None, "restores"}
    assert {schedule.minutes for schedule in tending} == {1}


def test_schedule_that_is_as_it_should_be_keeps_its_row_and_its_next_time(database: Database) -> None:
    schedules_sync()
    Schedule.objects.update(next_run=datetime(2026, 1, 1, tzinfo=UTC))
    before = list(Schedule.objects.order_by("pk").values())

    schedules_sync()

    assert list(Schedule.objects.order_by("pk").values()) == before


def test_changed_cron_changes_the_row(database: Database) -> None:
    schedules_sync()
    pk = Schedule.objects.get(func="backups.tasks.backup_due").pk
    database.backup_cron = "30 1 * * *"
    database.save()

    schedules_sync()

    changed = Schedule.objects.get(func="backups.tasks.backup_due")
    assert (changed.pk, changed.cron) == (pk, "30 1 * * *")
    assert (changed.next_run.hour, changed.next_run.minute) == (1, 30)


def test_empty_cron_and_removed_database_remove_their_schedules(database: Database) -> None:
    other = add_database("other")
    schedules_sync()
    assert f"vedetta backup {other.pk}" in names()
    database.verify_cron = ""
    database.save()
    other.delete()

    schedules_sync()

    assert names() == {
        f"vedetta backup {database.pk}",
        f"vedetta snapshots {database.repository_id}",
        "vedetta tend default",
        "vedetta tend restores",
    }


def test_doubled_schedule_becomes_one(database: Database) -> None:
    schedules_sync()
    Schedule.objects.create(name="vedetta tend default", func="backups.tasks.tend_runs")

    schedules_sync()

    assert Schedule.objects.filter(name="vedetta tend default").count() == 1


def test_schedules_of_others_stay(database: Database) -> None:
    Schedule.objects.create(name="an operator's own", func="math.sqrt")

    schedules_sync()

    assert "an operator's own" in names()


@pytest.mark.parametrize(
    ("cron", "after", "wanted"),
    [
        # 29 March 2026: 02:00 becomes 03:00 in Rome.
        (
            "0 3,15 * * *",
            "2026-03-28T20:00+00:00",
            ["2026-03-29T01:00", "2026-03-29T13:00", "2026-03-30T01:00"],
        ),
        ("30 2 * * *", "2026-03-28T20:00+00:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # 25 October 2026: 03:00 becomes 02:00.
        (
            "0 3,15 * * *",
            "2026-10-24T20:00+00:00",
            ["2026-10-25T02:00", "2026-10-25T14:00", "2026-10-26T02:00"],
        ),
        ("30 2 * * *", "2026-10-24T20:00+00:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 * * * *", "2026-10-25T00:00+00:00", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        ("0 5 * * 0", "2026-10-24T20:00+00:00", ["2026-10-25T04:00", "2026-11-01T04:00"]),
    ],
    ids=["spring", "spring-skipped-hour", "autumn", "autumn-doubled-hour", "autumn-every-hour", "sunday"],
)
def test_times_are_of_the_clock_on_the_wall(
    cron: str, after: str, wanted: list[str], settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Rome"

    times = next_times(cron, len(wanted), after=datetime.fromisoformat(after))

    assert [f"{time.astimezone(UTC):%Y-%m-%dT%H:%M}" for time in times] == wanted


def test_wrong_cron_is_an_error() -> None:
    with pytest.raises(ValueError, match="five fields"):
        next_times("now and then", 1)


@pytest.mark.parametrize(
    ("cron", "hours"),
    [
        ("0 3,15 * * *", 13),  # one of them in autumn's long night
        ("0 3 * * *", 25),
        ("0 5,6 * * 0", 7 * 24),  # less an hour, and one more in autumn
        ("*/5 9-17 * * 1-5", 2 * 24 + 15 + 5 / 60),
        ("30 * * * *", 1),
        ("0 3 1 * *", 31 * 24 + 1),
        ("0 3 1 1 *", 365 * 24),
        ("0 3 29 2 *", (4 * 365 + 1) * 24),
    ],
)
def test_the_longest_gap_is_found_wherever_in_the_year_it_is(
    cron: str, hours: float, settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Rome"

    gap = longest_gap(cron, after=datetime.fromisoformat("2026-11-23T12:00+00:00"))

    assert gap == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("cron", "day", "is_due"),
    [
        ("", date(2026, 11, 2), False),
        ("0 3 * * *", date(2026, 11, 2), True),
        ("0 0 * * *", date(2026, 11, 2), True),
        ("59 23 * * *", date(2026, 11, 2), True),
        ("0 3 * * 1", date(2026, 11, 2), True),
        ("0 3 * * 1", date(2026, 11, 3), False),
        ("0 3 1 * *", date(2026, 11, 2), False),
        # The night in which that hour does not exist, and the one in which it comes twice.
        ("30 2 * * *", date(2026, 3, 29), True),
        ("30 2 * * *", date(2026, 10, 25), True),
    ],
)
def test_the_days_that_an_expression_names(cron: str, day: date, is_due: bool, settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Rome"
    assert is_due_on(cron, day) == is_due
