"""What a restore is aimed at: targets that fit modes, snapshots that fit targets, what `latest` means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups import validators
from backups.actions.steps.loaded import loaded_words
from backups.choices import SAFETY_TAG, Action, RestoreMode, Status, Trigger
from backups.errors import Problem
from backups.models import Database, Repository, Restore, Run, Snapshot
from backups.requests import Asker, RestoreRequest
from backups.restoring import plan as restore_plan
from backups.restoring.plan import plan
from backups.snapshots import selection
from backups.worker import executor
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop
from tests.restoring.stories import enqueue, failed, restore, succeeded, untouched
from tests.rows import a_server

NOW = timezone.now()
BackUp = Callable[[Database], Run]


@pytest.fixture
def database(db: None) -> Database:
    repository = Repository.objects.create(name="main", url="/srv/repository")
    return Database.objects.create(
        name="shop", server=a_server(), database="shop", repository=repository, is_primary=True
    )


def snapshot(of: Database, snapshot_id: str, hours_ago: float, **fields: object) -> Snapshot:
    return Snapshot.objects.create(
        **{
            "database": of,
            "repository": of.repository,
            "snapshot_id": snapshot_id.ljust(64, "0"),
            "time": NOW - timedelta(hours=hours_ago),
            "path": "/mysql/shop.sql",
            **fields,
        }
    )


# ---------------------------------------------------------------- Targets and snapshots, whoever asks


@pytest.mark.parametrize("mode", [mode for mode in RestoreMode if mode != RestoreMode.UNDO])
@pytest.mark.parametrize("target", ["", "  "])
def test_no_mode_takes_an_empty_target(database: Database, mode: RestoreMode, target: str) -> None:
    with pytest.raises(Problem, match="No target was given"):
        enqueue(database, mode, snapshot=snapshot(database, "a", 1), target=target)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("mode", "target", "told"),
    [
        (RestoreMode.REPLACE, "other", "works only on shop itself, which is shop, not on other"),
        (RestoreMode.IN_PLACE, "shop_copy", "works only on shop itself"),
        (RestoreMode.NEW, "mysql", "the server's own"),
        (RestoreMode.NEW, "x" * 65, "It has 65 characters, and a database's name may have 64"),
        (RestoreMode.UNDO, "shop", "An undo goes to the same database"),
    ],
)
def test_a_target_that_does_not_fit_its_mode_is_refused(
    database: Database, mode: RestoreMode, target: str, told: str
) -> None:
    with pytest.raises(Problem, match=told):
        enqueue(database, mode, snapshot=snapshot(database, "a", 1), target=target)
    assert not Run.objects.exists()


def test_a_forgotten_snapshot_is_refused(database: Database) -> None:
    gone = snapshot(database, "a", 1, forgotten_at=NOW)
    with pytest.raises(Problem, match="was forgotten"):
        enqueue(database, RestoreMode.NEW, snapshot=gone, target="shop_copy")


OF_OTHER = [
    pytest.param({"path": "/mysql/other.sql"}, id="by its path, as the old scripts have it"),
    pytest.param({"path": "/mysql/shop.sql", "manifest": {"database": "other"}}, id="by its manifest"),
]


@pytest.mark.parametrize("of_other", OF_OTHER)
@pytest.mark.parametrize("mode", [RestoreMode.REPLACE, RestoreMode.IN_PLACE])
def test_a_database_is_overwritten_from_another_one_only_where_both_are_named(
    database: Database, mode: RestoreMode, of_other: dict[str, object]
) -> None:
    others = snapshot(database, "a", 1, **of_other)

    def begin(across: tuple[str, str] | None) -> Run:
        wanted = RestoreRequest(database, others, mode, "shop", across=across)
        return wanted.submit(Asker(Trigger.CLI), send=False)

    for unfit in (None, ("shop", "other"), ("other", "other"), ("", "shop")):
        with pytest.raises(Problem, match="is of other, and would overwrite shop") as raised:
            begin(unfit)
        assert "--across other shop" in str(raised.value)
    assert not Run.objects.exists()
    assert begin(("other", "shop")).restore.target == "shop"


def test_an_adopted_snapshot_under_another_row_name_is_its_own(database: Database) -> None:
    Database.objects.update(name="orders tracker")
    database.refresh_from_db()
    for number, path in enumerate(("/mysql/shop.sql", "/mysql/shop.sql.gz", "/var/backups/shop.sql")):
        adopted = snapshot(database, f"a{number}", number, path=path)
        wanted = RestoreRequest(database, adopted, RestoreMode.REPLACE, "shop")
        wanted.submit(Asker(Trigger.CLI), send=False)
        Run.objects.update(status=Status.CANCELLED)


def test_a_queued_restore_whose_database_became_another_touches_nothing(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """As an edit of the row, or a row that something else made, would have it."""
    database = make_database(mariadb_shop)
    succeeded(back_up(database))
    run = enqueue(database, RestoreMode.IN_PLACE, without_safety=True)
    Restore.objects.update(target="elsewhere")

    with untouched(mariadb_shop):
        played = executor.execute(run.pk, send_follow_ups=False)
    assert played is not None
    assert "not on elsewhere" in failed(played)


# ---------------------------------------------------------------- latest


def safety(database: Database, how: str) -> Snapshot:
    """A copy that a restore made an hour ago, told as such in one of the ways."""
    if how == "tag":
        return snapshot(database, "5afe", 1, tags=["vedetta", "database:shop", SAFETY_TAG])
    run = Run.objects.create(
        action=Action.BACKUP, database=database, repository=database.repository,
        trigger=Trigger.RESTORE if how == "run" else Trigger.CLI,
    )  # fmt: skip
    saved = snapshot(database, "5afe", 1, made_by=run)
    if how == "row":
        of = Run.objects.create(
            action=Action.RESTORE, database=database, repository=database.repository, trigger=Trigger.CLI,
            status=Status.FAILED,
        )  # fmt: skip
        Restore.objects.create(
            run=of, database=database, snapshot=saved, mode="replace", target="shop", safety_snapshot=saved
        )
    return saved


@pytest.mark.parametrize("how", ["tag", "run", "row"])
def test_latest_and_a_time_are_backups_and_not_what_was_saved_before_a_restore(
    database: Database, how: str
) -> None:
    backup, saved = snapshot(database, "bacc", 2), safety(database, how)

    assert selection.newest(database) == backup
    assert selection.resolve_snapshot(database, "latest") == backup
    assert selection.snapshot_at(database, NOW) == backup
    assert selection.newer_safety_copy(backup) == saved
    assert selection.newer_safety_copy(backup, until=NOW - timedelta(hours=1.5)) is None
    assert selection.resolve_snapshot(database, "5afe") == saved

    later = snapshot(database, "facc", 0.5)
    assert selection.resolve_snapshot(database, "latest") == later
    assert selection.newer_safety_copy(later) is None


def test_where_there_are_only_safety_copies_they_are_named(database: Database) -> None:
    safety(database, "tag")
    for ask in (
        lambda: selection.resolve_snapshot(database, "latest"),
        lambda: selection.snapshot_at(database, NOW),
    ):
        with pytest.raises(Problem, match=r"made before restores\. The newest of these is 5afe0000"):
            ask()


def test_the_preview_tells_of_safety_copies(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_plan, "_look_at_server", lambda *_: None)
    backup, saved = snapshot(database, "bacc", 2), safety(database, "tag")

    def warned(chosen: Snapshot) -> str:
        return " ".join(plan(database, chosen, mode=RestoreMode.REPLACE, target="shop").warnings)

    assert "Snapshot 5afe0000 is newer. It was saved before a restore" in warned(backup)
    assert "holds the state that the restore should repair" in warned(saved)
    assert "saved before a restore" not in warned(snapshot(database, "facc", 0.5))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("portal", "c0ffee is a copy of the portal, not of shop."),
        ("other", "Snapshot c0ffee is of other (in repository elsewhere), not of shop. Say --database other"),
        ("nobody", "Snapshot c0ffee is of photos, which is not set up here, not of shop."),
        ("forgotten", "Snapshot c0ffee of shop was forgotten."),
    ],
)
def test_an_id_that_is_none_of_its_snapshots_is_told_by_what_it_is(
    database: Database, made: str, told: str
) -> None:
    elsewhere = Repository.objects.create(name="elsewhere", url="/srv/other")
    other = Database.objects.create(name="other", server=a_server(), database="other", repository=elsewhere)
    if made == "portal":
        Run.objects.create(
            action=Action.PORTAL, repository=elsewhere, trigger=Trigger.CLI,
            result={"snapshot_id": "c0ffee".ljust(64, "1")},
        )  # fmt: skip
    else:
        fields: dict[str, object] = {
            "other": {"database": other, "repository": elsewhere},
            "nobody": {"database": None, "path": "/mysql/photos.sql"},
            "forgotten": {"forgotten_at": NOW},
        }[made]  # type: ignore[assignment]
        snapshot(database, "c0ffee", 1, **fields)
    with pytest.raises(Problem) as raised:
        selection.resolve_snapshot(database, "c0ffee")
    assert str(raised.value).startswith(told)


# Below, one that is not whole.
@pytest.mark.soak
def test_where_a_pack_is_gone_the_newest_verified_one_is_named(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, tmp_path: Path
) -> None:
    database = make_database(mariadb_shop)
    first, second = (succeeded(back_up(database)).snapshot for _ in range(2))
    assert first is not None
    Snapshot.objects.filter(pk=first.pk).update(verified_at=NOW)
    for pack in (Path(database.repository.url) / "data").glob("*/*"):
        pack.unlink()

    with untouched(mariadb_shop):
        error = failed(restore(database, RestoreMode.FILE, snapshot=second, target=str(tmp_path / "out")))

    assert f"The newest verified one is {first.short_id} from " in error


def test_after_a_failed_restore_latest_is_the_backup_again_and_the_verified_one_is_named(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(mariadb_shop)
    proved = portal.backup().json["snapshot_id"]
    # A forged dump: what is read is not what was backed up.
    portal.shell(
        "from django.utils import timezone; from backups.models import *;"
        "from tests.restoring.stories import store, stored;"
        "Snapshot.objects.update(verified_at=timezone.now());"
        "store(Database.objects.get(), stored(Snapshot.objects.get()).replace(b'Ada', b'Bda'))"
    )
    forged = portal.snapshots()[-1]["id"]
    said = f"Snapshot {forged[:8]} is damaged: what it holds is not what was backed up."

    with untouched(mariadb_shop):
        ran = portal.manage("restore", "--snapshot", "latest", "--replace", "--yes", "--json")
    assert (ran.code, said in ran.json["error"]) == (1, True)
    assert f"The newest verified one is {proved[:8]} from " in ran.json["error"]
    saved = portal.snapshots()[-1]
    assert SAFETY_TAG in saved["tags"]

    # In a portal that was rebuilt from the repository the tag tells it.
    portal.shell(
        "from backups.models import *; Restore.objects.all().delete(); Snapshot.objects.update(made_by=None)"
    )
    again = portal.manage("restore", "--snapshot", "latest", "--into", f"{mariadb_shop.name}_x", "--json")
    assert (again.code, said in again.json["error"]) == (1, True)
    assert f"Snapshot {saved['id'][:8]} of" in again.err
    assert "is newer and was not taken" in again.err
    proof = portal.manage("verify", "--json")
    assert proof.json["snapshot_id"] == forged
    assert proof.json["newer_safety_snapshot"] == saved["id"]


# ---------------------------------------------------------------- What is said to have been loaded


HELD = {"table": ["customers", "orders", "parcels"], "view": ["totals"]}


@pytest.mark.parametrize(
    ("tables", "known", "loaded", "told"),
    [
        ([], True, HELD, "All that the snapshot holds was loaded."),
        (
            [], True, {"table": HELD["table"]},
            "All other that the snapshot holds was loaded. Left out, as told above: view totals.",
        ),
        (["orders"], True, {"table": ["orders"]}, "1 of the 3 tables was loaded, as asked: orders."),
        (
            ["customers", "orders"], True, {"table": ["customers", "orders"]},
            "2 of the 3 tables were loaded, as asked: customers, orders.",
        ),
        (
            ["orders"], False, {"table": ["orders"]},
            "Of the snapshot only what was asked for was loaded: orders.",
        ),
    ],
)  # fmt: skip
def test_what_was_loaded_is_said_and_no_more(
    database: Database, tables: list[str], known: bool, loaded: dict[str, list[str]], told: str
) -> None:
    of = snapshot(database, "a", 1, manifest={"inventory": HELD} if known else None)
    one = Restore(database=database, snapshot=of, tables=tables, target="copy")
    assert loaded_words(one, loaded if tables else HELD, loaded) == told


def test_names_of_databases_themselves_may_still_look_like_ours() -> None:
    validators.schema_name("shop__before_99")
    validators.target_name("shop__before_noon")
    validators.target_name("shop__before_9_copy")
