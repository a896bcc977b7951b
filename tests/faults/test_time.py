"""Clocks that jump, and nights that are longer or shorter: nothing is done twice, nothing left out unsaid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from pytest_django.fixtures import Settings

from backups.alerting import alerts, delivery
from backups.choices import Action, AlertState, Status, Trigger
from backups.models import Alert, Database, Run
from backups.runs import leases, lifecycle, queue
from backups.runs.asked import Asker, Wanted
from backups.scheduling.right_times import schedules_keep
from backups.scheduling.schedules import schedules_sync
from backups.snapshots import holds, selection
from backups.worker.due import runs_due
from tests.actions.tools import back_up
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Portal, Shop, wait_until
from tests.runs.test_services import add_database
from tests.snapshots.test_forget import KEEP_NOTHING, forgot, in_repository, made_at
from tests.worker.test_worker import asked

ROME = ZoneInfo("Europe/Rome")
STEP = timedelta(minutes=5)
DAY = timedelta(days=1)
CLOCK = Path(__file__).parent / "clock"


def rome(text: str) -> datetime:
    """A time on the clocks of Rome, as "10-25 02:30", in the hour that comes twice the first."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ROME).astimezone(UTC)


# ---------------------------------------------------------------- Schedules


@dataclass
class Clock:
    """A clock that the worker looks at, and what it finds due by it."""

    now: datetime
    due: list[datetime] = field(default_factory=list)

    def run_until(self, end: datetime) -> None:
        """Let time pass."""
        while self.now <= end:
            self.look()
            self.now += STEP

    def look(self) -> None:
        """What the worker does all the time."""
        with time_machine.travel(self.now, tick=False):
            schedules_keep()
            self.due += [self.now for run in runs_due() if run.action == Action.BACKUP]
        Run.objects.filter(status=Status.QUEUED).update(status=Status.SUCCEEDED)

    def seen(self) -> list[str]:
        """When a backup was due, on Rome's clocks."""
        return [f"{time.astimezone(ROME):%m-%d %H:%M}" for time in self.due]


def scheduled(cron: str, settings: Settings, begin: datetime) -> Clock:
    """A database with this cron in Rome, and the clock by which it is backed up."""
    settings.TIME_ZONE = "Europe/Rome"
    database = add_database()
    Database.objects.filter(pk=database.pk).update(backup_cron=cron)
    with time_machine.travel(begin, tick=False):
        schedules_sync()
    return Clock(begin)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("cron", "begin", "wanted"),
    [
        ("30 2 * * *", "03-28 20:00", ["03-29 03:00", "03-30 02:30"]),
        *(
            pytest.param(*each, marks=pytest.mark.soak)
            for each in (
                ("0 3,15 * * *", "03-28 20:00", ["03-29 03:00", "03-29 15:00", "03-30 03:00"]),
                ("0 2,3 * * *", "03-28 20:00", ["03-29 03:00", "03-30 02:00", "03-30 03:00"]),
                ("0 */2 * * *", "10-24 23:30", ["10-25 00:00", "10-25 02:00", "10-25 04:00", "10-25 06:00"]),
                ("0 3,15 * * *", "10-24 20:00", ["10-25 03:00", "10-25 15:00", "10-26 03:00"]),
                (
                    "15,45 2 * * *",
                    "10-24 20:00",
                    ["10-25 02:15", "10-25 02:45", "10-26 02:15", "10-26 02:45"],
                ),
            )
        ),
        ("0 */6 * * *", "03-28 23:00", ["03-29 00:00", "03-29 06:00", "03-29 12:00", "03-29 18:00"]),
        ("30 2 * * *", "10-24 20:00", ["10-25 02:30", "10-26 02:30"]),
    ],
)
def test_night_of_another_length_has_each_backup_once(
    cron: str, begin: str, wanted: list[str], settings: Settings
) -> None:
    clock = scheduled(cron, settings, rome(begin))

    clock.run_until(rome(wanted[-1]) + 4 * STEP)

    assert clock.seen() == wanted


@pytest.mark.django_db
def test_hourly_backup_is_hourly_in_the_long_night_too(settings: Settings) -> None:
    clock = scheduled("0 * * * *", settings, rome("10-25 00:30"))

    clock.run_until(rome("10-25 04:30"))

    assert [later - earlier for earlier, later in zip(clock.due, clock.due[1:], strict=False)] == (
        [timedelta(hours=1)] * 4
    )


