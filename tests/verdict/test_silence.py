"""Nothing falls silent unheard: the worker, a schedule that fires into the void, clocks that differ."""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import tasks, verdict
from backups.alerting import alerts, findings, watching
from backups.choices import Action, AlertState, Health, Status, Trigger
from backups.gate import heartbeat_files
from backups.models import Alert, Repository, Run, WorkerPulse
from backups.reports import standing
from backups.runs import hearing, leases, lifecycle
from backups.runs.hearing import Hearing
from backups.worker import reaper
from sentinel import heartbeat
from sentinel.heartbeat import Override
from tests.alerting.conftest import Receiver, receiver
from tests.backups.conftest import MakeDatabase, empty_repository, make_database, mariadb_shop, repository
from tests.backups.worlds import PROJECT, Shop
from tests.rows import change_server
from tools import history
from tools.history import History

__all__ = ["empty_repository", "make_database", "mariadb_shop", "receiver", "repository"]

Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Lets time pass by this process's own count, and by no clock."""
    passed = 0.0

    def let(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    class Time:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + passed

    for module in (findings, hearing):
        monkeypatch.setattr(module, "time", Time)
    return let


@pytest.fixture
def past(db: None, settings: Settings, tmp_path: Path) -> History:
    """Some weeks of history; the gate is open for three hours yet."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")
    past = history.make(days=20)
    heartbeat_files.write_last_ok(past.databases[0], timezone.now() - timedelta(hours=23))
    return past


def seen(ago: timedelta) -> None:
    """The worker's last sign of life."""
    WorkerPulse.objects.filter(cluster="restores").delete()
    WorkerPulse.objects.update(seen_at=timezone.now() - ago)


# ---------------------------------------------------------------- The worker


def test_a_silent_worker_is_told_once_before_the_gate_closes_with_the_minutes_left(
    past: History, receiver: Receiver, wait: Wait
) -> None:
    seen(timedelta(minutes=3))
    alerts.watch()
    assert receiver.messages() == [], "it may just be begun again"

    for _ in range(4):
        wait(60)
        alerts.watch()

    assert receiver.messages() == [("Worker: silent", "failure")]
    (text,) = receiver.bodies()
    assert "was last seen 3 minutes ago" in text
    assert "The gate closes in 179 minutes" in text
    assert "Start it (" in text

    seen(timedelta())
    alerts.watch()
    assert receiver.messages()[1:] == [("Worker: good again", "success")]


# Above, it is told with the minutes that are left.
@pytest.mark.soak
def test_where_the_gate_closes_within_minutes_it_is_told_at_once(
    past: History, receiver: Receiver, wait: Wait
) -> None:
    heartbeat_files.write_last_ok(past.databases[0], timezone.now() - timedelta(hours=25, minutes=50))
    seen(timedelta(minutes=3))

    alerts.watch()

    assert receiver.messages() == [("Worker: silent", "failure")]
    assert "The gate closes in 9 minutes" in receiver.bodies()[0]


# Above, one that watches tells once.
@pytest.mark.soak
def test_two_processes_that_watch_tell_once(past: History, receiver: Receiver, wait: Wait) -> None:
    seen(timedelta(hours=3))
    now = timezone.now()
    for _ in range(2):
        findings._seen_since.clear()
        alerts.watch(now)
        wait(200)
        alerts.watch(now)

    assert receiver.messages() == [("Worker: silent", "failure")]


def test_a_portal_that_was_begun_again_does_not_take_it_back(
    past: History, receiver: Receiver, wait: Wait
) -> None:
    Alert.objects.create(subject="Worker", state=AlertState.TROUBLE)
    seen(timedelta(hours=3))

    alerts.watch()

    assert receiver.messages() == []
    assert Alert.objects.get(subject="Worker").state == AlertState.TROUBLE


@pytest.mark.parametrize(
    "apart",
    [
        pytest.param(timedelta(minutes=10), id="behind"),
        pytest.param(-timedelta(minutes=10), id="ahead", marks=pytest.mark.soak),
    ],
)
def test_a_worker_whose_clock_is_ten_minutes_off_is_heard(
    past: History, receiver: Receiver, wait: Wait, apart: timedelta
) -> None:
    for minute in range(6):
        seen(apart - timedelta(minutes=minute))
        alerts.watch()
        wait(60)

    assert receiver.messages() == []
    assert "worker" not in [each.key for each in standing.read().overall.findings]

    for _ in range(7):
        wait(60)
        alerts.watch()
    assert receiver.messages() == [("Worker: silent", "failure")], "now it stands still"


@pytest.mark.parametrize("looked_before", [timedelta(minutes=47), timedelta(minutes=3)])
def test_a_worker_that_fell_silent_right_after_a_look_is_named_at_the_next(
    past: History, wait: Wait, looked_before: timedelta
) -> None:
    """Between the two its sign changed once, which tells of then and not of now."""
    seen(looked_before + timedelta(seconds=15))
    standing.read()
    wait(looked_before.total_seconds())
    seen(looked_before)

    found = standing.read().overall

    assert found.state == verdict.State.BAD
    assert found.reason.startswith(f"The worker was last seen {looked_before.seconds // 60} minutes ago.")


def test_each_web_process_of_the_portal_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(watching, "start", lambda: begun.append(1))

    runpy.run_path(str(PROJECT / "portal" / "gunicorn.conf.py"))["post_worker_init"](None)

    assert begun == [1]


def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(standing, "read_told", broken)

    watching.look()


def test_where_the_gate_cannot_be_looked_at_the_worker_still_is(
    monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    def broken() -> None:
        raise ValueError("of no kind that was thought of")

    looked: list[int] = []
    monkeypatch.setattr("backups.alerting.gate_process.look", broken)
    monkeypatch.setattr(alerts, "watch", lambda: looked.append(1))

    watching.look()

    assert looked == [1]


def test_what_else_no_run_tells_is_told(past: History, receiver: Receiver, wait: Wait) -> None:
    Repository.objects.update(health=Health.SUSPECT, check_error="verification 7 found it so")

    alerts.watch()

    assert receiver.messages() == [("Repository main: suspect", "failure")]
    assert "verification 7 found it so" in receiver.bodies()[0]


# ---------------------------------------------------------------- Clocks that differ


def test_a_gate_that_closes_for_what_no_run_tells_is_told(
    past: History, receiver: Receiver, settings: Settings
) -> None:
    seen(timedelta())
    heartbeat_path = settings.SENTINEL.heartbeat_path
    heartbeat_path.write_text("a disk wrote this\n")
    for _ in range(2):
        alerts.watch()

    assert receiver.messages() == [("Gate: closed", "failure")]
    (text,) = receiver.bodies()
    assert "The gate to the application is closed: The heartbeat cannot be read" in text
    assert "A good backup opens it." in text

    heartbeat.override_write(heartbeat_path, Override(timezone.now() + timedelta(hours=1), "ada", "we look"))
    alerts.watch()
    assert receiver.messages()[1:] == [("Gate: overridden", "success")]
    assert "open only because of an override" in receiver.bodies()[1]

    heartbeat.override_clear(heartbeat_path)
    alerts.watch()
    heartbeat_files.write_last_ok(past.databases[0], timezone.now())
    alerts.watch()
    assert receiver.messages()[2:] == [("Gate: closed", "failure"), ("Gate: good again", "success")]


def test_a_run_on_another_machine_with_a_clock_behind_is_not_lost_while_it_beats(
    past: History, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "_BEATS", Hearing())
    run = past.running

    def beat(at: datetime) -> None:
        Run.objects.filter(pk=run.pk).update(worker="elsewhere:1:x", beat_at=at)

    def reaped() -> list[Run]:
        return lifecycle.runs_reap(is_gone=lambda _: False, may_live=reaper._may_live)

    for minute in range(5):
        beat(timezone.now() - timedelta(minutes=10) + timedelta(seconds=minute))
        assert reaped() == []
        wait(60)
    wait(int(leases.BEAT_LOST.total_seconds()) - 60 + 5)
    assert reaped() == [run]


# ---------------------------------------------------------------- Schedules that fire into the void

AWAY: dict[str, dict[str, object]] = {
    "server": {"port": 1},
    "name": {"host": "no-such-host.invalid"},
    "user": {"user": "dropped"},
}


@pytest.mark.parametrize(
    "away", ["server", *(pytest.param(each, marks=pytest.mark.soak) for each in ("name", "user"))]
)
def test_a_schedule_that_fires_while_something_is_away_leaves_a_failed_run_and_one_alert(
    away: str, mariadb_shop: Shop, make_database: MakeDatabase, receiver: Receiver
) -> None:
    database = make_database(mariadb_shop)
    known = {name: getattr(database.server, name) for name in AWAY[away]}
    change_server(database, **AWAY[away])

    def fire() -> Run:
        tasks.backup_due(database.pk)
        run = Run.objects.filter(action=Action.BACKUP).latest("pk")
        tasks.run_execute(run.pk)
        run.refresh_from_db()
        return run

    for run in (fire(), fire()):
        assert (run.status, run.trigger) == (Status.FAILED, Trigger.SCHEDULE)
        assert run.error
    assert receiver.messages() == [(f"Backup of {database}: failed", "failure")]

    change_server(database, **known)
    assert fire().status == Status.SUCCEEDED
    assert receiver.messages()[1:] == [(f"Backup of {database}: good again", "success")]
