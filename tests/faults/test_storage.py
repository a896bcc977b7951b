"""A storage that fails: every restic operation ends in bounds and says so, and the next one succeeds.

The S3 storage is a real one behind a proxy that delays, drops, truncates, resets and refuses.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import restic as restic_module
from backups.actions.download import sql_stream
from backups.choices import Action, RestoreMode, Status
from backups.endpoints import repository_access
from backups.models import Database, Repository, Run, Snapshot
from sentinel import heartbeat
from tests.actions.tools import back_up, play, restic
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.faults.promises import what_is_wrong_with
from tests.restoring.stories import content, databases_of, log_of, restore
from tests.servers import S3Server
from tests.servers.faulty_s3 import (
    Fault,
    FaultyS3,
    Handler,
    delay,
    drop,
    hang,
    reset_upload,
    status,
    truncate,
)
from tests.snapshots.test_forget import made_at

# How long a storage may do nothing but fail; restic itself would try for a quarter of an hour.
PATIENCE_SECONDS = 1
# With restic's own pauses between attempts, and a loaded machine.
BOUND_SECONDS = 60
SOAKS = "VEDETTA_SOAK" in os.environ


@dataclass
class Cloud:
    """A database that is backed up into S3, and the proxy on the way there."""

    database: Database
    shop: Shop
    storage: FaultyS3
    settings: Settings

    def snapshots(self) -> list[str]:
        """The ids in the repository, as restic lists them."""
        return [item["id"] for item in json.loads(restic(self.database.repository, "snapshots", "--json"))]

    def heartbeat(self) -> object:
        """What the gate is told."""
        return heartbeat.stamp_read(self.settings.SENTINEL.heartbeat_path)


@contextmanager
def failing(cloud: Cloud, fault: Fault, patience_seconds: int = PATIENCE_SECONDS) -> Iterator[Fault]:
    """The fault, for the length of a block, and little patience with it."""
    known = cloud.settings.STORAGE_PATIENCE_SECONDS
    cloud.settings.STORAGE_PATIENCE_SECONDS = patience_seconds
    with cloud.storage.failing(fault):
        yield fault
    cloud.settings.STORAGE_PATIENCE_SECONDS = known


@pytest.fixture
def cloud(
    s3_repository: str, s3_server: S3Server, mariadb_shop: Shop, make_database: MakeDatabase,
    repository: Repository, settings: Settings, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cloud]:  # fmt: skip
    """A database with two backups in S3."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with FaultyS3(s3_server) as storage:
        repository.url = storage.in_front_of(s3_repository)
        repository.save()
        cloud = Cloud(make_database(mariadb_shop), mariadb_shop, storage, settings)
        back_up(cloud.database)
        mariadb_shop.execute("INSERT INTO customers VALUES (99, 'of the second backup')")
        back_up(cloud.database)
        yield cloud


# ---------------------------------------------------------------- Every operation, every fault


def _init(cloud: Cloud) -> Run:
    """Into a folder of the bucket where nothing is yet, and of which the portal knows nothing."""
    elsewhere, _ = Repository.objects.get_or_create(
        name="elsewhere", url=f"{cloud.database.repository.url.rstrip('/')}/elsewhere"
    )
    return play(Action.INIT, repository=elsewhere)


def _backup(cloud: Cloud) -> Run:
    return play(Action.BACKUP, database=cloud.database)


def _of_repository(action: Action, **options: object) -> Callable[[Cloud], Run]:
    def operate(cloud: Cloud) -> Run:
        cloud.database.repository.refresh_from_db()
        return play(action, repository=cloud.database.repository, options=options)

    return operate


def _forget(cloud: Cloud) -> Run:
    """By a policy that keeps one a day, of which there are several."""
    Database.objects.update(keep_daily=1, keep_weekly=0, keep_monthly=0)
    return play(Action.FORGET, database=cloud.database)


def _restore(cloud: Cloud) -> Run:
    return restore(cloud.database, RestoreMode.REPLACE, without_safety=True)


@dataclass(frozen=True)
class Operation:
    """What the product does with restic, and which of restic's requests are its own."""

    play: Callable[[Cloud], Run]
    reads: str = ""
    writes: str = ""


