"""A database that suddenly lost its tables: stored, and neither a fresh heartbeat nor a reason to forget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.actions import accept as accepting
from backups.alerting import alerts
from backups.choices import Action, AlertState, Health, RestoreMode, Status, SuspicionState, Trigger
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.keeping import suspicions
from backups.models import Alert, Database, Repository, Run, Snapshot, Suspicion
from backups.restoring.plan import plan
from backups.snapshots import selection
from sentinel import heartbeat
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Portal, Shop
from tests.restoring.stories import make_restorable, restore, succeeded
from tests.rows import a_server
from tests.servers import DatabaseServer

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class History:
    """Backups of a database as the portal remembers them, one an hour, judged as they come."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.count = 0

    def backup(self, *tables: str, trigger: Trigger = Trigger.SCHEDULE, **inventory: list[str]) -> Snapshot:
        """A backup that held these tables."""
        run = Run.objects.create(
            action=Action.BACKUP,
            trigger=trigger,
            status=Status.SUCCEEDED,
            database=self.database,
            repository=self.database.repository,
        )
        held = {"table": list(tables)} if tables else {}
        snapshot = self.snapshot(made_by=run, manifest={"inventory": {**held, **inventory}})
        suspicions.judge(self.database, snapshot)
        return snapshot

    def snapshot(self, **fields: Any) -> Snapshot:
        """A snapshot that the repository told of, by default of nobody's making and content."""
        self.count += 1
        return Snapshot.objects.create(
            repository=self.database.repository,
            database=self.database,
            snapshot_id=f"{self.count:064x}",
            time=NOON + timedelta(hours=self.count),
            path="/mysql/shop.sql",
            **fields,
        )

    def accept(self, snapshot: Snapshot) -> str:
        """A person says that it is right."""
        assert snapshot.made_by is not None
        return accepting.accept(
            accepting.suspicion_of(snapshot.made_by), by="ada", reason="moved to another server"
        )


@pytest.fixture
def history(settings: Settings, tmp_path: Path) -> History:
    """A database without any backup yet."""
    settings.SENTINEL = dataclasses.replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")
    (tmp_path / "status").mkdir()
    repository = Repository.objects.create(name="main", url=str(tmp_path / "repository"))
    return History(
        Database.objects.create(
            name="shop", server=a_server(), database="shop", repository=repository, is_primary=True
        )
    )


def waits(snapshot: Snapshot) -> bool:
    """Whether a person is to say something of it."""
    return Suspicion.objects.filter(snapshot=snapshot, state=SuspicionState.WAITING).exists()


def stamp() -> datetime | None:
    """The time in the heartbeat."""
    return heartbeat.stamp_read(settings.SENTINEL.heartbeat_path).time


# ---------------------------------------------------------------- What is suspicious


@pytest.mark.parametrize(
    ("before", "now", "suspicious"),
    [
        ([], [], False),
        ([[]], [], False),
        ([[], []], [], False),
        ([["orders"]], [], True),
        ([["orders", "items"]], ["orders"], False),
        ([["orders", "items"]], ["other"], True),
        ([["Orders"]], ["orders"], False),
        ([["orders"], []], [], True),
        ([["orders"], [], []], [], True),
        ([["orders"], [], ["other"]], [], True),
        ([["orders"], [], ["orders"]], ["orders", "more"], False),
        ([[]], ["orders"], False),
    ],
)
def test_compared_with_the_last_backup_that_was_not_suspicious(
    history: History, before: list[list[str]], now: list[str], suspicious: bool
) -> None:
    for tables in before:
        history.backup(*tables)

    assert waits(history.backup(*now)) is suspicious


def test_a_database_of_views_or_routines_alone_asks_for_nothing(history: History) -> None:
    history.backup(view=["totals"])
    history.backup(procedure=["close"])

    assert not Suspicion.objects.exists()


def test_views_that_are_left_do_not_hide_that_all_tables_are_gone(history: History) -> None:
    history.backup("orders", view=["totals"])

    assert waits(history.backup(view=["totals"]))


def test_what_nobody_knows_of_asks_once(history: History) -> None:
    """Snapshots of old scripts, or of a portal that was rebuilt from its repository alone."""
    history.snapshot()

    first = history.backup()
    assert waits(first)
    history.accept(first)

    assert not waits(history.backup())


def test_a_rebuilt_history_goes_by_what_its_manifests_tell(history: History) -> None:
    history.snapshot(manifest={"inventory": {"table": ["orders"]}})
    rebuilt = Run.objects.create(
        action=Action.BACKUP, trigger=Trigger.RECOVERED, database=history.database,
        repository=history.database.repository,
    )  # fmt: skip
    # Nobody knows any more that this one was suspicious itself.
    history.snapshot(made_by=rebuilt, manifest={"inventory": {}})

    assert waits(history.backup())


