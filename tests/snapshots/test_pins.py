"""What a person pins stays; what alone has a table stays for a while; one goes by hand, and says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.actions import backup
from backups.catalog import records
from backups.choices import SUSPICION_KEPT, Action, RestoreMode, Status, SuspicionState, Trigger
from backups.models import Database, Pin, Repository, Run, Snapshot, Suspicion
from backups.requests import retention_preview
from backups.restic import SnapshotInfo
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.snapshots import holds, last_copies
from backups.worker import executor
from tests.actions.tools import back_up, log_of, play
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.management.called import Said, called
from tests.restoring.stories import restore, succeeded
from tests.rows import a_server, change_server
from tests.snapshots.test_forget import KEEP_NOTHING, forgot, ids, in_repository

WHY = "before migration 42"


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command in this process."""

    return lambda *args: called(capsys, *args)


def test_a_backup_is_pinned_from_its_first_moment_until_somebody_unpins_it(
    database: Database, manage: Callable[..., Said]
) -> None:
    Database.objects.update(**KEEP_NOTHING)
    made = manage("backup", "--database", database.name, "--pin", WHY, "--until", "2099-01-31")
    pinned = Snapshot.objects.get(snapshot_id=made["snapshot_id"])
    assert made["pinned"] is True
    assert "stays until the end of 2099-01-31" in made.err
    passing, newest = back_up(database), back_up(database)

    seen = manage("retention", "--preview", "--database", database.name)
    assert [each["snapshot_id"] for each in seen["forget"]] == [passing.snapshot_id]
    assert seen["forget"][0]["reason"].startswith("no rule keeps it (0 daily, 0 weekly, 0 monthly)")
    kept = {each["snapshot_id"]: each["reasons"] for each in seen["keep"]}
    assert kept.keys() == ids(pinned, newest)
    (why,) = kept[pinned.snapshot_id]
    assert why.startswith("pinned snapshot until 2099-01-31, by ")
    assert why.endswith(WHY)

    run = forgot(database)
    assert in_repository(database.repository) == ids(pinned, newest)
    assert run.result["forgotten"] == [each["snapshot_id"] for each in seen["forget"]]
    assert why in log_of(run)
    (listed,) = manage("pins")["pins"]
    assert (listed["snapshot_id"], listed["reason"], listed["until"]) == (
        pinned.snapshot_id,
        WHY,
        "2099-01-31",
    )

    # It is said what becomes of it, and asked where it goes.
    refused = manage("unpin", pinned.short_id, "--reason", "The migration is over.")
    assert (refused.code, refused["error_code"]) == (2, "usage")
    assert "goes with the next forget" in refused["error"]
    assert Pin.objects.standing(timezone.now()).exists()
    done = manage("unpin", pinned.short_id, "--reason", "The migration is over.", "--yes")
    assert (done["goes"], done["reasons"]) == (True, [])
    ended = Pin.objects.get()
    assert ended.end_reason == "The migration is over."
    assert ended.ended_at is not None
    assert manage("pins")["pins"] == []
    forgot(database)
    assert in_repository(database.repository) == ids(newest)
    # What is gone cannot be kept any more.
    assert manage("pin", pinned.short_id, "--reason", WHY)["error_code"] == "snapshot.gone"


def test_a_backup_that_fails_makes_no_pin_and_says_so(
    database: Database, manage: Callable[..., Said]
) -> None:
    change_server(database, port=1)

    failed = manage("backup", "--database", database.name, "--pin", WHY)

    assert failed.code == 1
    assert "No pin was made, because no snapshot was." in failed.err
    assert not Pin.objects.exists()
    assert manage("backup", "--until", "2099-01-31").code == 2
    assert manage("backup", "--database", database.name, "--pin", WHY, "--until", "2001-01-31")[
        "error_code"
    ] == ("pin.until_is_over")


def test_one_goes_by_hand_unless_it_is_pinned_and_with_all_that_holds_it_named(
    database: Database, manage: Callable[..., Said]
) -> None:
    first, second = back_up(database), back_up(database)
    words = ("repository", "forget", "--reason", "It holds a card number.", "--snapshot")
    call_command("pin", second.snapshot_id, "--reason", WHY)

    pinned = manage(*words, second.snapshot_id)
    assert (pinned.code, pinned["error_code"]) == (1, "forget.pinned")
    assert WHY in pinned["error"]
    call_command("unpin", second.snapshot_id, "--reason", "It is wanted no more.", "--yes")
    assert manage(*words, second.short_id[:5])["error_code"] == "forget.id_not_typed"
    held = manage(*words, second.short_id)
    assert held["error_code"] == "forget.held"
    assert str(holds.NEWEST) in held["error"]
    assert in_repository(database.repository) == ids(first, second)

    done = manage(*words, second.short_id, "--although-held")
    assert done.code == 0
    assert in_repository(database.repository) == ids(first)
    run = Run.objects.get(pk=done["run_id"])
    assert (run.action, run.snapshot, run.result["forgotten"]) == ("forget", second, [second.snapshot_id])
    assert "It holds a card number." in log_of(run)

    # The only one that is left goes by its whole id alone.
    last = manage(*words, first.short_id, "--although-held")
    assert last["error_code"] == "forget.id_not_typed"
    assert "the only snapshot of" in last["error"]
    play(Action.VERIFY, database=database, snapshot=first)
    assert manage(*words, first.snapshot_id, "--although-held").code == 0
    assert in_repository(database.repository) == set()


