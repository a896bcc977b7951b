"""The portal's own database goes away while a backup runs: the backup does not mind."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from backups.choices import Action, Status, Trigger
from backups.errors import Problem
from backups.models import Repository, Run
from backups.runs import leases, lifecycle, portal_database_away
from backups.runs.asked import Asker, Wanted
from backups.runs.progress import Progress
from backups.worker import reaper
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Shop, wait_until
from tests.servers import PostgreSQLServer

# As another host's worker does it, which cannot look at processes here.
REAP_ELSEWHERE = """
from backups import process
process.is_gone = lambda worker: False
process.is_elsewhere = lambda worker: True
from backups.worker import reaper
print([run.pk for run in reaper.run()])
"""


@pytest.mark.parametrize("seconds", [5, *(pytest.param(each, marks=pytest.mark.soak) for each in (60, 80))])
def test_a_backup_outlives_a_database_server_that_is_away(
    seconds: int, mariadb_shop: Shop, make_portal: MakePortal, postgresql_server: PostgreSQLServer
) -> None:
    portal = make_portal(mariadb_shop, DATABASE_URL=postgresql_server.new_database(migrated=True))
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        began = time.monotonic()
        with away(postgresql_server):
            time.sleep(seconds)
            assert backup.poll() is None
        assert portal.shell(REAP_ELSEWHERE) == "[]"
        wait_until(lambda: "gave no answer for" in portal.log(), "the run to say what it outlived", 30)
        told = int(portal.log().partition("gave no answer for ")[2].split()[0])
        assert seconds - 2 <= told <= time.monotonic() - began + 2
    ran = portal.finish(backup, 90)

    assert ran.code == 0, ran.err
    assert portal.run()["status"] == "succeeded"
    assert portal.heartbeat() is not None
    assert len(portal.snapshots()) == 1
    assert portal.leftovers() == []


@pytest.mark.soak
def test_a_backup_ends_once_others_might_take_it_for_lost(
    mariadb_shop: Shop, make_portal: MakePortal, postgresql_server: PostgreSQLServer
) -> None:
    portal = make_portal(mariadb_shop, DATABASE_URL=postgresql_server.new_database(migrated=True))
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        with away(postgresql_server):
            wait_until(
                lambda: portal.shop.connections() == 0,
                "the dump to end",
                portal_database_away.MOST_SECONDS + 30,
            )
    ran = portal.finish(backup, portal_database_away.MOST_SECONDS + 30)

    assert ran.code == 1
    assert portal.run()["error_code"] == "portal.database_away"
    assert "No snapshot was made" in portal.run()["error"]
    assert portal.snapshots() == []
    assert portal.backup().code == 0


@pytest.mark.soak
def test_a_worker_outlives_it_with_what_it_plays_and_what_waits(
    mariadb_shop: Shop, make_portal: MakePortal, postgresql_server: PostgreSQLServer
) -> None:
    portal = make_portal(mariadb_shop, DATABASE_URL=postgresql_server.new_database(migrated=True))
    with portal.worker():
        with portal.shop.held("orders"):
            portal.shell(SUBMIT.format(form="BackupRequest(Database.objects.get())"))
            portal.shop.wait_for_a_waiting_dump()
            portal.shell(SUBMIT.format(form="StatsRequest(Database.objects.get().repository)"))
            with away(postgresql_server):
                time.sleep(40)
        wait_until(
            lambda: not portal.rows("SELECT 1 FROM backups_run WHERE status IN ('queued', 'running')"),
            "all to be over",
            180,
            every=1,
        )

    ended = {row["action"]: row["status"] for row in portal.rows("SELECT action, status FROM backups_run")}
    assert ended["backup"] == ended["stats"] == "succeeded"
    assert portal.heartbeat() is not None


SUBMIT = """
from backups.choices import Trigger
from backups.models import Database
from backups.requests import Asker, BackupRequest, StatsRequest
{form}.submit(Asker(Trigger.ADMIN))
"""


@contextmanager
def away(server: PostgreSQLServer) -> Iterator[None]:
    """The server shut down for the length of a block."""
    server.stop()
    try:
        yield
    finally:
        server.start()


# ---------------------------------------------------------------- A database that is locked


@pytest.mark.soak
def test_a_backup_outlives_a_locked_sqlite_file(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(mariadb_shop)
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        with locked(portal.database_file):
            time.sleep(65)
            assert backup.poll() is None
        wait_until(lambda: "gave no answer for" in portal.log(), "the run to say what it outlived", 40)
    ran = portal.finish(backup)

    assert ran.code == 0, ran.err
    assert portal.run()["status"] == "succeeded"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else may write, or in the end read, for the length of a block."""
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        with suppress(sqlite3.OperationalError):
            holder.execute("ROLLBACK")