OPERATIONS = {
    "init": Operation(_init, reads="GET .*prefix=elsewhere", writes="PUT .*/elsewhere/(keys|config)"),
    "snapshots": Operation(_of_repository(Action.SNAPSHOTS), reads="GET .*(/snapshots/|prefix=snapshots)"),
    "backup": Operation(_backup, reads="GET .*prefix=index", writes="PUT .*/(data|index|snapshots)/"),
    "restore": Operation(_restore, reads="GET .*/data/"),
    "forget": Operation(_forget, reads="GET .*prefix=snapshots", writes="DELETE .*/(snapshots|data|index)/"),
    "prune": Operation(_of_repository(Action.PRUNE), reads="GET .*prefix=(data|index)"),
    "check": Operation(_of_repository(Action.CHECK, read_data=True), reads="GET .*/data/"),
    "repair-index": Operation(_of_repository(Action.REPAIR_INDEX), reads="GET .*prefix=data"),
    "repair-snapshots": Operation(
        _of_repository(Action.REPAIR_SNAPSHOTS), reads="GET .*prefix=(snapshots|index)"
    ),
    "unlock": Operation(_of_repository(Action.UNLOCK), reads="GET .*prefix=locks"),
    "stats": Operation(_of_repository(Action.STATS), reads="GET .*prefix=(index|snapshots)"),
}
FAULTS: dict[str, Callable[[Handler], None]] = {
    "403": status(403),
    "404": status(404),
    "500": status(500),
    "503": status(503),
    "cut off": truncate,
    "dropped": drop,
    "no answer": hang,
    "reset": reset_upload,
}
# restic does not try again, or says soon that it does.
QUICK_READS, QUICK_WRITES = ("404", "cut off", *(("403",) if SOAKS else ())), ("403",)
# One of the slow ones, which `make soak` plays with all operations.
WRITES = (*QUICK_WRITES, *(() if SOAKS else ("no answer",)))
SLOW_READS, SLOW_WRITES = (
    ("500", "503", "dropped", "no answer"),
    ("500", "503", "dropped", "no answer", "reset"),
)
SAYS = {"403": "refuses our keys", "404": "lacks a file|no repository|no bucket|is damaged"}


def slow_cases() -> Iterator[object]:
    """Each operation with each fault that takes long."""
    for name, operation in OPERATIONS.items():
        for kind, where, faults in (
            ("reads", operation.reads, SLOW_READS),
            ("writes", operation.writes, SLOW_WRITES),
        ):
            for fault in faults if where else ():
                yield pytest.param(name, where, fault, id=f"{name}-{kind}-{fault}")


def fails_in_bounds(cloud: Cloud, operation: str, where: str, fault: str) -> None:
    """The operation fails with a sentence, and nothing is worse than before."""
    before, live = cloud.heartbeat(), content(cloud.shop.server, cloud.shop.name)
    known = set(cloud.snapshots())
    began = time.monotonic()
    with failing(cloud, Fault(FAULTS[fault], where)) as struck:
        run = OPERATIONS[operation].play(cloud)
    seconds = time.monotonic() - began

    assert struck.hits, f"no request was hit: {cloud.storage.requests[-20:]}"
    print(f"{operation} {fault}: {seconds:.1f} s: {run.error}")
    assert run.status == Status.FAILED, f"{run.status}\n{log_of(run)}"
    assert seconds < BOUND_SECONDS
    assert re.search(SAYS.get(fault, "cannot be reached"), run.error), run.error
    assert "met an unexpected" not in run.error, log_of(run)
    assert re.search(r"\. (Check|See|Make|If|Restore|Run|Wait|Set|Backups)[^.]", run.error), run.error
    assert content(cloud.shop.server, cloud.shop.name) == live
    assert cloud.heartbeat() == before
    assert set(cloud.snapshots()) == known
    assert not Snapshot.objects.exclude(forgotten_at=None).exists()


def succeeds_again(cloud: Cloud, operation: str) -> None:
    """With its storage back."""
    again = OPERATIONS[operation].play(cloud)
    assert again.status == Status.SUCCEEDED, f"{again.error}\n{log_of(again)}"
    assert_good(cloud)


