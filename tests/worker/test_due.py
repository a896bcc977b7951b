"""Planned times become runs: each one once, however many look, and by whichever clocks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django_q.models import Schedule

from backups import process
from backups.choices import Action, Status, Trigger
from backups.management.commands import worker
from backups.models import Alert, Database, Run, RunLine
from backups.requests import Asker, BackupRequest
from backups.runs import leases, lifecycle
from backups.scheduling import right_times, schedules
from backups.worker import due
from tests.runs.test_services import add_database

pytestmark = pytest.mark.django_db
SLOT = datetime(2026, 6, 10, 3, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def database() -> Database:
    """One that is backed up at 03:00 and 15:00, and never verified."""
    database = add_database()
    Database.objects.filter(pk=database.pk).update(backup_cron="0 3,15 * * *", verify_cron="")
    with time_machine.travel(SLOT - MINUTE, tick=False):
        schedules.schedules_sync()
    return database


def planned() -> Schedule:
    return Schedule.objects.get(func="backups.tasks.backup_due")


def finish_all() -> None:
    Run.objects.filter(status=Status.QUEUED).update(status=Status.SUCCEEDED)


def test_a_planned_time_becomes_a_run_when_it_comes_and_not_before(database: Database) -> None:
    assert due.runs_due(SLOT - SECOND) == []

    (run,) = due.runs_due(SLOT)

    assert (run.slot, run.trigger, run.status) == (SLOT, Trigger.SCHEDULE, Status.QUEUED)
    assert planned().next_run == SLOT + timedelta(hours=12)
    assert due.runs_due(SLOT + SECOND) == []


def test_the_queues_own_scheduler_leaves_it_alone_once_a_worker_says_so(database: Database) -> None:
    """A portal alone does not: a worker of the version before plays what that scheduler finds."""
    assert planned().repeats == -1
    Database.objects.update(backup_cron="30 3 * * *")
    schedules.schedules_sync()
    assert planned().repeats == -1

    right_times.schedules_keep(SLOT - MINUTE)

    assert planned().repeats == 0
    Database.objects.update(backup_cron="0 3,15 * * *")
    schedules.schedules_sync()
    assert planned().repeats == 0
    assert set(Schedule.objects.filter(func__endswith="tend_runs").values_list("repeats", flat=True)) == {-1}


def test_what_is_under_way_stands_for_a_planned_time_and_says_so(database: Database) -> None:
    asked = BackupRequest(database).submit(Asker(Trigger.ADMIN))

    assert due.runs_due(SLOT) == []

    assert "was left out, because this one was under way" in RunLine.objects.get(run=asked).text
    assert planned().next_run > SLOT
    assert not Alert.objects.filter(state="failed").exists()


@pytest.mark.parametrize("how", ["its process is gone", "it is silent elsewhere"])
def test_a_dead_run_does_not_stand_for_a_planned_time(database: Database, how: str) -> None:
    """The worker was dead when the time came, and its run is not given up yet."""
    is_gone = how == "its process is gone"
    dead = BackupRequest(database).submit(Asker(Trigger.ADMIN))
    died = f"{os.uname().nodename}:4194304:1" if is_gone else "elsewhere:1:1"
    beat_at = SLOT if is_gone else SLOT - leases.BEAT_LOST * 1.1
    Run.objects.filter(pk=dead.pk).update(status=Status.RUNNING, worker=died, beat_at=beat_at)

    assert due.runs_due(SLOT) == []

    assert planned().next_run == SLOT
    assert not RunLine.objects.exists()
    assert not Alert.objects.filter(state="failed").exists()
    Run.objects.filter(pk=dead.pk).update(status=Status.LOST)
    (run,) = due.runs_due(SLOT + 10 * SECOND)
    assert run.slot == SLOT


def test_a_run_that_lives_stands_for_a_planned_time(database: Database) -> None:
    busy = BackupRequest(database).submit(Asker(Trigger.ADMIN))
    Run.objects.filter(pk=busy.pk).update(
        status=Status.RUNNING, worker=process.identity(), beat_at=SLOT - SECOND
    )

    assert due.runs_due(SLOT) == []

    assert planned().next_run > SLOT


def test_a_planned_time_with_a_run_is_no_failure_and_no_second_run(database: Database) -> None:
    """As after another scheduler inserted it, whichever way."""
    with time_machine.travel(SLOT, tick=False):
        BackupRequest(database).submit(Asker(Trigger.SCHEDULE, slot=SLOT))

        assert due.runs_due(SLOT) == []
        finish_all()
        Schedule.objects.update(next_run=SLOT)
        assert due.runs_due(SLOT) == []

    assert Run.objects.count() == 1
    assert not RunLine.objects.exists()
    assert not Alert.objects.filter(state="failed").exists()


def test_the_database_refuses_what_nobody_looked_for(database: Database) -> None:
    run = BackupRequest(database).submit(Asker(Trigger.SCHEDULE, slot=SLOT))
    run.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        run.save(force_insert=True)


def test_what_cannot_be_inserted_is_told_and_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(lifecycle, "run_enqueue", breaks)
        assert due.runs_due(SLOT) == []
    told = Alert.objects.get(subject="Schedule: Backup of shop")
    assert told.state == "failed"
    assert "could not be queued (OSError). That is tried again" in told.text
    assert planned().next_run == SLOT

    (run,) = due.runs_due(SLOT + 10 * SECOND)

    assert run.slot == SLOT
    told.refresh_from_db()
    assert told.state == "good"


# ---------------------------------------------------------------- Two machines


@dataclass
class Machines:
    """Workers whose clocks differ by so much, which look in turn, each every few seconds."""

    ahead: Sequence[timedelta]
    step: timedelta

    def run(self, begin: datetime, end: datetime) -> list[datetime]:
        """The planned times that became runs, in the order in which they did."""
        now, slots = begin, []
        while now < end:
            for ahead in self.ahead:
                with time_machine.travel(now + ahead, tick=False):
                    right_times.schedules_keep()
                    slots += [run.slot for run in due.runs_due() if run.slot]
                    finish_all()
            now += self.step
        return slots


@pytest.mark.parametrize(
    "ahead",
    [
        pytest.param([timedelta(), 10 * SECOND], marks=pytest.mark.soak),
        [-10 * SECOND, 10 * SECOND],
        pytest.param([timedelta(), 5 * MINUTE], marks=pytest.mark.soak),
        pytest.param([-5 * MINUTE, 5 * MINUTE], marks=pytest.mark.soak),
        [5 * MINUTE, -5 * MINUTE],
    ],
    ids=lambda ahead: " and ".join(f"{each.total_seconds():+.0f}" for each in ahead),
)
def test_no_planned_time_is_doubled_or_left_out_by_clocks_that_differ(
    database: Database, ahead: list[timedelta]
) -> None:
    Database.objects.update(backup_cron="*/10 * * * *")
    with time_machine.travel(SLOT - SECOND, tick=False):
        schedules.schedules_sync()

    slots = Machines(ahead, step=10 * SECOND).run(SLOT - SECOND, SLOT + 21 * MINUTE)

    assert len(slots) == 3
    assert slots == [SLOT + 10 * number * MINUTE for number in range(3)]


def test_a_slower_clock_does_not_bring_back_what_was_left_out(database: Database) -> None:
    """It has no run to tell by: the same was under way."""
    asked = BackupRequest(database).submit(Asker(Trigger.ADMIN))
    assert due.runs_due(SLOT) == []
    finish_all()

    right_times.schedules_keep(SLOT - 5 * MINUTE)

    assert planned().next_run == SLOT + timedelta(hours=12)
    assert Run.objects.get() == asked


def test_a_clock_that_was_a_day_ahead_leaves_no_planned_time_without_a_backup(database: Database) -> None:
    ahead = due.runs_due(SLOT + DAY)  # which plays the time of before
    finish_all()
    Schedule.objects.update(next_run=SLOT + DAY)
    ahead += due.runs_due(SLOT + DAY)
    finish_all()
    assert [run.slot for run in ahead] == [SLOT, SLOT + DAY]

    right_times.schedules_keep(SLOT - 3 * 60 * MINUTE)
    assert planned().next_run == SLOT
    (run,) = due.runs_due(SLOT)

    assert (run.slot, run.action) == (SLOT, Action.BACKUP)
    assert list(Run.objects.exclude(pk=run.pk).values_list("slot", flat=True)) == [None, None]


# ---------------------------------------------------------------- The worker


def test_no_cluster_begins_before_the_schedules_are_this_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own scheduler would play them as well."""
    command, looks, begun = worker.Command(), iter([False, True]), []

    class Cluster:
        name = "vedetta"

        def keep_running(self) -> None:
            begun.append(next(looks, "after both looks"))
            command._told_to_stop = True

    command._told_to_stop = False
    monkeypatch.setattr(worker, "_keep_time", lambda: next(looks))
    monkeypatch.setattr(worker, "KEEP_TIME_SECONDS", 0.0)
    downloads = SimpleNamespace(keep_serving=lambda: None)
    shipper = SimpleNamespace(keep_running=lambda: None)
    command._run([Cluster()], downloads, shipper, None)  # type: ignore[list-item,arg-type]

    assert begun == ["after both looks"]
