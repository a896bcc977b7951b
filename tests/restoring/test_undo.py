"""Undoing: twice, in any order, half-way, with something missing; what can be brought back, and how."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from backups import mysql
from backups.choices import Action, RestoreMode, Status, Swap
from backups.errors import Problem, Refused
from backups.management.base import WrongUsage
from backups.management.commands import undo_restore
from backups.models import Database, Restore, Run
from backups.restoring import defining, kept_states, swap
from backups.runs import restores
from backups.worker import executor, reaper
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    again,
    content,
    databases_of,
    drop_all,
    enqueue,
    failed,
    log_of,
    make_restorable,
    replace,
    restore,
    store,
    succeeded,
    undo,
    untouched,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]


@pytest.mark.parametrize("typed", ["shop__before_3", "yes", "shop"])
def test_at_a_terminal_the_name_is_typed_of_what_is_dropped_for_good(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard, terminal = os.openpty()
    with os.fdopen(keyboard, "wb", buffering=0) as hands, os.fdopen(terminal) as screen:
        monkeypatch.setattr(sys, "stdin", screen)
        hands.write(f"{typed}\n".encode())
        kept = Restore(kept_in="shop__before_3")
        if typed == kept.kept_in:
            undo_restore._ask(kept, "shop as it was before restore 3")
        else:
            with pytest.raises(WrongUsage, match="Nothing was touched"):
                undo_restore._ask(kept, "shop as it was before restore 3")
    assert "Drops shop__before_3 for good, shop as it was before restore 3." in capsys.readouterr().err


def row(run: Run) -> Restore:
    """The restore of a run as it stands now."""
    return Restore.objects.get(run=run)


def ways(database: Database) -> list[tuple[int, bool]]:
    """The restores whose states before can be brought back, and whether they come next."""
    return [(one.restore.run_id, one.is_next) for one in kept_states.listed(database, database.database)]


# ---------------------------------------------------------------- What cannot be made again


@pytest.mark.one_flavour("mariadb")
def test_view_that_cannot_be_made_again_is_left_out_told_and_made_later(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Undone twice, this once emptied the live database."""
    shop = make_restorable(db_server, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    library = f"{shop.name}_lib"
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("INSERT INTO t VALUES (2)")
    db_server.load(f"CREATE DATABASE {library}; CREATE TABLE {library}.words (id INT PRIMARY KEY)")
    shop.execute(f"CREATE VIEW a AS SELECT t.id FROM t JOIN {library}.words x ON x.id = t.id")
    shop.execute("CREATE VIEW upon AS SELECT id FROM a; CREATE VIEW z AS SELECT id FROM t")
    later = content(db_server, shop.name)
    run = replace(database)
    db_server.execute(f"DROP DATABASE {library}")

    undone = undo(run)

    sentence = failed(undone)
    assert sentence.startswith("view a, view upon could not be made (")
    assert library in sentence
    assert f"All tables are in {shop.name}; the old ones are in {row(undone).kept_in}." in sentence
    assert "Try these again" in sentence
    assert shop.query("SELECT id FROM z ORDER BY id") == [(1,), (2,)], "what comes behind it is there"
    left = row(undone).definitions_left
    assert [one["name"] for one in left] == ["a", "upon"]
    assert f"`{library}`.`words`" in left[0]["text"]

    # The same again, which the admin does not offer, and the reaper: nothing is moved.
    tables = shop.query("SHOW TABLES")
    assert not row(run).can_be_undone
    assert failed(restore(database, RestoreMode.UNDO, undo_of=row(run))).startswith(
        "There is nothing to undo"
    )
    reaper.run()
    assert shop.query("SHOW TABLES") == tables
    with pytest.raises(Problem, match=r"is left to undo\. It is as it was before the first of them"):
        kept_states.next_undo(database, shop.name)

    # What lies upon it hides it, and once that is undone it can be made again.
    upon = replace(database)
    assert failed(again(undone, Action.DEFINE)).startswith("There is nothing left to make now")
    succeeded(undo(upon))
    assert kept_states.may_define_again(row(undone))

    # Tried too early it says the same, with the library there it makes them.
    assert failed(again(undone, Action.DEFINE)).startswith("view a, view upon could not be made (")
    db_server.load(f"CREATE DATABASE {library}; CREATE TABLE {library}.words (id INT PRIMARY KEY)")
    made = succeeded(again(undone, Action.DEFINE))
    assert made.result["sentence"] == f"Made in {shop.name}: view a, view upon."
    assert content(db_server, shop.name) == later
    assert failed(again(undone, Action.DEFINE)).startswith("There is nothing left to make now")
    db_server.execute(f"DROP DATABASE {library}")
    drop_all(shop)


# tests/restoring/test_broken_views.py has it on MariaDB.
@pytest.mark.soak
def test_view_of_the_live_database_that_lost_its_table_is_not_in_the_way(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """In the very case in which one restores."""
    shop = make_restorable(
        db_server,
        "CREATE TABLE orders (id INT PRIMARY KEY); INSERT INTO orders VALUES (1), (2);"
        "CREATE TABLE customers (id INT PRIMARY KEY);"
        "CREATE VIEW totals AS SELECT COUNT(*) AS n FROM orders; CREATE VIEW above AS SELECT n FROM totals",
    )
    database = make_database(shop)
    succeeded(back_up(database))
    was = content(db_server, shop.name)
    shop.execute("DROP TABLE orders")

    run = replace(database, tables=["orders"])
    assert content(db_server, shop.name) == was
    assert "read what is not there, and are kept as text: above, totals" in log_of(run)

    shop.execute("DROP TABLE orders")
    run = replace(database)
    assert content(db_server, shop.name) == was

    succeeded(undo(run))
    assert shop.query("SHOW TABLES") == [("above",), ("customers",), ("totals",)]
    drop_all(shop)


# Above, a view that cannot be made again is left out, told and made later.
@pytest.mark.soak
def test_broken_off_before_the_rename_a_view_that_reads_what_is_gone_stays(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be made again, so it is not taken down."""
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("CREATE TABLE gone (id INT); CREATE VIEW lost AS SELECT id FROM gone; DROP TABLE gone")
    triggers = shop.query("SHOW TRIGGERS")

    def refused(*_: Any) -> None:
        raise mysql.MySQLProblem("The tables cannot be moved.")

    monkeypatch.setattr("backups.mysql.rename_tables", refused)
    run = restore(database, RestoreMode.REPLACE, without_safety=True)

    assert failed(run).startswith("The tables cannot be moved.")
    assert f"{shop.name} is wholly as it was before." in log_of(run)
    assert ("lost",) in [one[:1] for one in shop.query("SHOW FULL TABLES WHERE TABLE_TYPE = 'VIEW'")]
    assert [one[0] for one in shop.query("SHOW TRIGGERS")] == [one[0] for one in triggers]
    assert row(run).swap == Swap.ROLLED_BACK


# ---------------------------------------------------------------- One by one


@pytest.mark.one_flavour("mysql")
def test_definitions_are_made_one_by_one_whatever_their_order(db_server: DatabaseServer) -> None:
    """One that cannot be made stops none, and leaves the database's own defaults as they were."""
    shop = make_restorable(db_server, "CREATE TABLE t (id INT PRIMARY KEY)")
    server = mysql.Server(db_server.host, db_server.port, shop.user, shop.password)
    with mysql.connect(server) as connection:
        defaults = mysql.database_defaults(connection, shop.name)
    bad = (
        "ALTER DATABASE `` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;\n"
        "CREATE TRIGGER broken BEFORE INSERT ON nowhere FOR EACH ROW SET NEW.id = 1;\n"
        "ALTER DATABASE `` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ;\n"
    )
    # As the version before wrote them down: placeholders, no fifth field; and one with what may come.
    told = [
        ["header", "", "", "/*!40101 SET NAMES utf8mb4 */;\n"],
        ["view placeholder", "t", "", "DROP TABLE IF EXISTS `t`;\nCREATE VIEW `t` AS SELECT 1 AS `id`;\n"],
        ["trigger", "broken", "nowhere", bad],
        ["view", "a", "", "CREATE VIEW a AS SELECT id FROM b;\n"],
        ["view", "b", "", "CREATE VIEW b AS SELECT id FROM c;\n", "more", 7],
        ["view", "c", "", "CREATE VIEW c AS SELECT id FROM t;\n"],
        ["footer", "", "", "SELECT 1;\n"],
    ]
    packed = zlib.compress(json.dumps(told).encode())

    written = defining.WrittenDown(packed, shop.name)
    left = defining.apply(written, defining.Target(server, shop.name), tick=lambda: None)

    assert [(one["kind"], one["name"], one["table"]) for one in left] == [("trigger", "broken", "nowhere")]
    assert "nowhere" in left[0]["why"]
    assert left[0]["text"] == bad
    assert [name for (name,) in shop.query("SHOW TABLES")] == ["a", "b", "c", "t"]
    with mysql.connect(server) as connection:
        assert mysql.database_defaults(connection, shop.name) == defaults
    drop_all(shop)


# ---------------------------------------------------------------- One upon the other


# tests/restoring/test_kills.py undoes two restores, and whoever does so dies.
@pytest.mark.soak
def test_undone_twice_it_is_what_it_was_before_the_first_restore(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("CREATE TABLE first_original (id INT)")
    original = content(shop.server, shop.name)
    first = replace(database)
    shop.execute("CREATE TABLE between_both (id INT)")
    between = content(shop.server, shop.name)
    second = replace(database)
    restored = content(shop.server, shop.name)
    assert ways(database) == [(second.pk, True), (first.pk, False)]
    told = failed(again(first, Action.DROP_KEPT))
    assert f"Restore {second.pk} of {shop.name} is newer and can still be undone" in told

    undone = succeeded(undo(kept_states.next_undo(database, shop.name).run))
    assert content(shop.server, shop.name) == between
    assert ways(database) == [(undone.pk, False), (first.pk, True)]
    undone_twice = succeeded(undo(kept_states.next_undo(database, shop.name).run))
    assert content(shop.server, shop.name) == original
    with pytest.raises(Problem, match="is left to undo"):
        kept_states.next_undo(database, shop.name)

    # What the undos took away is listed, and comes back by its number.
    assert ways(database) == [(undone_twice.pk, False), (undone.pk, False)]
    redone = succeeded(undo(undone))
    assert content(shop.server, shop.name) == restored
    assert kept_states.next_undo(database, shop.name) == row(redone)
    succeeded(undo(redone))
    assert content(shop.server, shop.name) == original


def test_older_restore_is_undone_by_name_over_newer_ones(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("CREATE TABLE first_original (id INT)")
    original = content(shop.server, shop.name)
    first = replace(database)
    single = replace(database, tables=["journal"])
    second = replace(database)

    with pytest.raises(Problem) as refused:
        undo(single)
    newer = f"Restore {second.pk} of {shop.name} is newer and has these tables as well"
    assert newer in refused.value.sentence()
    succeeded(undo(first))
    assert content(shop.server, shop.name) == original
    # The others went with it: nothing of them comes back without being asked for.
    with pytest.raises(Problem, match="is left to undo"):
        kept_states.next_undo(database, shop.name)
    assert {one for one, _ in ways(database)} >= {second.pk, single.pk}


# Above, an older restore is undone by its name alone, and newer ones are told.
@pytest.mark.soak
def test_restore_in_place_on_top_is_not_undone_by_undoing_an_older_one(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("DELETE FROM journal")
    original = content(shop.server, shop.name)
    first = replace(database)
    in_place = succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=first.restore.snapshot))

    with pytest.raises(Problem) as refused:
        kept_states.next_undo(database, shop.name)

    saved = row(in_place).safety_snapshot
    assert saved is not None
    sentence = refused.value.sentence()
    assert f"The newest restore of {shop.name}, {in_place.pk}, was in place" in sentence
    assert f"manage.py restore --snapshot {saved.short_id} --replace" in sentence
    assert f"manage.py undo_restore --restore {first.pk}" in sentence
    succeeded(undo(first))
    assert content(shop.server, shop.name) == original


# tests/snapshots/test_forget.py keeps it, as long as it is held.
@pytest.mark.soak
def test_first_safety_snapshot_is_held_while_a_newer_restore_can_be_undone(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    first = succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=snapshot))
    second = replace(database, snapshot=snapshot)
    saved = row(first).safety_snapshot

    held = [
        (one.pk, older.run_id, newer.run_id) for one, older, newer in kept_states.held_snapshots(database)
    ]
    assert saved is not None
    assert held == [(saved.pk, first.pk, second.pk)]

    succeeded(again(second, Action.DROP_KEPT))
    assert list(kept_states.held_snapshots(database)) == []


# ---------------------------------------------------------------- Half-way, or with something missing


def test_nothing_begins_while_a_swap_of_the_same_target_is_half_way(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    run = replace(database)
    waiting = enqueue(database, RestoreMode.REPLACE, without_safety=True)
    restores.restore_note(row(run), swap=Swap.RENAMED)

    with untouched(shop):
        for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
            with pytest.raises(Refused):
                enqueue(database, mode)
        # One that was asked for before the other broke off.
        played = executor.execute(waiting.pk, send_follow_ups=False)
        assert played is not None
        assert "was broken off and is not ended yet" in failed(played)
        assert "was broken off" in failed(again(run, Action.DROP_KEPT))
        assert not row(run).can_be_undone
    reaper.run()
    assert row(run).swap == Swap.FINISHED
    succeeded(undo(run))


@pytest.mark.parametrize(
    "harm", ["emptied", *(pytest.param(e, marks=pytest.mark.soak) for e in ("a table less", "dropped"))]
)
def test_kept_tables_that_are_not_all_there_never_go_in(
    harm: str, mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    run = replace(database)
    kept = row(run).kept_in
    do = {
        "emptied": f"DROP DATABASE `{kept}`; CREATE DATABASE `{kept}`",
        "a table less": f"DROP TABLE `{kept}`.journal",
        "dropped": f"DROP DATABASE `{kept}`",
    }
    shop.server.execute(do[harm])

    with untouched(shop):
        told = failed(undo(run))

    if harm == "dropped":
        assert told.startswith(f"{kept} is not there any more, so there is nothing to go back to.")
        assert f"To take restore {run.pk} off that list, drop its kept tables." in told
        succeeded(again(run, Action.DROP_KEPT))
        assert ways(database) == []
    else:
        held = 0 if harm == "emptied" else 2
        assert told.startswith(f"{kept} holds {held} tables, and restore {run.pk} kept 3")


# Above, kept tables that are not all there never go in.
@pytest.mark.soak
@pytest.mark.parametrize("at", ["whole", pytest.param("a table less", marks=pytest.mark.soak)])
def test_tables_that_vanish_before_the_rename_leave_the_live_ones_in_their_place(
    at: str,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever does that, and however it comes about."""
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("INSERT INTO journal (what) VALUES ('of now')")
    prepare = swap._prepare

    def and_lose(restore: Restore, place: mysql.ProbedServer) -> None:
        prepare(restore, place)
        shop.server.execute(f"SET foreign_key_checks = 0; DROP TABLE `{restore.incoming}`.orders")
        if at == "whole":
            shop.server.execute(f"DROP TABLE `{restore.incoming}`.customers, `{restore.incoming}`.journal")

    monkeypatch.setattr(swap, "_prepare", and_lose)
    with untouched(shop):
        told = failed(restore(database, RestoreMode.REPLACE, without_safety=True))
    other = "does not hold the tables that should be swapped in, as orders is missing"
    assert (
        f"The restore would bring no table into {shop.name}, and take 3 out of it."
        if at == "whole"
        else other
    ) in told


def test_dump_that_holds_nothing_and_no_manifest_empties_no_database(
    mariadb_shop: Shop, make_database: MakeDatabase, repository: object
) -> None:
    """Another program's file, of which nobody knows that it should be empty."""
    shop = mariadb_shop
    database = make_database(shop)
    snapshot = store(database, b"-- MariaDB dump\n/*!40101 SET NAMES utf8mb4 */;\n-- Dump completed\n")

    with untouched(shop):
        run = restore(database, RestoreMode.REPLACE, snapshot=snapshot, without_safety=True)

    assert run.status == Status.FAILED
    assert "holds nothing to restore: The file holds no table, no row and no definition." in run.error


def test_table_that_is_otherwise_after_the_swap_is_told(
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a server did with foreign keys that had lost their parent."""
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    rename = mysql.rename_tables

    def and_alter(connection: Any, moves: Any) -> None:
        rename(connection, moves)
        mysql.execute(connection, f"ALTER TABLE `{shop.name}`.journal COMMENT = 'otherwise'")

    with monkeypatch.context() as patch:
        patch.setattr("backups.mysql.rename_tables", and_alter)
        run = restore(database, RestoreMode.REPLACE, without_safety=True)

    assert failed(run).startswith("After the swap these tables are not defined as they were loaded: journal.")
    assert f"All tables are in {shop.name}; the old ones are in {row(run).kept_in}." in run.error
    succeeded(undo(run))


# Below, the reaper tells once of what cannot be ended.
@pytest.mark.soak
def test_target_that_somebody_dropped_keeps_nobody_trying(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    before = content(shop.server, shop.name)
    run = replace(database)
    restores.restore_note(row(run), swap=Swap.RENAMED)
    shop.server.execute(f"DROP DATABASE `{shop.name}`")

    reaper.run()

    run.refresh_from_db()
    assert f"{shop.name} is not there any more, and the restored tables are gone with it" in run.error
    assert row(run).is_settled
    assert f"CREATE DATABASE `{shop.name}`" in failed(undo(run))
    shop.server.create_database(shop.name)
    # It has nothing to give in its turn.
    succeeded(undo(run))
    assert content(shop.server, shop.name) == before


def test_worker_that_dies_is_followed_by_the_reaper_which_leaves_out_what_cannot_be_made(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, it tried the same view again each minute, for ever."""
    shop = mariadb_shop
    library = f"{shop.name}_lib"
    database = make_database(shop)
    succeeded(back_up(database))
    shop.server.load(f"CREATE DATABASE {library}; CREATE TABLE {library}.words (id INT PRIMARY KEY)")
    shop.execute(f"CREATE VIEW w AS SELECT x.id FROM {library}.words x")
    run = replace(database)
    shop.server.execute(f"DROP DATABASE {library}")
    queued = enqueue(database, RestoreMode.UNDO, snapshot=run.restore.snapshot, undo_of=row(run))

    def dies(*_: Any, **__: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, suppress(SystemExit):
        patch.setattr(swap, "_finish", dies)
        patch.setattr(swap, "_end_now", dies)
        executor.execute(queued.pk, send_follow_ups=False)
    Run.objects.filter(pk=queued.pk).update(status=Status.LOST)
    assert row(queued).swap == Swap.RENAMED

    reaper.run()

    queued.refresh_from_db()
    assert "view w could not be made (" in queued.error
    assert f"{shop.name} has the new tables" in queued.error
    assert row(queued).is_settled
    error = queued.error
    reaper.run()
    queued.refresh_from_db()
    assert queued.error == error, "it is told once"
    assert databases_of(shop) == [shop.name, row(queued).kept_in]


# ---------------------------------------------------------------- On the command line


def test_states_on_the_command_line(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    """Listed with way and end; what is dropped is named; nothing is dropped where several are meant."""
    shop = mariadb_shop
    portal = make_portal(shop)
    assert portal.backup().code == 0
    replace_it = (
        "restore",
        "--snapshot",
        "latest",
        "--replace",
        "--yes",
        "--without-safety-backup",
        "--json",
    )
    first = portal.manage(*replace_it).json["run_id"]
    second = portal.manage(*replace_it).json["run_id"]

    listed = portal.manage("undo_restore", "--list", "--json").json["states"]
    until = "until somebody drops its kept tables; nothing drops them by itself"
    assert [(one["restore"], one["way"], one["end"], one["next"]) for one in listed] == [
        (second, "manage.py undo_restore", until, True),
        (first, f"manage.py undo_restore --restore {first}", until, False),
    ]
    several = portal.manage("undo_restore", "--drop", "--json")
    assert several.code == 1
    assert f"--restore {first}" in several.json["error"]
    dropped = portal.manage("undo_restore", "--drop", "--yes", "--restore", str(second), "--json")
    assert dropped.json["dropped"] == f"{shop.name}__before_{second}"
    assert f"as it was before restore {second} of" in dropped.json["state"]

    # The newest keeps nothing any more: an older one is undone by its number alone.
    refused = portal.manage("undo_restore", "--json")
    assert refused.code == 1
    assert (
        f"The tables that the newest restore of {shop.name}, {second}, kept are gone."
        in refused.json["error"]
    )
    assert portal.manage("undo_restore", "--restore", str(first), "--json").code == 0
    assert portal.manage("undo_restore", "--restore", "999", "--json").code == 1
    complete = portal.manage("undo_restore", "--try-again", "--json")
    assert complete.code == 1
    assert "There is nothing to make." in complete.json["error"]
    assert portal.manage("undo_restore", "--try-again", "--drop").code == 2