@pytest.mark.django_db
def test_clock_set_back_by_a_day_skips_no_backup(settings: Settings) -> None:
    clock = scheduled("0 3,15 * * *", settings, rome("06-10 12:00"))
    clock.run_until(rome("06-10 16:00"))
    assert clock.seen() == ["06-10 15:00"]

    clock.now -= DAY
    clock.run_until(rome("06-10 16:00"))

    assert clock.seen()[1:] == ["06-10 03:00", "06-10 15:00"]


@pytest.mark.django_db
def test_clock_set_forward_by_a_day_has_one_backup_for_all_that_it_jumped_over(settings: Settings) -> None:
    clock = scheduled("0 3,15 * * *", settings, rome("06-10 12:00"))
    clock.run_until(rome("06-10 12:30"))

    clock.now += DAY
    began = clock.now
    clock.run_until(rome("06-11 16:00"))

    assert clock.due[0] == began
    assert clock.seen()[1:] == ["06-11 15:00"]


@pytest.mark.django_db
def test_another_time_zone_moves_what_is_due_next(settings: Settings) -> None:
    clock = scheduled("0 3 * * *", settings, rome("06-10 12:00"))
    settings.TIME_ZONE = "America/New_York"

    clock.run_until(rome("06-11 10:00"))

    assert clock.seen() == ["06-11 09:00"]


@pytest.mark.django_db
def test_worker_that_was_down_catches_up_once(settings: Settings) -> None:
    clock = scheduled("0 3,15 * * *", settings, rome("06-10 12:00"))

    clock.now = rome("06-13 12:00")
    began = clock.now
    clock.run_until(rome("06-13 16:00"))

    assert clock.due[0] == began
    assert clock.seen()[1:] == ["06-13 15:00"]


@pytest.mark.django_db
def test_tending_goes_on_after_the_clock_was_set_back(settings: Settings) -> None:
    scheduled("0 3 * * *", settings, rome("06-10 12:00")).look()
    back = rome("06-09 12:00")

    schedules_keep(back)

    tending = Schedule.objects.filter(func="backups.tasks.tend_runs").values_list("next_run", flat=True)
    assert set(tending) == {back + timedelta(minutes=1)}


# ---------------------------------------------------------------- What waits for a time that was


def queued(database: Database, **fields: object) -> Run:
    run = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.ADMIN), send=False)
    Run.objects.filter(pk=run.pk).update(**fields)
    run.refresh_from_db()
    return run


@pytest.mark.django_db
def test_dead_worker_is_found_though_its_last_beat_lies_in_the_future() -> None:
    now = timezone.now()
    run = queued(add_database(), status=Status.RUNNING, worker="elsewhere:1:x", beat_at=now + DAY)

    assert lifecycle.runs_reap(is_gone=lambda _: False, now=now) == []
    later = now + leases.BEAT_LOST + timedelta(seconds=1)
    assert lifecycle.runs_reap(is_gone=lambda _: False, now=later) == [run]


@pytest.mark.django_db
def test_message_queued_before_the_clock_was_set_back_does_not_wait_for_a_day() -> None:
    now = timezone.now()
    waiting = OrmQ.objects.create(key="vedetta", payload="", lock=now + DAY)
    taken_just_now = now + timedelta(seconds=60)
    at_work = OrmQ.objects.create(key="vedetta", payload="", lock=taken_just_now)

    queue.repair_queue_clock(now)

    waiting.refresh_from_db()
    at_work.refresh_from_db()
    assert waiting.lock == now
    assert at_work.lock == taken_just_now


@pytest.mark.django_db
def test_notification_tried_before_the_clock_was_set_back_is_tried_again(settings: Settings) -> None:
    now = timezone.now()
    settings.NOTIFY_URLS = ["json://127.0.0.1:1/"]
    Alert.objects.create(
        subject="Backup of shop", state=AlertState.FAILED, since=now - DAY, title="t", text="t",
        is_pending=True, tried_at=now + DAY,
    )  # fmt: skip

    delivery.deliver(now)

    assert Alert.objects.get().tried_at == now


# ---------------------------------------------------------------- Snapshots of a wrong time


