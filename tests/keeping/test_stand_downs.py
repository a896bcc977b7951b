"""Databases that are paused, muted and retired: what goes on, what does not, and what ends by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule
from pytest_django.fixtures import Settings

from backups.actions import forget
from backups.alerting import alerts
from backups.choices import Action, AlertState, StandDownKind, Status, Trigger
from backups.configuration import bootstrap
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.keeping import stand_downs
from backups.keeping.stand_downs import Wish
from backups.models import Alert, Database, Run, Snapshot, StandDown
from backups.reports import closing, standing
from backups.requests import Asker, BackupRequest
from backups.requests.retention_plan import plan_of_repository
from backups.runs import lifecycle
from backups.runs.asked import Wanted
from backups.runs.progress import Progress
from backups.scheduling import schedules
from backups.worker import due
from tests.actions.tools import log_of
from tests.runs.test_services import add_database

pytestmark = pytest.mark.django_db
SLOT = datetime(2026, 6, 10, 3, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PAUSE, MUTE, RETIREMENT = StandDownKind.PAUSE, StandDownKind.MUTE, StandDownKind.RETIREMENT


@pytest.fixture(autouse=True)
def status_folder(settings: Settings, tmp_path: Path) -> None:
    """Each test's own status files."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")


@pytest.fixture
def database() -> Database:
    """One that is backed up at 03:00 and 15:00, and never verified."""
    database = add_database()
    Database.objects.filter(pk=database.pk).update(backup_cron="0 3,15 * * *", verify_cron="")
    with time_machine.travel(SLOT - MINUTE, tick=False):
        schedules.schedules_sync()
    database.refresh_from_db()
    return database


def wish(until: datetime | None = None) -> Wish:
    return Wish("The server moves.", "anna", until)


def test_a_pause_lets_planned_times_pass_and_ends_by_itself(database: Database) -> None:
    with time_machine.travel(SLOT - MINUTE, tick=False):
        stand_downs.begin(database, PAUSE, wish(SLOT + HOUR))

    assert due.runs_due(SLOT) == []
    assert Schedule.objects.get(func="backups.tasks.backup_due").next_run == SLOT + 12 * HOUR
    assert due.runs_due(SLOT + 2 * HOUR) == []  # nothing is made up for
    (run,) = due.runs_due(SLOT + 12 * HOUR)
    assert run.slot == SLOT + 12 * HOUR


def test_a_person_may_back_up_what_is_paused_and_resume_it(database: Database) -> None:
    stand_downs.begin(database, PAUSE, wish())

    assert BackupRequest(database).submit(Asker(Trigger.CLI)).status == Status.QUEUED
    Run.objects.update(status=Status.SUCCEEDED)
    assert due.runs_due(SLOT) == []
    assert stand_downs.end(database, PAUSE, by="ben")
    assert not stand_downs.end(database, PAUSE, by="ben")
    assert len(due.runs_due(SLOT + 12 * HOUR)) == 1
    assert StandDown.objects.get().ended_by == "ben"


def test_a_second_pause_takes_the_place_of_the_first(database: Database) -> None:
    stand_downs.begin(database, PAUSE, wish())
    until = timezone.now() + DAY
    stand_downs.begin(database, PAUSE, wish(until))

    assert [each.until for each in StandDown.objects.standing(timezone.now())] == [until]


@pytest.mark.parametrize(
    ("kind", "until", "reason", "code"),
    [
        (PAUSE, timedelta(0), "The server moves.", "stand_down.until_is_over"),
        (MUTE, None, "The server moves.", "stand_down.mute_without_end"),
        (PAUSE, DAY, "-", "pin.reason_unfit"),
    ],
)
def test_what_makes_no_sense_is_refused(
    database: Database, kind: StandDownKind, until: timedelta | None, reason: str, code: str
) -> None:
    end = None if until is None else timezone.now() + until
    with pytest.raises(Problem) as refused:
        stand_downs.begin(database, kind, Wish(reason, "anna", end))
    assert refused.value.code == code
    assert not StandDown.objects.exists()


def _gates() -> list[str]:
    path = settings.SENTINEL.heartbeat_path.with_name("gates.json")
    return [each["name"] for each in json.loads(path.read_text())]


def test_a_retired_database_is_scheduled_and_gates_no_more_until_it_is_taken_back(database: Database) -> None:
    other = Database.objects.create(
        name="other", database="other", server=database.server, repository=database.repository
    )
    for each in (database, other):
        Snapshot.objects.create(
            repository=each.repository, database=each, snapshot_id=f"{each.pk:064x}", time=SLOT,
            path=f"/mysql/{each.name}.sql", made_here=True,
        )  # fmt: skip
    bootstrap.apply()
    assert database.name in _gates()

    stand_downs.begin(database, RETIREMENT, wish())
    bootstrap.apply()

    assert _gates() == ["other"]
    assert not Schedule.objects.filter(name=schedules.name_of("backup", database.pk)).exists()
    found = standing.read()
    assert [each.name for each in found.databases] == ["other"]
    assert list(found.overall.retired) == [database.name]
    with pytest.raises(Problem, match="is retired, so it is backed up no more"):
        BackupRequest(database).submit(Asker(Trigger.CLI))
    # What a restore replaces is saved before.
    assert BackupRequest(database).submit(Asker(Trigger.RESTORE)).status == Status.QUEUED
    assert Snapshot.objects.present().filter(database=database).exists()

    stand_downs.end(database, RETIREMENT, by="ben")
    bootstrap.apply()
    assert set(_gates()) == {database.name, "other"}
    assert Schedule.objects.filter(name=schedules.name_of("backup", database.pk)).exists()


