"""Replacing a live database and the way back, on real servers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import MySQLdb
import pytest

from backups.choices import Action, RestoreMode, Trigger
from backups.models import Database, Restore, Run
from backups.mysql import session
from backups.worker import reaper
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import SHOP, Shop
from tests.restoring.stories import (
    LATER,
    again,
    content,
    databases_of,
    drop_all,
    failed,
    log_of,
    make_restorable,
    replace,
    restore,
    stored,
    succeeded,
    undo,
    untouched,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]


def rows_of(shop: Shop, database: str, sql: str) -> list[tuple[object, ...]]:
    return shop.server.query(sql, database)


# ---------------------------------------------------------------- There and back


@pytest.mark.one_flavour("mariadb")
def test_what_was_written_after_the_snapshot_is_kept_twice_and_comes_back(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    was = content(shop.server, shop.name)
    snapshot = succeeded(back_up(database)).snapshot
    shop.server.load(LATER, shop.name)
    later = content(shop.server, shop.name)

    run = succeeded(restore(database, RestoreMode.REPLACE, snapshot=snapshot))

    # Tables, views, triggers, routines and events are the snapshot's, all of them.
    assert content(shop.server, shop.name) == was
    kept = run.restore.kept_in
    assert databases_of(shop) == [shop.name, kept]
    assert rows_of(shop, kept, "SELECT note FROM orders WHERE customer = 3") == [
        ("written after the snapshot",)
    ]
    assert rows_of(shop, kept, "SELECT id FROM parcels") == [(7,)]
    saved = run.restore.safety_snapshot
    assert saved is not None
    assert saved.made_by is not None
    assert (saved.made_by.parent, saved.made_by.trigger) == (run, Trigger.RESTORE)
    assert b"written after the snapshot" in stored(saved)
    phases = [phase["name"] for phase in run.phases]
    assert phases == ["preflight", "safety backup", "load", "check", "prepare", "swap"]
    told = {row.pop("table"): row for row in run.result["rows"]}
    assert told == {
        "customers": {"before": 3, "after": 3}, "orders": {"before": 4, "after": 3},
        "journal": {"before": 1, "after": 0}, "parcels": {"before": 1},
    }  # fmt: skip
    assert run.result["kept_bytes"] > 0

    undone = succeeded(undo(run))
    assert content(shop.server, shop.name) == later
    assert {"table": "parcels", "after": 1} in undone.result["rows"]
    assert {"table": "orders", "before": 3, "after": 4} in undone.result["rows"]
    assert databases_of(shop) == [shop.name, undone.restore.kept_in]

    redone = succeeded(undo(undone))
    assert content(shop.server, shop.name) == was
    assert databases_of(shop) == [shop.name, redone.restore.kept_in]
    assert not undone.restore.__class__.objects.get(pk=undone.restore.pk).can_be_undone


# tests/restoring/test_commands.py drops what was kept.
@pytest.mark.soak
def test_dropping_what_was_kept_frees_it_and_ends_the_way_back(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    back_up(database)
    run = replace(database)
    now = content(shop.server, shop.name)

    dropped = succeeded(again(run, Action.DROP_KEPT))

    assert dropped.result["freed"] > 0
    assert dropped.result["sentence"].startswith(f"{run.restore.kept_in} was dropped, which freed about")
    assert databases_of(shop) == [shop.name]
    dropped_restore = Restore.objects.get(pk=run.restore.pk)
    sentence = failed(restore(database, RestoreMode.UNDO, undo_of=dropped_restore))
    assert sentence.startswith(
        "There is nothing to undo: the tables from before the restore are not kept any more."
    )
    assert failed(again(run, Action.DROP_KEPT)).startswith("This restore keeps no tables.")
    assert content(shop.server, shop.name) == now


# tests/restoring/test_undo.py has some that were emptied.
@pytest.mark.soak
def test_kept_tables_that_somebody_dropped_are_told(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    back_up(database)
    run = replace(database)
    shop.server.execute(f"DROP DATABASE `{run.restore.kept_in}`")

    with untouched(shop):
        sentence = failed(undo(run))

    assert f"{run.restore.kept_in} is not there any more" in sentence
    assert f"{shop.name} was not touched." in sentence


# tests/keeping/test_suspicions.py has one replaced that was emptied, with a backup before.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_empty_database_is_replaced_and_had_back(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """After a disaster there may be nothing but the name."""
    database = make_database(shop)
    was = content(shop.server, shop.name)
    back_up(database)
    shop.server.create_database(shop.name)
    empty = content(shop.server, shop.name)

    run = replace(database)
    assert content(shop.server, shop.name) == was

    undone = succeeded(undo(run))
    assert content(shop.server, shop.name) == empty
    succeeded(undo(undone))
    assert content(shop.server, shop.name) == was


# Above, the live one is the empty one.
@pytest.mark.soak
def test_snapshot_of_an_empty_database_replaces_too(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    was = content(shop.server, shop.name)
    shop.server.execute(f"CREATE DATABASE `{shop.name}_full`")
    shop.server.create_database(shop.name)
    empty = content(shop.server, shop.name)
    back_up(database)
    shop.server.load(SHOP, shop.name)
    full = content(shop.server, shop.name)
    assert len(full) == len(was)

    run = replace(database)
    assert content(shop.server, shop.name) == empty
    succeeded(undo(run))
    assert content(shop.server, shop.name) == full


def test_database_that_is_not_there_is_not_replaced(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    back_up(database)
    shop.server.execute(f"DROP DATABASE `{shop.name}`")

    sentence = failed(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert sentence.startswith(f"There is no database {shop.name} to replace.")
    assert databases_of(shop) == []


# ---------------------------------------------------------------- Tables that are more than tables


def test_view_and_table_of_the_same_name_change_places(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    shop.execute("CREATE TABLE totals (id INT); INSERT INTO totals VALUES (5)")
    was = content(shop.server, shop.name)
    back_up(database)
    shop.execute("DROP TABLE totals; CREATE VIEW totals AS SELECT COUNT(*) AS id FROM orders")
    shop.execute("DROP VIEW open_orders; CREATE TABLE open_orders (id INT, name INT)")
    later = content(shop.server, shop.name)

    run = replace(database)
    assert content(shop.server, shop.name) == was

    succeeded(undo(run))
    assert content(shop.server, shop.name) == later


# Above, both change places in a whole database.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_chosen_table_that_is_a_view_now(shop: Shop, make_database: MakeDatabase, back_up: BackUp) -> None:
    """The view gives way to the table, and is there again when the restore is undone."""
    database = make_database(shop)
    shop.execute("CREATE TABLE totals (id INT); INSERT INTO totals VALUES (5)")
    back_up(database)
    shop.execute("DROP TABLE totals; CREATE VIEW totals AS SELECT COUNT(*) AS id FROM orders")
    later = content(shop.server, shop.name)

    run = replace(database, tables=["totals"])
    assert shop.query("SELECT * FROM totals") == [(5,)]

    succeeded(undo(run))
    assert content(shop.server, shop.name) == later


ODD = """
CREATE TABLE a (id INT PRIMARY KEY, b INT, own INT, KEY (b),
  CONSTRAINT own FOREIGN KEY (own) REFERENCES a (id));
