"""`manage.py worker` as the real process that it is."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, children_of, command_of, the_child, wait_until
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer, Server
from tests.servers.commands import CommandServer

PROJECT = Path(__file__).resolve().parents[2]
ENQUEUE = """
from backups.requests import Asker, BackupRequest
from backups.models import Database
BackupRequest(Database.objects.get()).submit(Asker("admin"))
"""

RESTORE = """
from backups.models import Snapshot
from backups.requests import Asker, RestoreRequest
snapshot = Snapshot.objects.get()
target = snapshot.database.database
RestoreRequest(snapshot.database, snapshot, "replace", target).submit(Asker("admin"))
"""
ASK = """
from django.contrib.auth.models import User
from backups.requests.questions import SecretQuestion, ask
anna = User.objects.create_superuser("anna")
print(ask(SecretQuestion("env:RESTIC_PASSWORD"), anna).pk)
"""


@contextmanager
def worker(portal: Portal, kind: type[Server] = CommandServer) -> Iterator[Server]:
    log = portal.folder / "worker.log"
    server = kind(
        [sys.executable, "manage.py", "worker"],
        log=log,
        cwd=PROJECT,
        env=portal.environment,
        ready=lambda: "The worker is ready." in log.read_text(),
        # A backup that is not cancelled would take for ever in some of these tests.
        stop_seconds=20,
    )
    with server:
        yield server


def clusters_of(server: Server) -> list[int]:
    """The first process of each of the worker's clusters."""
    return [
        pid
        for pid in children_of(server.pid)
        if command_of(pid).endswith("qcluster ") and os.getpgid(pid) == pid
    ]


# tests/run/test_left_to_worker.py has the same of what a command leaves to it.
@pytest.mark.soak
def test_worker_plays_a_queued_run_and_shows_both_pulses(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    portal.shell(ENQUEUE)

    with worker(portal):
        wait_until(lambda: portal.run()["status"] == "succeeded", "the queued backup")
        pulses = {row["cluster"] for row in portal.rows("SELECT cluster FROM backups_workerpulse")}

    assert len(portal.snapshots()) == 1
    assert pulses == {"vedetta", "restores"}
    assert portal.leftovers() == []


def test_what_a_page_asks_waits_for_no_restore_under_way(
    mariadb_server: DatabaseServer, make_portal: MakePortal
) -> None:
    shop = make_restorable(mariadb_server)
    portal = make_portal(shop, RUNS_AT_ONCE="1")
    assert portal.manage("backup").code == 0

    with ExitStack() as stack:
        stack.callback(drop_all, shop)
        stack.enter_context(worker(portal))
        stack.enter_context(shop.held("orders"))
        portal.shell(RESTORE)  # which saves first what is there
        shop.wait_for_a_waiting_dump()
        number = portal.shell(ASK)
        answer = f"SELECT answer FROM backups_question WHERE id = {number}"
        wait_until(lambda: portal.rows(answer)[0]["answer"], "the answer", seconds=20)
        (restore,) = portal.rows("SELECT status FROM backups_run WHERE action = 'restore'")

    assert portal.rows(answer)[0]["answer"] == '{"told": {"is_found": true}}'
    assert restore["status"] == "running"


# tests/upgrade/test_under_a_backup.py has a worker that is told to stop under a backup.
@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_that_is_stopped_cancels_the_backup_it_plays(
    mariadb_shop: Shop, mariadb_portal: Portal, number: signal.Signals
) -> None:
    portal = mariadb_portal
    portal.shell(ENQUEUE)

    with mariadb_shop.held("orders"), worker(portal) as server:
        mariadb_shop.wait_for_a_waiting_dump()
        began = time.monotonic()
        os.kill(server.pid, number)
        wait_until(lambda: not server.running, "the worker's end", seconds=15)
        took = time.monotonic() - began

    assert took < 12
    run = portal.run()
    assert run["status"] == "cancelled"
    assert run["error"].startswith("Cancelled.")
    assert "The worker was told to stop" in portal.log()
    assert portal.snapshots() == []
    assert portal.heartbeat() is None
    assert portal.leftovers() == []


def test_cluster_that_dies_is_begun_again_and_its_run_is_lost_and_none_outlives_the_worker(
    mariadb_shop: Shop, mariadb_portal: Portal
) -> None:
    portal = mariadb_portal

    with worker(portal, Server) as server:
        with mariadb_shop.held("orders"):
            portal.shell(ENQUEUE)
            mariadb_shop.wait_for_a_waiting_dump()
            dumping = the_child(server.pid, lambda command: "restic" in command)
            lost = portal.run()
            pool = int(lost["worker"].split(":")[1])
            first = os.getpgid(pool)
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: portal.run(lost["id"])["status"] == "lost", "the lost run", seconds=30)
        wait_until(lambda: not command_of(dumping), "restic's end")
        portal.shell(ENQUEUE)
        wait_until(lambda: portal.run()["status"] == "succeeded", "a backup by the new cluster")
        clusters = clusters_of(server)
        assert first not in clusters
        assert len(clusters) == 2
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(command_of, clusters)), "the clusters' end", seconds=20)

    assert len(portal.snapshots()) == 1
    assert portal.leftovers() == []


def test_worker_without_a_migrated_database_says_what_to_do(mariadb_portal: Portal) -> None:
    empty = f"sqlite:///{mariadb_portal.folder / 'empty.sqlite3'}"

    ran = mariadb_portal.manage("worker", DATABASE_URL=empty)

    assert ran.code == 1
    assert "empty.sqlite3 is empty. Run `manage.py bootstrap` if it is new; if it was lost," in ran.err
    assert "Traceback" not in ran.err
