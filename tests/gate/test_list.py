"""The list of databases that gate is right after each backup, however seldom it is made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import marks
from backups.choices import ArchiveState, StandDownKind
from backups.configuration import bootstrap
from backups.gate import heartbeat_files
from backups.keeping import log_archives, stand_downs
from backups.keeping.stand_downs import Wish
from backups.models import Database, LogArchive, Repository, Snapshot
from sentinel import heartbeat
from tests.rows import a_server

DAY = timedelta(days=1)


@pytest.fixture
def path(db: None, settings: Settings, tmp_path: Path) -> Path:
    """Where the main heartbeat lies, of a portal with two databases that gate and one without a backup."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "last_ok")
    repository = Repository.objects.create(name="main", url="/nowhere")
    for name in ("shop", "crm", "blog"):
        database = Database.objects.create(
            name=name, database=name, server=a_server(name), repository=repository, is_primary=name == "shop"
        )
        if name != "blog":
            backed_up(database)
    heartbeat_files.write_gates()
    heartbeat_files.write_gates()
    return tmp_path / "last_ok"


def backed_up(database: Database) -> None:
    Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id=f"{database.pk:064x}",
        time=timezone.now(), path="/mysql/x.sql", made_here=True,
    )  # fmt: skip


def listed(path: Path) -> list[tuple[str, int | None]]:
    heartbeat_files.write_gates()
    return [(gate.name, gate.threshold_seconds) for gate in heartbeat.gates_read(path)]


def retire(database: Database) -> None:
    stand_downs.begin(database, StandDownKind.RETIREMENT, Wish("It is no longer needed.", "anna"))


CHANGES: dict[str, tuple[Callable[[Database], object], list[tuple[str, int | None]]]] = {
    "nothing": (lambda crm: None, [("shop", None), ("crm", None)]),
    "a threshold": (
        lambda crm: Database.objects.filter(pk=crm.pk).update(heartbeat_threshold=60),
        [("shop", None), ("crm", 60)],
    ),
    "it gates no more": (
        lambda crm: Database.objects.filter(pk=crm.pk).update(gates_app=False),
        [("shop", None)],
    ),
    "it is retired": (retire, [("shop", None)]),
    "a first backup": (
        lambda crm: backed_up(Database.objects.get(name="blog")),
        [("shop", None), ("crm", None), ("blog", None)],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_list_follows(path: Path, change: str) -> None:
    make, wanted = CHANGES[change]
    make(Database.objects.get(name="crm"))

    assert listed(path) == wanted
    assert listed(path) == wanted


@pytest.mark.parametrize("what", ["", "[]\n"])
def test_what_somebody_else_left_in_its_place_goes(path: Path, what: str) -> None:
    gates = heartbeat.gates_path(path)
    gates.write_text(what) if what else gates.unlink()

    assert listed(path) == [("shop", None), ("crm", None)]


def test_a_backup_after_which_nothing_else_is_listed_costs_next_to_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    heartbeat_files.write_gates()
    before = heartbeat.gates_path(path).stat()
    with CaptureQueriesContext(connection) as asked:
        heartbeat_files.write_gates()

    assert len(asked) == 1, "whether anything was written"
    assert heartbeat.gates_path(path).stat() == before


def test_a_database_called_as_a_file_of_ours_keeps_its_times_through_an_upgrade(path: Path) -> None:
    crm = Database.objects.get(name="crm")
    crm.name = "last_logged"
    crm.save()
    heartbeat.stamp_write(path.parent / "last_logged" / "last_ok", timezone.now())
    LogArchive.objects.create(database=Database.objects.get(name="shop"), state=ArchiveState.FOLLOWING)
    assert heartbeat_files.last_ok(crm) is None

    bootstrap.apply()
    bootstrap.apply()

    assert heartbeat_files.last_ok(crm) is not None
    assert heartbeat_files.last_logged(Database.objects.get(name="shop")) is not None


def logged(path: Path) -> list[str]:
    """Those of whose log the gate looks how old it is."""
    return [gate.name for gate in heartbeat.gates_read(path) if gate.is_logged]


def test_logs_that_are_switched_on_and_off_within_half_a_minute_are_all_seen(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    shop, crm = Database.objects.get(name="shop"), Database.objects.get(name="crm")
    for database in (shop, crm):
        LogArchive.objects.create(database=database, state=ArchiveState.FOLLOWING)
        heartbeat_files.write_gates()
    assert logged(path) == ["shop", "crm"]

    log_archives.switch_off(shop, "anna")
    assert logged(path) == ["crm"]
    log_archives.switch_off(crm, "anna")
    assert logged(path) == []

    archive = LogArchive.objects.get(database=crm)
    archive.state = ArchiveState.WAITING
    archive.save()
    heartbeat_files.write_gates()
    assert logged(path) == ["crm"]

    # How far it is, once a minute, has nobody read the list again.
    LogArchive.objects.filter(pk=archive.pk).update(stored_until=timezone.now())
    with CaptureQueriesContext(connection) as asked:
        heartbeat_files.write_gates()
    assert len(asked) == 1
