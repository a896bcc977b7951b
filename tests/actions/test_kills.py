"""Everything that a backup stands on is killed in the middle of it, for real.

Each time: no snapshot, no heartbeat, a run that says what happened, nothing left, and the next backup
succeeds.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import (
    Portal,
    children_of,
    command_of,
    is_buried,
    make_shop,
    orphans_come_to_us,
    the_child,
    wait_until,
)
from tests.servers import FLAVOURS, DatabaseServer


def is_restic(command: str) -> bool:
    return "--stdin-from-command" in command and "setpriv" not in command.split()[0]


def is_dump_program(command: str) -> bool:
    return (
        " -m backups.dumping.program " in command
        and not is_restic(command)
        and "setpriv" not in command.split()[0]
    )


def is_client(command: str) -> bool:
    return "--single-transaction" in command and "setpriv" not in command.split()[0]


pytestmark = pytest.mark.one_flavour("mariadb")

VICTIMS = {
    "restic": (is_restic, "restic was killed by signal 9"),
    "dump program": (is_dump_program, "The dump program was killed before the dump was whole."),
    "dump client": (is_client, "The dump program was killed by signal 9."),
}


# The dump program stands between these two.
@pytest.mark.parametrize(
    "victim", ["restic", "dump client", pytest.param("dump program", marks=pytest.mark.soak)]
)
def test_killed_program_makes_a_failed_run(victim: str, portal: Portal) -> None:
    is_it, said = VICTIMS[victim]
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json", real=True)
        portal.shop.wait_for_a_waiting_dump()
        os.kill(the_child(backup.pid, is_it), signal.SIGKILL)
        ran = portal.finish(backup)

    assert ran.code == 1
    assert said in ran.json["error"]
    assert "No snapshot was made" in ran.json["error"]
    assert_nothing_came_of_it(portal, "failed")
    assert_next_succeeds(portal)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_killed_database_server_makes_a_failed_run(flavour: Any, make_portal: MakePortal) -> None:
    with DatabaseServer(flavour) as server:
        portal = make_portal(make_shop(server))
        with portal.shop.held("orders"):
            backup = portal.start("backup", "--json")
            portal.shop.wait_for_a_waiting_dump()
            server.kill()
            ran = portal.finish(backup)
        server.start()

        assert ran.code == 1
        assert f"connection to the database server at 127.0.0.1:{server.port} was lost" in ran.json["error"]
        assert_nothing_came_of_it(portal, "failed")
        assert_next_succeeds(portal)


def test_killed_command_is_given_up_by_the_worker(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json", real=True)
        portal.shop.wait_for_a_waiting_dump()
        family = children_of(backup.pid)
        with orphans_come_to_us():
            backup.kill()
            backup.communicate()
            wait_until(lambda: all(is_buried(pid) for pid in family), "restic and the dump to end", 10)
    assert portal.run()["status"] == "running"

    portal.shell("from backups.worker import reaper; reaper.run()")

    assert_lost(portal)
    assert_nothing_came_of_it(portal, "lost")
    assert_next_succeeds(portal)


# Below, restic is killed as well; tests/run/test_worker.py has all processes of a cluster.
@pytest.mark.soak
def test_killed_worker_is_replaced_and_its_run_lost_at_once(portal: Portal) -> None:
    with portal.worker() as worker:
        run_id = queue_a_backup(portal)
        with portal.shop.held("orders"):
            portal.shop.wait_for_a_waiting_dump()
            os.kill(worker_of(portal, run_id), signal.SIGKILL)
            began = time.monotonic()
            wait_until(lambda: portal.run(run_id)["status"] != "running", "the run to be given up", 120)
            took = time.monotonic() - began
        assert_lost(portal)
        assert took < 30
        wait_until(lambda: not dumping(worker.pid), "restic and the dump to end", 10)
        assert portal.snapshots() == []
        assert portal.heartbeat() is None
        wait_until(lambda: locks(portal) == [], "the reaper's next look at the lock", 120)

        second = queue_a_backup(portal)
        wait_until(lambda: portal.run(second)["status"] == "succeeded", "the next backup", 60)

    assert len(portal.snapshots()) == 1


# Above, a command is killed; tests/actions/test_locks.py has the locks that killed ones leave.
@pytest.mark.soak
def test_worker_and_restic_killed_together_leave_a_lock_that_is_cleared(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    with portal.worker() as worker:
        run_id = queue_a_backup(portal)
        with portal.shop.held("orders"):
            portal.shop.wait_for_a_waiting_dump()
            restic = the_child(worker.pid, is_restic)
            # The other order would give restic the time to take its lock away.
            os.kill(restic, signal.SIGSTOP)
            os.kill(worker_of(portal, run_id), signal.SIGKILL)
            os.kill(restic, signal.SIGKILL)
            assert len(locks(portal)) == 1
            wait_until(lambda: portal.run(run_id)["status"] == "lost", "the run to be given up", 30)
        assert_lost(portal)
        wait_until(lambda: locks(portal) == [], "the stale lock to be cleared", 60)
        wait_until(lambda: not dumping(worker.pid), "the dump to end", 10)
        assert portal.snapshots() == []
        assert portal.heartbeat() is None

        second = queue_a_backup(portal)
        wait_until(lambda: portal.run(second)["status"] == "succeeded", "the next backup", 60)


# tests/faults/test_two_workers.py has a message that is sent again and again.
@pytest.mark.soak
def test_doubled_message_runs_once(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    run_id = queue_a_backup(portal)
    portal.shell(
        "from django_q.tasks import async_task;"
        f"[async_task('backups.tasks.run_execute', {run_id}) for _ in range(2)]"
    )

    with portal.worker():
        messages = "SELECT 1 FROM django_q_ormq"
        wait_until(lambda: not portal.rows(messages), "all three messages to be worked off")

    assert portal.run(run_id)["status"] == "succeeded"
    assert len(portal.snapshots()) == 1
    assert len(portal.rows("SELECT 1 FROM backups_run WHERE action = 'backup'")) == 1


def queue_a_backup(portal: Portal) -> int:
    """Queue a backup as the portal would; gives the run's id."""
    return int(
        portal.shell(
            "from backups.models import Database; from backups.requests import Asker, BackupRequest;"
            "from backups.choices import Trigger;"
            "print(BackupRequest(Database.objects.get()).submit(Asker(Trigger.ADMIN)).pk)"
        )
    )


