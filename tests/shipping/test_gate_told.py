"""Up to when a log is stored is told to the gate, which closes where nobody tells it so for too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.admin.base import page_url
from backups.choices import Action, StandDownKind, Status, Trigger
from backups.configuration import bootstrap
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.keeping import log_archives
from backups.models import Database, LogArchive, Run, StandDown
from backups.reports import closing, standing
from backups.scheduling import staleness
from backups.shipping import packets, switching
from sentinel import heartbeat
from sentinel.gate import Age, Verdict
from sentinel.observe import verdict
from tests.admin.conftest import Login, login, person, roles
from tests.requests.conftest import Rows, rows
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop

__all__ = ["login", "person", "roles", "rows"]
MINUTES = timedelta(minutes=15)


@pytest.fixture
def shipped(shared_mariadb: DatabaseServer, ship: Ship, settings: Settings) -> Shipped:
    """A database that gates, whose log is stored and may be a quarter of an hour old."""
    found = ship(ship_shop(shared_mariadb), is_primary=True)
    settings.SENTINEL = replace(
        settings.SENTINEL, log_threshold_seconds=int(MINUTES.total_seconds()), database=found.database.name
    )
    return found


def gate(settings: Settings, *, after: timedelta = timedelta()) -> Verdict:
    """What the gate says when so much time is over, by the files alone."""
    return verdict(settings.SENTINEL, datetime.now(UTC) + after)


def last_logged(settings: Settings) -> Path:
    return heartbeat.last_logged_path(settings.SENTINEL.heartbeat_path)


def test_the_gate_closes_once_nobody_stores_the_log_and_opens_by_itself(
    shipped: Shipped, settings: Settings
) -> None:
    heartbeat_files.write_last_ok(shipped.database, timezone.now())
    stored = shipped.archive.stored_until
    assert stored is not None
    assert heartbeat_files.last_logged(shipped.database) == stored.replace(microsecond=0)
    assert gate(settings).word == "fresh"
    # What stores it is dead: nothing is written any more.
    found = gate(settings, after=MINUTES + timedelta(minutes=1))
    assert (found.word, found.decided_by) == ("stale", Age.LOG)

    file = last_logged(settings)
    spoilt: list[Callable[[], object]] = [
        file.unlink,
        lambda: file.write_text("yesterday\n"),
        lambda: heartbeat.stamp_write(file, timezone.now() + timedelta(days=400)),
    ]
    for spoil in spoilt:
        spoil()
        assert (gate(settings).word, gate(settings).decided_by) == ("stale", Age.LOG)
        shipped.look()
        assert gate(settings).word == "fresh"
    newest = shipped.archive.stored_until
    assert newest is not None
    assert newest > stored

    # A process that may not follow the log, as of another host, tells its own gate all the same.
    now = timezone.now()
    elsewhere = "another-host:1:1:1"
    LogArchive.objects.update(lease_by=elsewhere, lease_until=now + timedelta(minutes=5), stored_until=now)
    file.unlink()
    shipped.look()
    assert shipped.archive.lease_by == elsewhere
    assert heartbeat_files.last_logged(shipped.database) == now.replace(microsecond=0)

    # Of a server that does not answer the time stays as it was.
    LogArchive.objects.update(lease_by="", lease_until=None)
    server = shipped.database.server
    server.port = 1
    server.save()
    shipped.look()
    assert shipped.archive.problem
    assert heartbeat_files.last_logged(shipped.database) == now.replace(microsecond=0)


def test_switched_off_or_retired_the_gate_looks_at_it_no_more_and_on_again_it_begins_then(
    shipped: Shipped, settings: Settings
) -> None:
    def too_old() -> None:
        LogArchive.objects.update(stored_until=timezone.now() - timedelta(days=2))
        bootstrap.apply()

    heartbeat_files.write_last_ok(shipped.database, timezone.now())
    too_old()
    assert gate(settings).decided_by is Age.LOG
    log_archives.switch_off(shipped.database, "a test")
    assert gate(settings).word == "fresh"

    # What was stored before does not count: the time that is allowed begins anew.
    switching.switch_on(shipped.database, "a test")
    assert shipped.archive.stored_until is not None
    assert gate(settings).word == "fresh"
    assert gate(settings, after=MINUTES + timedelta(minutes=1)).decided_by is Age.LOG

    LogArchive.objects.update(state="following")
    too_old()
    assert gate(settings).word == "stale"
    StandDown.objects.create(
        database=shipped.database, kind=StandDownKind.RETIREMENT, reason="sold", made_by="ada"
    )
    bootstrap.apply()
    assert gate(settings).word == "fresh"


def test_a_list_that_is_lost_opens_nothing_for_longer_than_a_minute(
    shipped: Shipped, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings.SENTINEL.heartbeat_path

    def is_looked_at() -> bool:
        return [each.is_logged for each in heartbeat.gates_read(path)] == [True]

    for again in (shipped.look, lambda: switching.switch_on(shipped.database, "a test")):
        assert is_looked_at()
        heartbeat.gates_path(path).unlink()
        again()
        assert is_looked_at()

    # Who switches it on is killed while servers are asked what else is worth knowing.
    log_archives.switch_off(shipped.database, "a test")
    assert not is_looked_at()
    monkeypatch.setattr(packets, "warnings", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        switching.switch_on(shipped.database, "a test")
    assert is_looked_at()


def test_what_people_are_told_of_it(shipped: Shipped, settings: Settings, login: Login) -> None:
    now = timezone.now()
    heartbeat_files.write_last_ok(shipped.database, now)
    open_gate = standing.gate_by_files(now)
    assert open_gate.is_open
    # A log that is stored each minute is no reason for it to close.
    assert open_gate.closes_at is not None
    assert open_gate.closes_at > now + timedelta(hours=20)

    LogArchive.objects.update(stored_until=now - timedelta(minutes=10))
    bootstrap.apply()
    standing_still = standing.gate_by_files(now)
    assert standing_still.closes_at is not None
    assert standing_still.closes_at < now + timedelta(minutes=6)

    LogArchive.objects.update(stored_until=now - timedelta(hours=3))
    bootstrap.apply()
    closed = standing.gate_by_files(now)
    assert (closed.is_open, closed.decided_by) == (False, "log")
    assert "is stored up to 3 hours ago; only 15 minutes are allowed" in closed.sentence
    (finding,) = [each for each in standing.read(now).overall.findings if each.key == "gate"]
    assert "opens by itself within a minute once the log is stored again" in finding.next_step
    at = closing.closes_at(shipped.database)
    assert at is not None
    assert at < now
    client = login("Viewer")
    told = client.get("/admin/gate/").content.decode()
    assert "too old: 15 minutes are allowed" in told
    assert "It opens by itself once the log is stored again." in told
    page = client.get(page_url(shipped.database)).content.decode()
    assert "or the log is stored up to more than 15 minutes ago" in page

    # A folder that cannot be written to stops no log, and who switches it off is told of it.
    file = last_logged(settings).parent / "a file"
    file.write_text("")
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=file / "last_ok")
    LogArchive.objects.update(stored_until=now)
    shipped.look()
    after = shipped.archive.stored_until
    assert after is not None
    assert after > now
    with pytest.raises(Problem) as refused:
        log_archives.switch_off(shipped.database, "a test")
    assert "stored no more" in str(refused.value.safe)
    assert not shipped.archive.is_on


@pytest.mark.django_db
def test_who_switches_it_on_is_told_that_a_long_first_backup_closes_the_gate(
    rows: Rows, settings: Settings
) -> None:
    now = timezone.now()
    Run.objects.create(
        database=rows.database, repository=rows.database.repository, action=Action.BACKUP,
        trigger=Trigger.SCHEDULE, status=Status.SUCCEEDED, started_at=now - timedelta(hours=1),
        finished_at=now,
    )  # fmt: skip

    def told(seconds: int) -> str:
        settings.SENTINEL = replace(settings.SENTINEL, log_threshold_seconds=seconds)
        return " ".join(switching.gate_closes_meanwhile(rows.database))

    assert "The newest backup took 1 h" in told(900)
    assert told(7200) == told(0) == ""


@pytest.mark.parametrize(("seconds", "is_told"), [(0, False), (60, True), (179, True), (180, False)])
def test_a_threshold_below_what_fetching_takes_is_told_of(
    seconds: int, is_told: bool, settings: Settings
) -> None:
    settings.SENTINEL = replace(settings.SENTINEL, log_threshold_seconds=seconds)

    assert ("SENTINEL_LOG_THRESHOLD_SECONDS" in staleness.log_conflict(Database(gates_app=True))) is is_told
    assert staleness.log_conflict(Database(gates_app=False)) == ""
