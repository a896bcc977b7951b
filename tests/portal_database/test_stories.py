"""Whole stories of a portal, on each kind of database that it may keep its own rows in."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, children_of, wait_until
from tests.faults import promises
from tests.faults.killing import SEED
from tests.faults.test_two_workers import Pair, killed_and_judged, set_up
from tests.portal_database.conftest import NewDatabase

QUEUE_MANY = """
from backups.models import Database
from backups.requests import Asker, BackupRequest
from backups.choices import Trigger
first = Database.objects.get()
for number in range({count}):
    first.pk, first.is_primary, first.name = None, False, f"shop {{number}}"
    first.lease_run = first.lease_until = None
    first.backup_cron = first.verify_cron = ""
    first.save(force_insert=True)
for database in Database.objects.all():
    BackupRequest(database).submit(Asker(Trigger.ADMIN))
"""
OVER = "SELECT status FROM backups_run WHERE action = 'backup'"


def test_a_backup_that_is_killed_is_lost_and_the_next_is_restored(portal: Portal) -> None:
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        killed = [backup.pid, *children_of(backup.pid)]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        backup.communicate()
        promises.reap(portal)
        assert portal.run()["status"] == "lost"
    assert portal.backup().code == 0
    before = portal.shop.query("SELECT * FROM orders")
    portal.shop.execute("DELETE FROM orders")

    restored = portal.manage("restore", "--snapshot", "latest", "--replace", "--yes", "--json")

    assert restored.code == 0, restored.err
    assert portal.shop.query("SELECT * FROM orders") == before
    # Each minute for a while, as the restic of a dead worker may take its time to end.
    promises.reap(portal)
    assert portal.leftovers() == []


@pytest.mark.soak
def test_a_verification_a_restore_and_its_undo(portal: Portal) -> None:
    assert portal.backup().code == 0
    assert portal.manage("verify", "--json").json["verdict"] == "identical"
    before = portal.shop.query("SELECT * FROM orders")
    portal.shop.execute("DELETE FROM orders")
    restored = portal.manage("restore", "--snapshot", "latest", "--replace", "--yes", "--json")
    assert restored.code == 0, restored.err
    assert portal.shop.query("SELECT * FROM orders") == before
    undone = portal.manage("undo_restore", "--json")
    assert undone.code == 0, undone.err
    assert portal.shop.query("SELECT * FROM orders") == []


@pytest.mark.soak
def test_two_workers_play_each_run_once(portal: Portal) -> None:
    with portal.worker(), portal.worker():
        portal.shell(QUEUE_MANY.format(count=11))
        wait_until(
            lambda: {row["status"] for row in portal.rows(OVER)} <= {"succeeded", "failed", "lost"},
            "all backups to be over",
            300,
            every=1,
        )

    assert [row["status"] for row in portal.rows(OVER)] == ["succeeded"] * 12
    assert len(portal.snapshots()) == 12


@pytest.mark.soak
def test_a_worker_that_is_killed_keeps_no_run_waiting(portal: Portal) -> None:
    """As in `tests/faults` on SQLite: one of two workers dies while twelve backups wait."""
    set_up(portal, 12)
    with ExitStack() as stack:
        killed_and_judged(Pair(portal, stack), "worker", random.Random(SEED))


@pytest.mark.soak
def test_the_portal_comes_back_from_its_copy(
    make_portal: MakePortal, portal: Portal, new_database: NewDatabase
) -> None:
    assert portal.backup(BACKUP_PORTAL="true").code == 0
    new = make_portal(portal.shop, repository=portal.repository, set_up=False, **new_database(False))

    ran = new.manage("recover", "--history-only")

    assert ran.code == 0, ran.err
    assert "was restored: " in ran.out
    assert new.run()["status"] == "succeeded"
    assert new.backup().code == 0