@pytest.fixture
def database(mariadb_shop: Shop, make_database: MakeDatabase) -> Database:
    """The small database, in this process's own portal."""
    return make_database(mariadb_shop)


@pytest.fixture
def mariadb_portal(mariadb_shop: Shop, make_portal: MakePortal) -> Portal:
    """A portal where the server's flavour does not matter."""
    return make_portal(mariadb_shop)


def test_snapshot_of_the_future_is_neither_the_latest_nor_timely(database: Database) -> None:
    made_at(database, timezone.now() + 300 * DAY)
    real = made_at(database, timezone.now() - 3 * DAY)

    assert selection.resolve_snapshot(database, "latest") == real
    alerts.tend()
    assert Alert.objects.get(subject=f"Timely backup of {database}").state == AlertState.OVERDUE


def test_retention_keeps_the_newest_beside_one_of_the_future(database: Database) -> None:
    future = made_at(database, timezone.now() + 300 * DAY)
    old = made_at(database, timezone.now() - DAY)
    real = back_up(database)

    forgot(database, **KEEP_NOTHING)

    left = in_repository(database.repository)
    assert real.snapshot_id in left
    assert old.snapshot_id not in left
    assert future.snapshot_id not in left


def test_retention_keeps_what_was_made_after_the_clock_was_set_back(database: Database) -> None:
    before = made_at(database, timezone.now() - timedelta(minutes=10))
    after = back_up(database)
    # The backup was made later, by a clock that was an hour behind.
    backward = timezone.now() - timedelta(hours=1)
    type(after).objects.filter(pk=after.pk).update(time=backward)

    run = forgot(database, keep_daily=0, keep_weekly=0, keep_monthly=0)

    assert in_repository(database.repository) == {before.snapshot_id, after.snapshot_id}
    after.refresh_from_db()
    assert after.kept_because == [holds.MADE_LAST]
    assert run.result["forgotten"] == []


# ---------------------------------------------------------------- Real processes, whose clock is set


@contextmanager
def wrong_clock(portal: Portal, offset: timedelta) -> Iterator[Callable[[timedelta], None]]:
    """Has all that the portal starts in the block go by another clock; gives what sets it meanwhile."""
    file = portal.folder / "clock"

    def set_clock(offset: timedelta) -> None:
        partial = file.with_suffix(".new")
        partial.write_text(f"{offset.total_seconds():.0f}")
        partial.rename(file)

    set_clock(offset)
    known = dict(portal.environment)
    portal.environment |= {"PYTHONPATH": str(CLOCK), "WRONG_CLOCK_FILE": str(file)}
    try:
        yield set_clock
    finally:
        portal.environment = known


def test_gate_with_its_clock_set_back_is_invalid_and_closed(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    assert portal.backup().code == 0

    with wrong_clock(portal, 0 * DAY) as set_clock, portal.served() as address:
        assert asked(address) == (200, "fresh")
        set_clock(-DAY)
        assert asked(address) == (503, "invalid")
        set_clock(2 * DAY)
        assert asked(address) == (503, "stale")
        set_clock(0 * DAY)
        assert asked(address) == (200, "fresh")


@pytest.mark.soak  # half a minute or a whole one until the queue's scheduler looks; above it looks at once
def test_worker_whose_clock_is_set_back_by_a_day_backs_up_when_it_should(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    with wrong_clock(portal, DAY) as set_clock:
        portal.shell(
            "from backups.models import Database; from backups.scheduling.schedules import schedules_sync;"
            "Database.objects.update(backup_cron='* * * * *'); schedules_sync()"
        )
        with portal.worker():
            (due,) = portal.rows("SELECT next_run FROM django_q_schedule WHERE func LIKE '%backup_due'")
            assert due["next_run"] > f"{timezone.now() + DAY / 2:%Y-%m-%d %H:%M}"

            set_clock(0 * DAY)

            begun = (
                "SELECT status FROM backups_run WHERE trigger = 'schedule' AND action = 'backup'"
                " AND queued_at < datetime('now', '+12 hours')"
            )
            wait_until(lambda: portal.rows(begun), "the schedule to be due by the right clock", 100)
            wait_until(lambda: portal.rows(begun)[0]["status"] == "succeeded", "the scheduled backup")
    pulses = portal.rows("SELECT 1 FROM backups_workerpulse WHERE seen_at < datetime('now', '+12 hours')")
    assert len(pulses) == 2