def test_the_last_copy_of_a_table_is_kept_for_its_days(
    database: Database, least_shop: Shop, settings: Settings
) -> None:
    """A table without rows does not count, nor does one of an online schema change."""

    def on_server(sql: str) -> None:
        least_shop.server.execute(sql.replace("@", f"`{least_shop.name}`."))

    on_server("CREATE TABLE @keepsake (a INT); INSERT INTO @keepsake VALUES (1)")
    on_server(
        "CREATE TABLE @hollow (a INT); CREATE TABLE @_orders_gho (a INT); INSERT INTO @_orders_gho VALUES (1)"
    )
    last = back_up(database)
    on_server("DROP TABLE @_orders_gho; DROP TABLE @hollow")
    last_of_keepsake = back_up(database)
    on_server("DROP TABLE @keepsake")
    gone, newest = back_up(database), back_up(database)

    run = forgot(database, **KEEP_NOTHING)

    assert in_repository(database.repository) == ids(last_of_keepsake, newest)
    until = timezone.localtime(gone.time + timedelta(days=90))
    why = holds.LAST_COPY.format(tables="keepsake", until=f"{until:%Y-%m-%d %H:%M}")
    assert why in log_of(run)
    assert last.snapshot_id in run.result["forgotten"]
    # The day does not move, though the first backup without it is forgotten.
    assert gone.snapshot_id in run.result["forgotten"]
    assert last_copies.kept_until(last_of_keepsake) == gone.time + timedelta(days=90)
    settings.RETENTION_OBJECT_DAYS = 0
    forgot(database)
    assert in_repository(database.repository) == ids(newest)


