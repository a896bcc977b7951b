"""Which days of a strip are told as missed, and which were left out by a pause."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from backups.admin.strips import left_out_days, strips_of
from backups.choices import Action, StandDownKind
from backups.models import Database, Run, StandDown
from tests.rows import a_server
from tests.runs.test_services import add_database

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)
DAY, BEFORE = date(2026, 6, 10), date(2026, 6, 9)


def at(hour: int, minute: int = 0, *, day: int = 10) -> datetime:
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def database(settings: Settings) -> Database:
    settings.TIME_ZONE = "UTC"
    database = add_database()
    Run.objects.create(
        action=Action.BACKUP, database=database, repository=database.repository, queued_at=at(3, day=1)
    )
    return database


def missed(database: Database, cron: str) -> set[date]:
    Database.objects.filter(pk=database.pk).update(backup_cron=cron)
    row = Database.objects.get(pk=database.pk)
    row.first_run_at = at(3, day=1)  # type: ignore[attr-defined]
    strip = strips_of([row], [], NOW, left_out_days([row], NOW))[row.pk]
    return {day.day for day in strip if day.is_missed}


NIGHTLY, TWICE, SUNDAYS = "0 3 * * *", "0 3,15 * * *", "0 3 * * 0"


@pytest.mark.parametrize(
    ("cron", "begin", "ended", "until", "is_missed"),
    [
        pytest.param(NIGHTLY, at(1), at(4), None, False, id="around the planned time"),
        pytest.param(NIGHTLY, at(9), at(10), None, True, id="hours after it"),
        pytest.param(NIGHTLY, at(1), at(2), None, True, id="over before it"),
        pytest.param(NIGHTLY, at(3), at(4), None, False, id="from the moment itself"),
        pytest.param(NIGHTLY, at(1), at(3), None, True, id="ended at the moment itself"),
        pytest.param(NIGHTLY, at(1), None, at(3), True, id="over by itself at the moment"),
        pytest.param(NIGHTLY, at(1), None, at(3, 1), False, id="over by itself after it"),
        pytest.param(NIGHTLY, at(1), at(2), at(9), True, id="ended before its end"),
        pytest.param(NIGHTLY, at(1), None, None, False, id="still"),
        pytest.param(NIGHTLY, at(23, day=9), at(4), None, False, id="from the day before"),
        pytest.param(TWICE, at(1), at(4), None, True, id="around one of two"),
        pytest.param(TWICE, at(1), at(16), None, False, id="around both"),
        pytest.param(SUNDAYS, at(9), at(10), None, False, id="nothing was planned"),
        pytest.param("", at(9), at(10), None, False, id="no schedule"),
    ],
)
def test_a_day_is_left_out_where_each_planned_time_lay_within_a_pause(
    database: Database, cron: str, begin: datetime, ended: datetime | None, until: datetime | None,
    is_missed: bool,
) -> None:  # fmt: skip
    StandDown.objects.create(
        database=database, kind=StandDownKind.PAUSE, reason="The server moves.", made_by="anna",
        made_at=begin, ended_at=ended, until=until,
    )  # fmt: skip

    assert (DAY in missed(database, cron)) == is_missed
    # What no pause reaches is told as ever.
    assert (BEFORE in missed(database, cron)) == (cron in {NIGHTLY, TWICE})


def test_two_pauses_cover_a_day_together_and_a_mute_covers_nothing(database: Database) -> None:
    for kind, begin, end in (
        (StandDownKind.PAUSE, at(1), at(4)),
        (StandDownKind.RETIREMENT, at(14), at(16)),
        (StandDownKind.MUTE, at(0, day=9), at(23, day=9)),
    ):
        StandDown.objects.create(
            database=database, kind=kind, reason="The server moves.", made_by="anna",
            made_at=begin, ended_at=end,
        )  # fmt: skip

    found = missed(database, TWICE)
    assert DAY not in found
    assert BEFORE in found


def test_a_pause_is_of_its_database_alone(database: Database) -> None:
    other = Database.objects.create(
        name="crm", database="crm", server=a_server(), repository=database.repository
    )
    StandDown.objects.create(
        database=other, kind=StandDownKind.PAUSE, reason="The server moves.", made_by="anna",
        made_at=NOW - timedelta(days=15),
    )  # fmt: skip

    assert DAY in missed(database, NIGHTLY)
