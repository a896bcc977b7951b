"""Disks that are full or read-only, repositories that change under us: told in a sentence, and got over."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.actions.test_failures import small_disk
from tests.backups.conftest import MakePortal
from tests.backups.kept import Kept
from tests.backups.light_key import make_light
from tests.backups.worlds import RESTIC_PASSWORD, Portal, Ran, Shop, copy_repository, wait_until
from tests.faults.promises import (
    next_backup_succeeds,
    no_bad_snapshot,
    no_heartbeat_without_its_snapshot,
    no_run_left,
    reap,
)
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer, S3Server


@pytest.fixture(scope="module")
def kept(
    mariadb_server: DatabaseServer,
    restic_path: Path,
    empty_repository: Path,
    migrated: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kept]:
    """Made once for all tests of this file."""
    shop = make_restorable(mariadb_server)
    folder = tmp_path_factory.mktemp("kept") / "portal"
    yield Kept(folder, shop, restic_path, (empty_repository, migrated))
    drop_all(shop)


@pytest.fixture
def portal(kept: Kept) -> Iterator[Portal]:
    """A portal with a backup, where the server's flavour does not matter. Leave its shop as it is."""
    with kept.as_it_was() as portal:
        yield portal


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        yield disk


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on the disk, for the length of a block."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    try:
        yield
    finally:
        filler.unlink()


def told(ran: Ran, *words: str) -> str:
    """The sentence with which a command failed."""
    assert ran.code == 1, f"{ran.code}: {ran.out}{ran.err}"
    assert "Traceback" not in ran.err, ran.err
    error = ran.json["error"]
    assert "unexpected" not in error
    for word in words:
        assert word in error
    return str(error)


# ---------------------------------------------------------------- Full disks


def test_disk_of_the_cache_full(portal: Portal, disk: Path) -> None:
    before = portal.heartbeat()
    portal.environment["RESTIC_CACHE_DIR"] = str(disk / "cache")
    with full(disk):
        told(portal.backup(), "No space is left", "restic's cache", "Free some space", "No snapshot was made")
    assert portal.heartbeat() == before
    next_backup_succeeds(portal)


@pytest.mark.soak
def test_disk_of_the_status_folder_full(portal: Portal, disk: Path) -> None:
    known = [snapshot["id"] for snapshot in portal.snapshots()]
    with in_the_status_folder_of(portal, disk):
        before = portal.heartbeat()
        with full(disk):
            told(portal.backup(), "No space left on device", "free space", "No snapshot was made")
            assert portal.heartbeat() == before
            assert [snapshot["id"] for snapshot in portal.snapshots()] == known
        next_backup_succeeds(portal)


def test_disk_of_the_status_folder_fills_during_the_dump(portal: Portal, disk: Path) -> None:
    """The snapshot is made and is good, the gate is not told, and the heartbeat of before is whole."""
    known = [snapshot["id"] for snapshot in portal.snapshots()]
    with in_the_status_folder_of(portal, disk):
        before = portal.heartbeat()
        with ExitStack() as until_freed:
            with portal.shop.held("orders"):
                running = portal.start("backup", "--json")
                portal.shop.wait_for_a_waiting_dump()
                until_freed.enter_context(full(disk))
            ran = portal.finish(running)
            (made,) = no_bad_snapshot(portal, known)
            told(ran, "No space left on device", f"Snapshot {made[:8]} was made and is good")
            assert portal.heartbeat() == before
        next_backup_succeeds(portal)


# Above, one that is full; tests/actions/test_failures.py has one that may not be written.
@pytest.mark.soak
def test_status_folder_read_only(portal: Portal, disk: Path) -> None:
    with in_the_status_folder_of(portal, disk):
        before = portal.heartbeat()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        told(portal.backup(), "Read-only file system", "No snapshot was made")
        assert portal.heartbeat() == before
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        next_backup_succeeds(portal)


@contextmanager
def in_the_status_folder_of(portal: Portal, disk: Path) -> Iterator[None]:
    """The portal's status folder on that disk."""
    status = portal.heartbeat_path.parent
    shutil.copytree(status, disk / "status")
    shutil.rmtree(status)
    status.symlink_to(disk / "status")
    yield


@pytest.mark.soak
def test_disk_of_the_portals_database_full(portal: Portal, disk: Path) -> None:
    with in_the_database_of(portal, disk):
        before = portal.heartbeat()
        with full(disk):
            told(portal.backup(), "portal's", "database", "space")
            assert portal.heartbeat() == before
            assert health(portal).startswith("503 No space is left on the disk of the portal's database")
        assert health(portal) == "200 ok"
        next_backup_succeeds(portal)


def test_disk_of_the_portals_database_fills_during_the_dump(portal: Portal, disk: Path) -> None:
    """The run cannot be followed any more, so it ends; the reaper writes down what became of it."""
    with in_the_database_of(portal, disk):
        with ExitStack() as until_freed:
            with portal.shop.held("orders"):
                running = portal.start("backup", "--json", real=True)
                portal.shop.wait_for_a_waiting_dump()
                until_freed.enter_context(full(disk))
            told(portal.finish(running), "portal's", "database", "space")
        reap(portal)
        no_run_left(portal)
        no_heartbeat_without_its_snapshot(portal)
        next_backup_succeeds(portal)


def test_worker_outlives_a_full_disk_of_the_portals_database(portal: Portal, disk: Path) -> None:
    with in_the_database_of(portal, disk), portal.worker() as server:
        with full(disk):
            time.sleep(5)  # a few of its looks at the queue
        assert server.running
        run = int(
            portal.shell(
                "from backups.requests import Asker, BackupRequest; from backups.models import Database;"
                "print(BackupRequest(Database.objects.get()).submit(Asker('admin')).pk)"
            )
        )
        wait_until(lambda: portal.run(run)["status"] == "succeeded", "the worker to go on", 60)


