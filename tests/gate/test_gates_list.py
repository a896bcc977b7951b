"""The list of the databases that gate, made by several processes at once."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from pytest_django.fixtures import Settings

from backups.choices import StandDownKind
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.keeping import stand_downs
from backups.models import Database, Snapshot
from sentinel import heartbeat
from sentinel.heartbeat import gates
from tests.runs.test_services import add_database

PROJECT = Path(__file__).resolve().parents[2]
# A worker that has read which databases gate, and writes them when it is told to.
WORKER = """
import django
django.setup()
from backups.gate import heartbeat_files
from sentinel import heartbeat
write = heartbeat.gates_write

def write_late(path, gates):
    gates = list(gates)
    print("read", flush=True)
    input()
    write(path, gates)

heartbeat.gates_write = write_late
heartbeat_files.write_gates()
"""


@pytest.fixture(autouse=True)
def status_folder(settings: Settings, tmp_path: Path) -> Path:
    """Each test's own status files."""
    path = tmp_path / "status" / "last_ok"
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=path)
    return path


def listed() -> set[str]:
    return {gate.name for gate in heartbeat.gates_read(django_settings.SENTINEL.heartbeat_path)}


def backed_up(database: Database) -> Database:
    Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id=f"{database.pk:064x}",
        time=datetime(2026, 6, 10, 3, tzinfo=UTC), path=f"/mysql/{database.name}.sql", made_here=True,
    )  # fmt: skip
    return database


@pytest.mark.django_db(transaction=True)
def test_what_is_taken_back_while_a_worker_writes_is_not_lost(
    file_database: None, status_folder: Path
) -> None:
    shop = backed_up(add_database())
    crm = backed_up(
        Database.objects.create(name="crm", database="crm", server=shop.server, repository=shop.repository)
    )
    stand_downs.begin(crm, StandDownKind.RETIREMENT, stand_downs.Wish("The server moves.", "anna"))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        cwd=PROJECT,
        env={
            **os.environ,
            "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
            "SENTINEL_HEARTBEAT_PATH": str(status_folder),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "read\n"

    stand_downs.end(crm, StandDownKind.RETIREMENT, by="ben")
    portal = threading.Thread(target=_write)
    portal.start()
    portal.join(timeout=1)  # it waits, or is done: then the worker would write what was
    worker.communicate("write\n", timeout=30)
    portal.join(timeout=30)

    assert worker.returncode == 0
    assert listed() == {shop.name, "crm"}


def _write() -> None:
    try:
        heartbeat_files.write_gates()
    finally:
        connection.close()


@pytest.mark.django_db
def test_who_writes_waits_a_while_and_who_reads_never(
    status_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = backed_up(add_database())
    heartbeat_files.write_gates()
    monkeypatch.setattr(gates, "_LOCK_SECONDS", 0.2)
    # Where the list would say the same, nobody waits.
    Database.objects.update(heartbeat_threshold=60)

    with heartbeat.gates_held(status_folder):
        assert listed() == {shop.name}
        with pytest.raises(Problem) as refused:
            heartbeat_files.write_gates()
    assert refused.value.code == "gate.files_held"

    heartbeat_files.write_gates()
    assert status_folder.with_name(".gates.lock").stat().st_size == 0


def test_a_lock_that_another_user_made_or_that_leads_elsewhere_is_no_obstacle_and_no_way_out(
    status_folder: Path, tmp_path: Path
) -> None:
    lock = status_folder.with_name(".gates.lock")
    before = os.umask(0o077)
    try:
        with gates.gates_held(status_folder):
            assert lock.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), gates.gates_held(status_folder):  # noqa: PT011  by the kernel's words
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_the_place_of_the_lock_is_waited_for_by_nobody(status_folder: Path) -> None:
    status_folder.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(status_folder.with_name(".gates.lock"))

    with gates.gates_held(status_folder):
        gates.gates_write(status_folder, [])
        # It locks as a file would.
        lock = os.open(status_folder.with_name(".gates.lock"), os.O_RDWR | os.O_NONBLOCK)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(lock)
    assert gates.gates_read(status_folder) == ()


def test_a_disk_that_knows_no_locks_is_written_to_all_the_same(
    status_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with gates.gates_held(status_folder):
        gates.gates_write(status_folder, [])
    assert gates.gates_read(status_folder) == ()