CREATE TABLE b (id INT PRIMARY KEY, a INT, CONSTRAINT to_a FOREIGN KEY (a) REFERENCES a (id));
ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b (id);
INSERT INTO a VALUES (1, NULL, 1);
INSERT INTO b VALUES (1, 1);
UPDATE a SET b = 1;
CREATE TABLE old_engine (id INT PRIMARY KEY, t VARCHAR(9), FULLTEXT (t)) ENGINE = MyISAM;
INSERT INTO old_engine VALUES (1, 'x');
CREATE TABLE parts (id INT NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id)
  (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1), (50);
CREATE TABLE `names; of \"all\" 'sorts' ü` (id INT);
"""
ODD_MARIADB = """
CREATE SEQUENCE numbers START WITH 100;
CREATE TABLE drawn (id BIGINT PRIMARY KEY DEFAULT (nextval(numbers)), t INT);
INSERT INTO drawn (t) VALUES (1), (2);
CREATE TABLE versioned (id INT PRIMARY KEY, t INT) WITH SYSTEM VERSIONING;
INSERT INTO versioned VALUES (1, 1);
UPDATE versioned SET t = 2;
"""


@pytest.fixture
def odd_shop(db_server: DatabaseServer) -> Shop:
    """Foreign keys in a circle, old engines, partitions, sequences, a history."""
    more = ODD_MARIADB if db_server.flavour == "mariadb" else ""
    return make_restorable(db_server, ODD + more)


# tests/restoring/test_kinds.py has each kind of table swapped and had back.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_odd_tables_are_swapped_and_had_back(
    odd_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = odd_shop
    is_mariadb = shop.server.flavour == "mariadb"
    database = make_database(shop)
    was = content(shop.server, shop.name)
    succeeded(back_up(database))
    shop.execute("INSERT INTO a VALUES (2, 1, 1); INSERT INTO old_engine VALUES (2, 'y')")
    if is_mariadb:
        shop.execute("INSERT INTO drawn (t) VALUES (3); UPDATE versioned SET t = 3")
    later = content(shop.server, shop.name)

    run = replace(database)

    assert content(shop.server, shop.name) == was
    kept = run.restore.kept_in
    for name in (shop.name, kept):
        assert references(shop, name) == {name}, "foreign keys stay inside their database"
    if is_mariadb:
        for name in (shop.name, kept):
            assert f"nextval(`{name}`.`numbers`)" in default_of(shop, name)
        ((before,),) = rows_of(shop, kept, "SELECT next_not_cached_value FROM numbers")
        shop.execute("INSERT INTO drawn (t) VALUES (9)")
        assert rows_of(shop, kept, "SELECT next_not_cached_value FROM numbers") == [(before,)]
        shop.execute("DELETE FROM drawn WHERE t = 9")

    succeeded(undo(run))

    assert content(shop.server, shop.name) == later
    assert references(shop, shop.name) == {shop.name}
    if is_mariadb:
        assert f"nextval(`{shop.name}`.`numbers`)" in default_of(shop, shop.name)
    drop_all(shop)


def references(shop: Shop, name: str) -> set[str]:
    rows = shop.server.query(
        "SELECT REFERENCED_TABLE_SCHEMA FROM information_schema.KEY_COLUMN_USAGE "
        "WHERE TABLE_SCHEMA = %s AND REFERENCED_TABLE_SCHEMA IS NOT NULL",
        None,
        [name],
    )
    return {str(schema) for (schema,) in rows}


def default_of(shop: Shop, name: str) -> str:
    ((_, told),) = shop.server.query(f"SHOW CREATE TABLE `{name}`.drawn")
    return str(told)


# ---------------------------------------------------------------- Chosen tables


# tests/restoring/test_modes.py has chosen tables swapped and had back.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_only_chosen_tables_are_swapped(shop: Shop, make_database: MakeDatabase, back_up: BackUp) -> None:
    database = make_database(shop)
    back_up(database)
    shop.execute("INSERT INTO customers VALUES (9, 'New'); DELETE FROM orders; DELETE FROM journal")
    later = content(shop.server, shop.name)

    run = replace(database, tables=["journal"])

    assert rows_of(shop, run.restore.kept_in, "SHOW TABLES") == [("journal",)]
    assert shop.query("SELECT COUNT(*) FROM journal") == [(0,)], "the dump was before the trigger's rows"
    assert shop.query("SELECT COUNT(*) FROM customers") == [(4,)]
    assert shop.query("SELECT * FROM orders") == []
    succeeded(undo(run))
    assert content(shop.server, shop.name) == later


# Above, one that is there is chosen; below, all tables are gone and come back, and go again.
@pytest.mark.soak
def test_chosen_table_that_is_gone_comes_back_and_goes_again(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    was = content(shop.server, shop.name)
    back_up(database)
    shop.execute("DROP TRIGGER orders_noted; DROP TABLE journal")
    later = content(shop.server, shop.name)

    run = replace(database, tables=["journal"])
    assert shop.query("SELECT COUNT(*) FROM journal") == [(0,)]
    undone = succeeded(undo(run))
    assert content(shop.server, shop.name) == later
    succeeded(undo(undone))
    assert len(content(shop.server, shop.name)) < len(was)
    assert shop.query("SELECT COUNT(*) FROM journal") == [(0,)]


# tests/restoring/test_kinds.py has it refused without a backup.
@pytest.mark.soak
@pytest.mark.parametrize("chosen", ["orders", pytest.param("customers", marks=pytest.mark.soak)])
def test_foreign_key_between_a_chosen_table_and_another_is_refused(
    chosen: str, mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    back_up(database)

    with untouched(shop):
        sentence = failed(restore(database, RestoreMode.REPLACE, tables=[chosen], without_safety=True))

    assert sentence.startswith(
        "A foreign key of orders refers to customers, and only one of the two is to be replaced."
    )


# tests/restoring/test_unseen_keys.py has it refused by the run as well.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_foreign_key_of_another_database_would_go_with_the_tables_of_before(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    succeeded(back_up(database))
    billing = f"{shop.name}_billing"
    shop.server.create_database(billing)
    shop.execute(
        f"CREATE TABLE {billing}.invoices (customer INT, "
        f"FOREIGN KEY (customer) REFERENCES {shop.name}.customers (id))"
    )

    with untouched(shop):
        told = failed(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert (
        f"A foreign key of {billing}.invoices, in another database, refers to {shop.name}.customers" in told
    )
    shop.execute(f"DROP TABLE {billing}.invoices")
    succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))


@pytest.mark.one_flavour("mariadb")
def test_tables_that_another_portals_restore_kept_are_not_taken_for_ours(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """A portal that was rebuilt counts its runs anew."""
    database = make_database(shop)
    succeeded(back_up(database))
    shop.server.load(LATER, shop.name)
    taken = f"{shop.name}__before_{Run.objects.latest('pk').pk + 1}"
    shop.server.create_database(taken)
    shop.server.load("CREATE TABLE orders (id INT PRIMARY KEY)", taken)

    with untouched(shop):
        told = failed(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert f"{taken} already holds tables. The old tables would be kept there." in told
    assert "Try again, which takes another name" in told
    assert [name for (name,) in shop.server.query("SHOW TABLES", taken)] == ["orders"]
    succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))


# ---------------------------------------------------------------- What may stand in the way


@contextmanager
def in_use(shop: Shop, table: str) -> Iterator[None]:
    """A transaction that has read the table and is still open, which no RENAME can pass."""
    server = shop.server
    connection = MySQLdb.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=shop.name
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute(f"SELECT * FROM {table}")
        yield


@pytest.mark.parametrize("hold", [in_use, pytest.param(Shop.held, marks=pytest.mark.soak)])
@pytest.mark.one_flavour("mariadb")
def test_swap_that_waits_in_vain_for_a_lock_leaves_all_as_it_was(
    hold: Callable[[Shop, str], AbstractContextManager[None]],
    shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = f"lock_wait_timeout = {session.LOCK_WAIT_SECONDS}"
    impatient = session.BEGIN_SHORT.replace(waits, "lock_wait_timeout = 1")
    monkeypatch.setattr("backups.mysql.connection.BEGIN_SHORT", impatient)
    database = make_database(shop)
    back_up(database)
    shop.server.load(LATER, shop.name)

    with untouched(shop):
        with hold(shop, "parcels" if hold is in_use else "customers"):
            run = restore(database, RestoreMode.REPLACE, without_safety=True)
        sentence = failed(run)
        reaper.run()  # what could not be set up again while the lock was held is now

    run.refresh_from_db()
    assert "ock wait timeout" in sentence
    assert f"{shop.name} is wholly as it was before." in log_of(run) + run.error
    replace(database)


# tests/restoring/test_modes.py has such a right told with the grant, where the snapshot needs it.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_right_to_set_up_again_what_is_live_is_asked_for_before_it_is_taken_down(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """The snapshot needs no right for definers, but the way back would."""
    shop = make_restorable(db_server, "CREATE TABLE t (id INT)")
    database = make_database(shop)
    back_up(database)
    shop.execute("CREATE DEFINER = root@`%` VIEW v AS SELECT id FROM t")
    right = "SET USER" if db_server.flavour == "mariadb" else "SET_ANY_DEFINER"
    db_server.execute(f"REVOKE {right} ON *.* FROM '{shop.user}'@'%'")

    with untouched(shop):
        sentence = failed(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert "run as `root`@`%`" in sentence
    grant = sentence.split("administrator: ")[1].split(";")[0]
    db_server.execute(grant)
    succeeded(undo(replace(database)))
    drop_all(shop)


# tests/restoring/test_kinds.py has the servers take such names.
@pytest.mark.soak
def test_long_name_still_fits(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """A database's name may take all 64 characters itself."""
    name = "long_" + "n" * 59
    shop = dataclasses.replace(
        make_restorable(mariadb_server), name=name, user="root", password=mariadb_server.password
    )
    mariadb_server.create_database(name)
    mariadb_server.load(SHOP, name)
    database = make_database(shop)
    was = content(mariadb_server, name)
    back_up(database)

    run = replace(database)

    assert len(run.restore.kept_in) == 64
    assert content(mariadb_server, name) == was
    mariadb_server.execute(f"DROP DATABASE `{name}`; DROP DATABASE `{run.restore.kept_in}`")