def health(portal: Portal) -> str:
    """What `/healthz` answers."""
    return portal.shell(
        "from django.test import Client; answer = Client(SERVER_NAME='localhost').get('/healthz');"
        "print(answer.status_code, answer.content.decode())"
    )


@contextmanager
def in_the_database_of(portal: Portal, disk: Path) -> Iterator[None]:
    """The portal's own database on that disk."""
    moved = disk / "portal.sqlite3"
    shutil.move(portal.database_file, moved)
    portal.database_file.symlink_to(moved)
    portal.environment["DATABASE_URL"] = f"sqlite:///{moved}"
    yield


# ---------------------------------------------------------------- Repositories that change under us


# What stores, and in long what only reads, and what deletes.
COMMANDS = (("backup",),)
IN_LONG = (
    (("verify",), ("repository", "forget"), ("snapshots",), ("repository", "check"))
    if "VEDETTA_SOAK" in os.environ
    else ()
)


@pytest.mark.larger
def test_repository_folder_deleted_under_us(portal: Portal) -> None:
    before = portal.heartbeat()
    shutil.rmtree(portal.repository)

    for command in (*COMMANDS, *IN_LONG):
        told(portal.manage(*command, "--json"), "There is no repository at", "--new repository")

    assert portal.heartbeat() == before
    assert portal.rows("SELECT 1 FROM backups_snapshot WHERE forgotten_at IS NOT NULL") == []
    assert portal.manage("repository", "init").code == 1, "no other one is made in its place unasked"
    assert portal.manage("bootstrap", "--new", "repository").code == 0
    make_light(Path(portal.repository), RESTIC_PASSWORD)
    next_backup_succeeds(portal)
    assert portal.rows("SELECT 1 FROM backups_snapshot WHERE forgotten_at IS NOT NULL") == []


@pytest.mark.soak
def test_bucket_deleted_under_us(mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3") as server:
        portal = make_portal(mariadb_shop, repository=server.create_bucket("gone"), **server.environment)
        assert portal.manage("repository", "init").code == 0
        assert portal.backup().code == 0
        before = portal.heartbeat()
        server.stop()
        server.start()  # and is empty

        for command in (("backup",), ("verify",), ("snapshots",), ("repository", "check")):
            error = told(portal.manage(*command, "--json"))
            assert re.search("no (bucket|repository).*the portal knows main.*--new repository", error), error

        assert portal.heartbeat() == before
        assert portal.rows("SELECT 1 FROM backups_snapshot WHERE forgotten_at IS NOT NULL") == []
        assert portal.manage("bootstrap", "--new", "repository").code == 0
        next_backup_succeeds(portal)


def test_repository_deleted_during_the_dump(portal: Portal) -> None:
    before = portal.heartbeat()
    with portal.shop.held("orders"):
        running = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        shutil.rmtree(portal.repository)

    ran = portal.finish(running)

    assert ran.code == 1, ran.out
    assert "unexpected" not in ran.json["error"]
    assert portal.heartbeat() == before


# tests/actions/test_failures.py has a backup with a password that does not open the repository.
@pytest.mark.soak
def test_repository_password_changed_under_us(portal: Portal, tmp_path: Path) -> None:
    before = portal.heartbeat()
    new = tmp_path / "new password"
    new.write_text("another one")
    portal.restic("key", "passwd", "--new-password-file", str(new))
    make_light(Path(portal.repository), new.read_text())

    for command in (*COMMANDS, *IN_LONG):
        told(
            portal.manage(*command, "--json"), "password does not open the repository", "Set RESTIC_PASSWORD"
        )

    assert portal.heartbeat() == before
    portal.environment["RESTIC_PASSWORD"] = "another one"
    next_backup_succeeds(portal)


# tests/actions/test_locks.py has a forget, tests/snapshots/test_nightly.py a night, while others are at work.
@pytest.mark.soak
def test_two_portals_on_one_repository_at_once(
    mariadb_shop: Shop, make_portal: MakePortal, empty_repository: Path, tmp_path: Path
) -> None:
    """Each backs up and forgets; restic's locks are between them. Both end well, or are told of the other."""
    repository = copy_repository(empty_repository, tmp_path / "shared")
    one, two = (
        make_portal(mariadb_shop, repository=repository, BACKUP_KEEP_DAILY="1", BACKUP_KEEP_WEEKLY="0",
                    BACKUP_KEEP_MONTHLY="0")
        for _ in range(2)
    )  # fmt: skip
    good: set[str] = set()
    for _ in range(2 if "VEDETTA_SOAK" in os.environ else 1):
        running = [portal.start("backup", "--json") for portal in (one, two)]
        for portal, process in zip((one, two), running, strict=True):
            ran = portal.finish(process)
            assert ran.code == 0, f"{ran.out}{ran.err}"
            good.add(ran.json["snapshot_id"])

    refused = [
        row["error"] for p in (one, two) for row in p.rows("SELECT error FROM backups_run") if row["error"]
    ]
    assert all("is locked" in error for error in refused), refused
    newest = max(one.snapshots(), key=lambda snapshot: str(snapshot["time"]))
    assert newest["id"] in good
    no_bad_snapshot(one)
    assert one.manage("repository", "check", "--read-data").code == 0
    for portal in (one, two):
        next_backup_succeeds(portal)