def test_the_last_one_that_gates_closes_the_gate_as_before_when_it_is_retired(database: Database) -> None:
    """Of an empty list the gate would go by the first database, which may be fresh."""
    Database.objects.filter(pk=database.pk).update(is_primary=True, gates_app=False)
    alone = Database.objects.create(
        name="crm", database="crm", server=database.server, repository=database.repository,
        heartbeat_threshold=6 * 3600,
    )  # fmt: skip
    Database.objects.create(
        name="not backed up yet", database="x", server=database.server, repository=database.repository
    )
    Snapshot.objects.create(
        repository=alone.repository, database=alone, snapshot_id="a" * 64, time=SLOT, path="/mysql/crm.sql",
        made_here=True,
    )  # fmt: skip
    stand_downs.begin(alone, RETIREMENT, wish())
    bootstrap.apply()

    (gate,) = json.loads(settings.SENTINEL.heartbeat_path.with_name("gates.json").read_text())
    assert (gate["name"], gate["threshold_seconds"]) == ("crm", 6 * 3600)


def test_what_was_retired_while_a_forget_was_planned_stays(database: Database) -> None:
    snapshot = Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id="a" * 64, time=SLOT,
        path=f"/mysql/{database.name}.sql", made_here=True,
    )  # fmt: skip
    run = lifecycle.run_enqueue(Wanted(Action.FORGET, repository=database.repository), Asker(Trigger.CLI))
    portion = forget._Portion(run, [snapshot.snapshot_id], False, Progress(run))
    assert snapshot.snapshot_id in portion.command().args

    stand_downs.begin(database, RETIREMENT, wish())

    with pytest.raises(forget._NothingLeft):
        portion.command()
    portion.progress.flush()
    assert "its database was just retired" in log_of(run)
    stand_downs.end(database, RETIREMENT, by="ben")
    portion = forget._Portion(run, [snapshot.snapshot_id], False, Progress(run))
    assert snapshot.snapshot_id in portion.command().args


def test_a_pause_says_of_no_schedule_that_it_works_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(due, "submit", lambda *_: 1 / 0)
        due.runs_due(SLOT)
    assert Alert.objects.get(subject__startswith="Schedule: ").state == AlertState.FAILED
    with time_machine.travel(SLOT, tick=False):
        stand_downs.begin(database, PAUSE, wish(SLOT + 13 * HOUR))

    due.runs_due(SLOT + 12 * HOUR)
    assert Alert.objects.get(subject__startswith="Schedule: ").state == AlertState.FAILED
    due.runs_due(SLOT + 24 * HOUR)
    assert Alert.objects.get(subject__startswith="Schedule: ").state == AlertState.GOOD


def test_nothing_of_a_retired_database_is_forgotten(database: Database) -> None:
    Database.objects.update(keep_daily=1, keep_weekly=0, keep_monthly=0)
    database.refresh_from_db()
    for number in range(3):
        Snapshot.objects.create(
            repository=database.repository, database=database, snapshot_id=f"{number:064x}",
            time=SLOT - number * DAY, path=f"/mysql/{database.name}.sql", made_here=True,
        )  # fmt: skip
    (before,) = plan_of_repository(database.repository, SLOT + DAY)
    assert before.plan.forget

    stand_downs.begin(database, RETIREMENT, wish())

    assert list(plan_of_repository(database.repository, SLOT + DAY)) == []
    (asked,) = plan_of_repository(database.repository, SLOT + DAY, databases=[database])
    assert not asked.plan.forget
    assert "because it is retired" in asked.stays


def test_alerts_of_a_retired_database_end_and_its_age_is_told_no_more(database: Database) -> None:
    Alert.objects.create(
        subject="Backup of shop", database=database, state=AlertState.FAILED, title="x", text="y",
        since=timezone.now() - DAY,
    )  # fmt: skip
    stand_downs.begin(database, RETIREMENT, wish())

    alerts.tend()
    alerts.tend(timezone.now() + 30 * DAY)

    told = Alert.objects.get(subject="Backup of shop")
    assert (told.state, told.title) == (AlertState.GOOD, "Backup of shop: retired")
    assert not Alert.objects.filter(subject__startswith="Timely").exists()


def test_an_overdue_paused_database_is_told_with_its_pause(database: Database) -> None:
    stand_downs.begin(database, PAUSE, wish())

    alerts.tend()
    alerts.tend(timezone.now() + 30 * DAY)

    overdue = Alert.objects.get(subject=f"Timely backup of {database}")
    assert overdue.state == AlertState.OVERDUE
    assert overdue.text.endswith("It is paused (anna: The server moves).")


def test_when_a_database_alone_closes_the_gate(database: Database, settings: Settings) -> None:
    assert closing.closes_at(database) is None
    heartbeat_files.folder().mkdir(parents=True)
    heartbeat_files.write_last_ok(database, SLOT)
    assert closing.closes_at(database) == SLOT + timedelta(seconds=settings.SENTINEL.threshold_seconds)
    database.gates_app = False
    assert closing.closes_at(database) is None