def assert_good(cloud: Cloud) -> None:
    """The next backup succeeds, and every snapshot that is there holds what was dumped."""
    back_up(cloud.database)
    for snapshot_id in cloud.snapshots():
        path = f"/mysql/{cloud.shop.name}.sql"
        assert what_is_wrong_with(restic(cloud.database.repository, "dump", snapshot_id, path)) == ""


# What stores; the others only read, as this does first, but for forget: below, it is refused its list.
@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(name, marks=pytest.mark.larger if name == "backup" else pytest.mark.soak)
        for name in OPERATIONS
    ],
)
def test_storage_that_refuses_cuts_off_or_does_not_answer(operation: str, cloud: Cloud) -> None:
    step = OPERATIONS[operation]
    # A backup reads as the others do.
    reads = step.reads if operation == "backup" or SOAKS else ""
    for where, faults in ((reads, QUICK_READS), (step.writes, WRITES)):
        for fault in faults if where else ():
            fails_in_bounds(cloud, operation, where, fault)
    succeeds_again(cloud, operation)


# Above, a backup that gets no answer.
@pytest.mark.soak
@pytest.mark.parametrize(("operation", "where", "fault"), list(slow_cases()))
def test_storage_that_gives_no_good_answer(operation: str, where: str, fault: str, cloud: Cloud) -> None:
    fails_in_bounds(cloud, operation, where, fault)
    succeeds_again(cloud, operation)


# ---------------------------------------------------------------- Faults that pass


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(name, marks=pytest.mark.larger if name == "backup" else pytest.mark.soak)
        for name in OPERATIONS
    ],
)
def test_fault_that_passes_is_got_over(operation: str, cloud: Cloud) -> None:
    """restic tries again, and so nobody has to."""
    step = OPERATIONS[operation]
    for do in (reset_upload, status(503), *([delay(0.5)] if SOAKS else ())):
        with cloud.storage.failing(Fault(do, step.writes or step.reads, times=2)) as struck:
            run = step.play(cloud)

        assert struck.hits or operation in ("init", "forget"), (
            "done by the first, they have nothing left to do"
        )
        assert run.status == Status.SUCCEEDED, f"{run.error}\n{log_of(run)}"


# ---------------------------------------------------------------- What is no run


# tests/downloads/test_hanging.py has a download whose storage goes away or hangs, through portal and worker.
@pytest.mark.soak
@pytest.mark.parametrize("fault", ["dropped", "no answer"])
def test_download_is_broken_off_when_its_storage_goes_away(fault: str, cloud: Cloud) -> None:
    """Whoever downloads neither waits for a quarter of an hour nor takes half a dump for a whole one."""
    cloud.shop.execute(
        "CREATE TABLE noise (id INT AUTO_INCREMENT PRIMARY KEY, data LONGBLOB);"
        "INSERT INTO noise (data) SELECT RANDOM_BYTES(1024) FROM seq_1_to_60000"
    )
    snapshot = back_up(cloud.database)
    began = time.monotonic()

    with failing(cloud, Fault(FAULTS[fault], "GET .*/data/", after=15)) as struck:
        _, content = sql_stream(snapshot)
        with pytest.raises(restic_module.RepositoryUnreachable, match="cannot be reached"):
            for _ in content:
                pass

    assert struck.hits
    assert time.monotonic() - began < BOUND_SECONDS
    _, content = sql_stream(snapshot)
    assert what_is_wrong_with(b"".join(content)) == ""


