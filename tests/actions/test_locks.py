"""A lock that nobody needs any more goes; one that is held is named, and stays."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from django.utils import timezone

from backups.choices import Action
from backups.endpoints import repository_access
from backups.models import Database
from tests.actions.tools import ExclusiveLock, back_up, log_of, play, restic, whole_locks
from tests.backups.worlds import wait_until
from tests.repositories.conftest import database, least_shop

__all__ = ["database", "least_shop"]


def locks(database: Database) -> list[Path]:
    return whole_locks(database.repository)


def restic_at_work(database: Database) -> subprocess.Popen[bytes]:
    """A restic in the middle of a backup, which holds a shared lock."""
    before = len(locks(database))
    access = repository_access(database.repository)
    running = subprocess.Popen(
        [access.program, "backup", "--stdin"], env=access.environment(), stdin=subprocess.PIPE
    )
    wait_until(lambda: len(locks(database)) > before, "restic to hold its lock")
    return running


def killed_restic(database: Database) -> int:
    """The id of a restic that was killed in the middle of a backup and left its lock."""
    running = restic_at_work(database)
    running.kill()
    running.communicate()
    return running.pid


def test_stale_lock_is_removed(database: Database) -> None:
    pid = killed_restic(database)

    run = play(Action.UNLOCK, repository=database.repository)

    assert run.status == "succeeded", run.error
    assert run.result["sentence"] == "1 stale lock removed; the repository is free."
    assert f"Found a shared lock held by process {pid}" in log_of(run)
    assert locks(database) == []


def test_no_lock(database: Database) -> None:
    run = play(Action.UNLOCK, repository=database.repository)

    assert run.result["sentence"] == "No locks."


def test_lock_of_a_living_restic_is_named_and_left_alone(database: Database) -> None:
    killed_restic(database)
    before = timezone.localtime()
    holder = restic_at_work(database)
    try:
        run = play(Action.UNLOCK, repository=database.repository)
        left = locks(database)
    finally:
        holder.kill()
        holder.communicate()

    assert run.status == "succeeded", run.error
    sentence = run.result["sentence"]
    assert "1 stale lock removed." in sentence
    assert f"Still held: a shared lock held by process {holder.pid} of " in sentence
    assert f"on {os.uname().nodename} since {before:%Y-%m-%d %H:}" in sentence
    assert len(left) == 1


def test_stale_lock_stops_no_maintenance(database: Database) -> None:
    back_up(database)
    back_up(database)
    Database.objects.update(keep_daily=0, keep_weekly=0, keep_monthly=0)
    database.refresh_from_db()
    killed_restic(database)

    run = play(Action.FORGET, database=database)

    assert run.status == "succeeded", run.error
    assert len(run.result["forgotten"]) == 1
    assert locks(database) == []


@pytest.mark.soak
def test_forget_while_another_restic_is_at_work_names_it(database: Database) -> None:
    back_up(database)
    back_up(database)
    Database.objects.update(keep_daily=0, keep_weekly=0, keep_monthly=0)
    # So much that the other one has to read it for hours.
    restic(database.repository, "backup", "--stdin", stdin=os.urandom(2_000_000))
    with ExclusiveLock(database.repository) as holder:
        began = time.monotonic()
        run = play(Action.FORGET, repository=database.repository)
        seconds = time.monotonic() - began

    assert run.status == "failed"
    assert "is locked" in run.error
    assert f"PID {holder.pid} on {os.uname().nodename}" in run.error
    assert "repository unlock" in run.error
    assert "The newest and the newest verified snapshot are kept in any case." in run.error
    assert seconds < 60
    assert database.snapshots.filter(forgotten_at=None).count() == 2