def test_the_first_backup_after_adopting_old_snapshots_is_good_where_it_holds_tables(
    history: History,
) -> None:
    history.snapshot()

    assert not waits(history.backup("orders"))


def test_a_snapshot_of_the_future_is_nothing_to_go_by(history: History) -> None:
    history.backup("orders")
    ahead = history.backup("orders", "other")
    Snapshot.objects.filter(pk=ahead.pk).update(
        time=timezone.now() + timedelta(days=400), manifest={"inventory": {}}
    )

    assert waits(history.backup())


# ---------------------------------------------------------------- How it ends


def test_over_by_itself_once_the_tables_are_back(history: History) -> None:
    history.backup("orders")
    first, second = history.backup(), history.backup()
    history.backup("orders")

    assert not waits(first)
    assert not waits(second)
    with pytest.raises(Problem, match="does not wait any more"):
        history.accept(first)
    assert waits(history.backup())


def test_accepting_makes_the_new_baseline_and_a_later_one_asks_again(history: History) -> None:
    history.backup("orders")
    emptied = history.backup()
    told = history.accept(emptied)

    assert "accepted" in told
    assert stamp() == emptied.time
    assert not waits(history.backup())
    assert not waits(history.backup("other"))
    assert waits(history.backup())


def test_accepting_an_older_one_explains_those_alike_and_no_others(history: History) -> None:
    history.backup("orders")
    first, alike, other = history.backup(), history.backup(), history.backup("other")

    history.accept(alike)

    assert not waits(first)
    assert not waits(other)
    states = dict(Suspicion.objects.values_list("snapshot_id", "state"))
    assert states == {first.pk: "over", alike.pk: "accepted", other.pk: "accepted"}
    assert stamp() == other.time


def test_accepting_twice_changes_nothing(history: History) -> None:
    history.backup("orders")
    emptied = history.backup()
    history.accept(emptied)
    assert emptied.made_by is not None

    told = accepting.accept(accepting.suspicion_of(emptied.made_by), by="grace", reason="another reason")

    assert "was accepted before, by ada" in told
    suspicion = Suspicion.objects.get()
    assert (suspicion.settled_by, suspicion.reason) == ("ada", "moved to another server")
    assert emptied.made_by.lines.filter(text__startswith="Accepted by").count() == 1


def test_what_is_not_suspicious_is_not_accepted(history: History) -> None:
    good = history.backup("orders")
    other = Run.objects.create(
        action=Action.VERIFY, trigger=Trigger.CLI, database=history.database,
        repository=history.database.repository,
    )  # fmt: skip

    with pytest.raises(Problem, match="is not suspicious"):
        history.accept(good)
    with pytest.raises(Problem, match="no backup"):
        accepting.suspicion_of(other)


def test_a_snapshot_that_is_gone_is_not_accepted(history: History) -> None:
    history.backup("orders")
    emptied = history.backup()
    Snapshot.objects.filter(pk=emptied.pk).update(forgotten_at=timezone.now())

    with pytest.raises(Problem, match="not in the repository any more"):
        history.accept(emptied)
    assert waits(emptied)


def test_the_heartbeat_never_goes_backwards_nor_into_the_future(history: History) -> None:
    history.backup("orders")
    late = history.backup()
    newer = late.time + timedelta(hours=5)
    heartbeat_files.write_last_ok(history.database, newer)

    assert "left as it is" in history.accept(late)
    assert stamp() == newer

    history.backup("orders")
    ahead = history.backup()
    Snapshot.objects.filter(pk=ahead.pk).update(time=timezone.now() + timedelta(days=1))
    assert "left as it is" in history.accept(ahead)
    assert stamp() == newer


def test_no_heartbeat_while_the_repository_is_damaged(history: History) -> None:
    history.backup("orders")
    emptied = history.backup()
    Repository.objects.update(health=Health.DAMAGED)

    assert "damaged" in history.accept(emptied)
    assert not waits(emptied)
    assert stamp() is None


# ---------------------------------------------------------------- Who goes by it


def test_newest_means_the_newest_that_is_not_suspicious(history: History) -> None:
    good = history.backup("orders")
    emptied = history.backup()

    assert selection.newest(history.database) == good
    assert selection.resolve_snapshot(history.database, "latest") == good
    assert selection.resolve_snapshot(history.database, emptied.snapshot_id[-64:]) == emptied