# tests/snapshots/test_forget.py has what any restore needs outlive a forget.
@pytest.mark.soak
def test_what_is_restored_outlives_the_retention_of_its_own_safety_backup(
    restorable_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One day is kept, and the oldest of it is just what is brought back."""
    database = make_database(restorable_shop, keep_daily=1, keep_weekly=0, keep_monthly=0)
    oldest, _ = back_up(database), back_up(database)
    forgets: list[Run] = []

    def then_forget(run: Run, progress: Progress) -> Outcome:
        outcome = backup.run(run, progress)
        forgets.append(play(Action.FORGET, Trigger.BACKUP, database=database))
        return outcome

    monkeypatch.setitem(executor.ACTIONS, Action.BACKUP, then_forget)
    succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=oldest))

    (run,) = forgets
    assert run.status == Status.SUCCEEDED, run.error
    assert oldest.snapshot_id not in run.result["forgotten"]
    assert "wanted snapshot of restore" in log_of(run)
    assert oldest.snapshot_id in in_repository(database.repository)


# ---------------------------------------------------------------- Of rows alone


@pytest.fixture
def of_rows(db: None) -> Database:
    """A database of which nothing has to be read."""
    repository = Repository.objects.create(name="main", url="/nowhere")
    return Database.objects.create(
        name="shop", server=a_server(), database="shop", repository=repository, **KEEP_NOTHING
    )


def row(database: Database, days: int, *, tables: tuple[str, ...] | None = ("a",), **more: Any) -> Snapshot:
    """A snapshot of so many days ago."""
    sections = [{"kind": "rows", "name": name, "bytes": 900, "sha256": ""} for name in tables or ()]
    fields: dict[str, Any] = {
        "path": "/mysql/shop.sql", "host": "vedetta", "tags": ["vedetta", "database:shop"], "made_here": True,
        "manifest": None if tables is None else {"sections": sections}, **more,
    }  # fmt: skip
    return Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id=f"{Snapshot.objects.count():064x}",
        time=timezone.now() - timedelta(days=days), **fields,
    )  # fmt: skip


def goes(database: Database) -> set[Snapshot]:
    """What the next forget would remove."""
    (seen,) = retention_preview.previews(database.repository, timezone.now())
    return {line.snapshot for line in seen.goes}


def test_a_snapshot_without_a_manifest_or_a_bad_one_proves_nothing(of_rows: Database) -> None:
    last = row(of_rows, 9, tables=("a", "b"))
    silent, bad = row(of_rows, 8, tables=None), row(of_rows, 7, tables=("a", "b"), verdict="different")
    row(of_rows, 1)

    assert goes(of_rows) == {silent, bad}
    with CaptureQueriesContext(connection) as asked:
        found = last_copies.last_copies(Snapshot.objects.all(), timezone.now())
    assert (found, len(asked)) == ({last.pk: ["b"]}, 1)


@pytest.mark.parametrize(
    "name",
    ["_orders_gho", "_orders_ghc", "_orders_del", "_orders_20260101120000_del", "_orders_new", "__orders_old",
     "orders__old", "lhma_2026_orders", "__osc_new_orders", "_vt_hld_1"],
)  # fmt: skip
def test_what_a_schema_change_leaves_is_nobodys_last_copy(of_rows: Database, name: str) -> None:
    passed = row(of_rows, 9, tables=("a", name))
    row(of_rows, 1)

    assert goes(of_rows) == {passed}
    assert not any(map(last_copies.is_in_passing, ("orders", "old", "news", "_orders", "order_new")))


def test_the_one_before_a_suspicious_one_stays_until_somebody_says_that_it_is_right(
    of_rows: Database,
) -> None:
    before, emptied = row(of_rows, 9, tables=None), row(of_rows, 8, tables=None)
    row(of_rows, 1, tables=None)
    found = Suspicion.objects.create(snapshot=emptied, database=of_rows, state=SuspicionState.OVER)

    assert goes(of_rows) == {emptied}
    Suspicion.objects.update(found_at=timezone.now() - SUSPICION_KEPT)
    assert goes(of_rows) == {before, emptied}
    Suspicion.objects.filter(pk=found.pk).update(found_at=timezone.now(), state=SuspicionState.ACCEPTED)
    assert goes(of_rows) == {before, emptied}


def test_a_series_that_splits_is_said_beforehand(of_rows: Database, settings: Settings) -> None:
    row(of_rows, 5, host="web01", made_here=False)
    twin = row(of_rows, 5, path="/mysql/Shop.sql", tags=["vedetta", "database:Shop"])
    Snapshot.objects.filter(pk=twin.pk).update(database=None)
    row(of_rows, 2)
    row(of_rows, 1, path="/mysql/shop.sql.gz")

    (seen,) = retention_preview.previews(of_rows.repository, timezone.now())

    of_host, of_name = seen.notes
    assert of_host.startswith("1 snapshot of shop is of the host web01")
    assert "is of Shop, which is not set up here" in of_name
    # Another format is no other series.
    assert len(seen.goes) == 1
    settings.BACKUP_KEEP_ALL = True
    assert goes(of_rows) == set()


def test_what_else_lies_in_the_repository_is_said_of_the_whole_alone(
    of_rows: Database, manage: Callable[..., Said], settings: Settings
) -> None:
    row(of_rows, 1)
    for _ in range(2):
        stray = row(of_rows, 5, path="/mysql/blog.sql", tags=["vedetta", "database:blog"])
        Snapshot.objects.filter(pk=stray.pk).update(database=None)
    of_nobody = "2 snapshots of databases that are not set up here stay."

    settings.BACKUP_PORTAL = True
    said = manage("retention", "--preview", "--repository", "main")
    assert said["notes"][0] == of_nobody
    assert "old copies of the portal" in said["notes"][1]
    assert of_nobody in said.err
    settings.BACKUP_PORTAL = False
    assert manage("retention", "--preview", "--repository", "main")["notes"] == [of_nobody]
    assert manage("retention", "--preview", "--database", "shop")["notes"] == []


def test_a_snapshot_that_is_to_be_pinned_is_held_before_its_row_says_so(of_rows: Database) -> None:
    """As a forget finds it whose list of the repository is newer than what the backup has noted."""
    asked = {"form": "backup", "version": 2, "pin": {"reason": WHY, "by": "anna", "until": None}}
    Run.objects.create(
        action=Action.BACKUP, trigger=Trigger.CLI, status=Status.RUNNING, database=of_rows, request=asked,
        repository=of_rows.repository, started_at=timezone.now() - timedelta(days=2, hours=1),
    )  # fmt: skip
    stored, old = row(of_rows, 2), row(of_rows, 3)
    row(of_rows, 1)

    assert goes(of_rows) == {old}
    Run.objects.update(status=Status.FAILED)
    assert goes(of_rows) == {stored, old}


def test_a_repair_that_writes_a_snapshot_anew_takes_its_pin_along(of_rows: Database) -> None:
    damaged, newest = row(of_rows, 2), row(of_rows, 1)
    Pin.objects.create(snapshot=damaged, reason=WHY, made_by="anna")
    anew = SnapshotInfo(
        "f" * 64, damaged.time, "vedetta", (damaged.path,), ("vedetta",), original=damaged.snapshot_id
    )

    there = SnapshotInfo(newest.snapshot_id, newest.time, "vedetta", (newest.path,), ("vedetta",))
    for _ in range(2):  # a second list makes no second pin
        records.snapshots_sync(of_rows.repository, [(anew, of_rows), (there, of_rows)])

    (pin,) = Pin.objects.filter(snapshot__snapshot_id=anew.id)
    assert (pin.reason, pin.made_by) == (WHY, "anna")
    assert goes(of_rows) == set()


def test_the_preview_is_honest_about_room(of_rows: Database) -> None:
    row(of_rows, 3, data_added=5_000_000)
    row(of_rows, 2)
    row(of_rows, 1)

    (seen,) = retention_preview.previews(of_rows.repository, timezone.now())

    words = retention_preview.room_words(seen.goes)
    assert words.startswith("2 snapshots would go, with 5.0 MB that was added as they were made: an estimate")
    assert words.endswith("Of 1 it is not known.")
    assert retention_preview.room_words([]) == ""