@pytest.fixture
def running(transactional_db: None, file_database: None) -> Iterator[Run]:
    """A run that was begun, in a portal's database that is a file; its connection waits for no lock."""
    connection.close()
    options = connection.settings_dict["OPTIONS"]
    before, options["timeout"] = options["timeout"], 0.1
    repository = Repository.objects.create(name="main", url="/repository")
    wanted = Wanted(Action.STATS, repository=repository)
    run = lifecycle.run_enqueue(wanted, Asker(Trigger.CLI), send=False)
    claimed = lifecycle.run_claim(run.pk, worker="elsewhere:1:x")
    assert claimed is not None
    yield claimed
    options["timeout"] = before


def test_what_a_run_says_meanwhile_is_written_afterwards(running: Run) -> None:
    progress = Progress(running)
    progress.tick()
    with locked(Path(connection.settings_dict["NAME"])):
        progress.log("said while nobody could write")
        tick_for(progress, 2.5)
        silent = Run.objects.get(pk=running.pk)
        assert not silent.lines.exists()
    # One beat to hear that it is back, and another that says so.
    tick_for(progress, 3.5)

    told = [line.text for line in running.lines.all()]
    assert told[0] == "said while nobody could write"
    assert told[1].startswith("The portal's own database gave no answer for ")
    assert len(told) == 2
    assert Run.objects.get(pk=running.pk).beat_at > silent.beat_at  # type: ignore[operator]


def test_a_run_gives_up_after_as_long_as_its_lease(running: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert leases.LEASE.total_seconds() == portal_database_away.MOST_SECONDS
    monkeypatch.setattr(portal_database_away, "MOST_SECONDS", 1.5)
    progress = Progress(running)
    with (
        locked(Path(connection.settings_dict["NAME"])),
        pytest.raises(Problem, match="gave no answer for 2 seconds") as ended,
    ):
        tick_for(progress, 10)

    assert ended.value.code == "portal.database_away"


def test_a_last_word_is_tried_again_for_as_long(running: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def finish() -> None:
        portal_database_away.outlast(lambda: lifecycle.run_finish(running.pk, status=Status.SUCCEEDED))

    file = Path(connection.settings_dict["NAME"])
    holding = threading.Event()

    def hold() -> None:
        with locked(file):
            holding.set()
            time.sleep(2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(10)
    finish()
    holder.join()
    assert Run.objects.get(pk=running.pk).status == Status.SUCCEEDED

    Run.objects.update(status=Status.RUNNING)
    monkeypatch.setattr(portal_database_away, "MOST_SECONDS", 0.5)
    with locked(file), pytest.raises(OperationalError, match="locked"):
        finish()


def tick_for(progress: Progress, seconds: float) -> None:
    """As an action does that waits for a program."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        progress.tick()
        time.sleep(0.1)


# ---------------------------------------------------------------- Others look on


def test_who_was_silent_with_the_database_has_a_moment_to_be_heard_again(
    running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "HEARD_AGAIN_SECONDS", 3.0)
    monkeypatch.setattr(reaper, "_may_live", lambda _run: False)
    long_ago = timezone.now() - leases.BEAT_LOST * 2
    Run.objects.update(beat_at=long_ago)

    def beat_soon() -> None:
        time.sleep(1)
        Run.objects.filter(pk=running.pk).update(beat_at=timezone.now())
        connection.close()

    beating = threading.Thread(target=beat_soon)
    beating.start()
    assert reaped() == []
    beating.join()

    Run.objects.update(beat_at=long_ago)
    began = time.monotonic()
    assert reaped() == [running]
    assert time.monotonic() - began >= 3


def reaped() -> list[Run]:
    return lifecycle.runs_reap(is_gone=lambda _: False, may_live=reaper._Look().may_live)


def test_nobody_waits_for_whose_process_is_gone(running: Run) -> None:
    began = time.monotonic()
    assert lifecycle.runs_reap(is_gone=lambda _: True, may_live=reaper._Look().may_live) == [running]
    assert time.monotonic() - began < 3


def test_a_full_disk_is_no_outage() -> None:
    assert portal_database_away.is_away(OperationalError("database is locked"))
    assert not portal_database_away.is_away(OperationalError("database or disk is full"))
    assert not portal_database_away.is_away(ValueError("locked"))