def test_storage_that_is_down_is_told_as_soon_as_patience_ends(
    s3_repository: str, s3_server: S3Server, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the 25 seconds that opening a repository may take, no more than that is waited for it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()

    with FaultyS3(s3_server) as storage:
        repository.url = storage.in_front_of(s3_repository)
        access = dataclasses.replace(repository_access(repository), patience_seconds=PATIENCE_SECONDS)
        with storage.failing(Fault(drop, "")), pytest.raises(restic_module.RepositoryUnreachable):
            restic_module.probe(access)

    assert time.monotonic() - began < restic_module.PROBE_DEADLINE_SECONDS


# ---------------------------------------------------------------- Answers that are not whole


def test_plan_made_of_nothing_forgets_nothing(cloud: Cloud) -> None:
    """restic ends with success where it may not list snapshots: a list of none, which keeps none."""
    now = timezone.now()
    days = [made_at(cloud.database, now - timedelta(days=days)).snapshot_id for days in (3, 2, 1)]
    known = set(cloud.snapshots())
    assert known > set(days)

    with cloud.storage.failing(Fault(status(403), "GET .*prefix=snapshots", times=1)) as struck:
        run = play(Action.FORGET, database=cloud.database)

    assert struck.hits == 1
    assert run.status == Status.FAILED
    assert "refuses our keys" in run.error
    assert set(cloud.snapshots()) == known


# tests/snapshots/test_nightly.py has one that cannot be read.
@pytest.mark.soak
def test_snapshot_that_cannot_be_read_is_not_taken_for_gone(cloud: Cloud) -> None:
    newest, oldest = cloud.database.snapshots.all()

    with cloud.storage.failing(Fault(status(403), f"GET .*/snapshots/{oldest.snapshot_id}")):
        shutil.rmtree(cloud.settings.RESTIC_CACHE_DIR)
        listed = play(Action.SNAPSHOTS, repository=cloud.database.repository)
        shutil.rmtree(cloud.settings.RESTIC_CACHE_DIR)
        forgot = play(Action.FORGET, database=cloud.database)

    for run in (listed, forgot):
        assert run.status == Status.FAILED
        assert f"cannot be read now: {oldest.short_id}" in run.error
    assert cloud.database.snapshots.filter(forgotten_at=None).count() == 2
    assert set(cloud.snapshots()) == {newest.snapshot_id, oldest.snapshot_id}


# tests/faults/test_kills.py cuts a backup short at the same moment.
@pytest.mark.soak
def test_snapshot_that_was_made_and_cannot_be_confirmed_is_not_denied(cloud: Cloud) -> None:
    """The storage fails after the snapshot is saved: no heartbeat, and no word that none was made."""
    before, known = cloud.heartbeat(), set(cloud.snapshots())

    def fail_from_now_on(handler: Handler) -> None:
        handler.pass_on(handler.body())
        cloud.storage.fault = Fault(status(403))

    with cloud.storage.failing(Fault(fail_from_now_on, "PUT .*/snapshots/")):
        run = play(Action.BACKUP, database=cloud.database)

    (made,) = set(cloud.snapshots()) - known
    assert run.status == Status.FAILED
    assert f"made snapshot {made[:8]}, but that could not be confirmed. No heartbeat" in run.error
    assert "No snapshot was made" not in run.error
    assert cloud.heartbeat() == before


# ---------------------------------------------------------------- A restore whose storage goes away


# tests/restoring/test_kills.py has a restic that is killed while it is read for a replacement.
@pytest.mark.soak
@pytest.mark.parametrize("fault", ["dropped", "no answer", "cut off", "500"])
def test_storage_cut_in_the_middle_of_a_load_leaves_the_live_database(fault: str, cloud: Cloud) -> None:
    """The safety backup is made, some of the dump is loaded already, and then nothing more comes."""
    cloud.shop.execute(
        "CREATE TABLE noise (id INT AUTO_INCREMENT PRIMARY KEY, data LONGBLOB);"
        "INSERT INTO noise (data) SELECT RANDOM_BYTES(1024) FROM seq_1_to_16000"
    )
    snapshot = back_up(cloud.database)
    cloud.shop.execute("DELETE FROM noise WHERE id > 10; DELETE FROM customers WHERE id = 99")
    live, databases = content(cloud.shop.server, cloud.shop.name), databases_of(cloud.shop)

    with failing(cloud, Fault(FAULTS[fault], "GET .*/data/", after=6), patience_seconds=5) as struck:
        run = restore(cloud.database, RestoreMode.REPLACE, snapshot=snapshot)

    assert struck.hits
    assert run.status == Status.FAILED
    assert run.phase == "load"
    assert run.bytes_done > 0
    assert "cannot be reached" in run.error
    assert "The live database was not touched." in run.error
    assert run.restore.safety_snapshot is not None
    assert content(cloud.shop.server, cloud.shop.name) == live
    assert databases_of(cloud.shop) == databases
    again = restore(cloud.database, RestoreMode.REPLACE, snapshot=snapshot)
    assert again.status == Status.SUCCEEDED, again.error
    assert cloud.shop.query("SELECT COUNT(*) FROM noise") == [(16000,)]