def test_who_restores_a_suspicious_backup_is_told(history: History) -> None:
    good = history.backup("orders")
    emptied = history.backup()

    assert suspicions.doubts(good) == []
    assert "holds no table" in suspicions.doubts(emptied)[0]
    told = plan(history.database, emptied, mode=RestoreMode.FILE, target="/tmp")
    assert suspicions.doubts(emptied)[0] in told.warnings
    history.accept(emptied)
    assert suspicions.doubts(emptied) == []


def test_people_are_told_once_and_again_when_it_is_right(history: History, settings: Settings) -> None:
    settings.NOTIFY_URLS = []
    history.backup("orders")
    for _ in range(2):
        emptied = history.backup()
        assert emptied.made_by is not None
        Run.objects.filter(pk=emptied.made_by.pk).update(
            result={"suspicious": ["The database holds no table."]}
        )
        alerts.run_ended(emptied.made_by.pk)
    alert = Alert.objects.get()
    assert alert.subject == "Backup of shop"
    assert alert.state == AlertState.SUSPICIOUS
    assert "manage.py accept" in alert.text
    assert "The database holds no table." in alert.text

    history.accept(emptied)

    alert.refresh_from_db()
    assert alert.state == AlertState.GOOD


# ---------------------------------------------------------------- From end to end


def test_an_emptied_database_is_stored_and_moves_nothing_until_it_is_accepted(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: Callable[[Database], Run]
) -> None:
    database = make_database(mariadb_shop, keep_daily=1, keep_weekly=0, keep_monthly=0)
    present = database.snapshots.filter(forgotten_at=None)
    good = back_up(database)
    assert good.result["heartbeat"] == "written"
    assert good.result["suspicious"] == []
    before = heartbeat.stamp_read(settings.SENTINEL.heartbeat_path).time

    mariadb_shop.server.create_database(mariadb_shop.name)
    runs = [back_up(database), back_up(database)]
    for run in runs:
        assert run.status == Status.SUCCEEDED, run.error
        assert run.result["heartbeat"] == "withheld"
        assert "orders" in run.result["suspicious"][0]
    assert heartbeat.stamp_read(settings.SENTINEL.heartbeat_path).time == before
    assert present.count() == 3, "one a day is kept, and here nothing was forgotten"
    forget = runs[1].children.get(action=Action.FORGET)
    assert forget.lines.filter(text__startswith="Nothing of").exists()
    assert forget.result["sentence"].startswith(f"Nothing was forgotten: all 3 snapshots of {database} stay")
    assert forget.result["kept"] == 3
    assert len(suspicions.sentences(database)) == 1

    accepting.accept(accepting.suspicion_of(runs[1]), by="ada", reason="moved away")

    assert before is not None
    assert (heartbeat.stamp_read(settings.SENTINEL.heartbeat_path).time or before) > before
    after = back_up(database)
    assert after.result["suspicious"] == []
    # The one with the last copies of its tables stays for a while, though it was right that they went.
    assert set(present) == {good.snapshot, after.snapshot}


def test_an_emptied_database_is_restored_with_its_safety_backup(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: Callable[[Database], Run]
) -> None:
    """The case in which one restores: the backup before it is suspicious, which stops nothing."""
    shop = make_restorable(mariadb_server, "CREATE TABLE orders (id INT PRIMARY KEY);")
    database = make_database(shop)
    back_up(database)
    shop.server.create_database(shop.name)

    latest = selection.resolve_snapshot(database, "latest")
    restored = succeeded(restore(database, RestoreMode.REPLACE, snapshot=latest))

    safety = restored.restore.safety_snapshot
    assert safety is not None
    assert waits(safety)
    assert shop.query("SELECT COUNT(*) FROM orders") == [(0,)]
    after = back_up(database)
    assert after.result["heartbeat"] == "written"
    assert not waits(safety)


def test_the_command_and_what_backup_says(mariadb_portal: Portal) -> None:
    assert "heartbeat" not in mariadb_portal.backup().json
    shop = mariadb_portal.shop
    shop.server.create_database(shop.name)

    ran = mariadb_portal.backup()
    assert ran.code == 0, ran.err
    assert ran.json["heartbeat"] == "withheld"
    assert "holds no table" in ran.json["suspicious"][0]
    number = str(ran.json["run_id"])
    assert f"manage.py accept {number}" in ran.err
    assert mariadb_portal.manage("accept", number, "--json").code == 2
    accepted = mariadb_portal.manage("accept", number, "--reason", "moved away", "--json")

    assert accepted.code == 0, accepted.err
    assert accepted.json == {"status": "succeeded", "run_id": ran.json["run_id"]}
    (row,) = mariadb_portal.rows("SELECT * FROM backups_suspicion")
    assert (row["state"], row["reason"]) == ("accepted", "moved away")
    assert "(command line)" in row["settled_by"]