def worker_of(portal: Portal, run_id: int) -> int:
    """The process that plays a run."""
    return int(portal.run(run_id)["worker"].rsplit(":", 2)[1])


def dumping(pid: int) -> list[str]:
    """What is still at work below a process for a dump."""
    commands = [command_of(child) for child in children_of(pid)]
    return [c for c in commands if c and (is_restic(c) or is_dump_program(c) or is_client(c))]


def locks(portal: Portal) -> list[str]:
    return [lock.name for lock in (Path(portal.repository) / "locks").iterdir()]


def assert_lost(portal: Portal) -> None:
    run = portal.run()
    assert run["status"] == "lost"
    assert run["error"].startswith("The worker died in the middle of this run (last sign of life ")
    assert "No heartbeat was written" in run["error"]


def assert_nothing_came_of_it(portal: Portal, status: str) -> None:
    wait_until(lambda: not portal.processes(), "all processes to end", 10)
    assert portal.run()["status"] == status
    assert portal.heartbeat() is None
    left = [thing for thing in portal.leftovers() if not thing.startswith("lock ")]
    assert left == []
    assert portal.snapshots() == []


def assert_next_succeeds(portal: Portal) -> None:
    ran = portal.backup()

    assert ran.code == 0, ran.err
    assert len(portal.snapshots()) == 1
    assert portal.heartbeat() is not None
    assert locks(portal) == []
