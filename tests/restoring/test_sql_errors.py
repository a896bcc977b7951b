"""Restores that the server refuses: at the first, a middle or the last statement, whatever the mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.actions.tools import verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    content,
    databases_of,
    drop_all,
    dump_of,
    failed,
    log_of,
    make_restorable,
    restore,
    store,
    untouched,
)
from tests.servers import DatabaseServer

SCRIPT = """
CREATE TABLE apples (id INT PRIMARY KEY, name VARCHAR(9));
INSERT INTO apples VALUES (1, 'one'), (2, 'two');
CREATE TABLE berries (id INT PRIMARY KEY, name VARCHAR(9), KEY (name));
INSERT INTO berries VALUES (1, 'one'), (2, 'two');
CREATE TABLE cherries (id INT PRIMARY KEY, name VARCHAR(9));
INSERT INTO cherries VALUES (1, 'one'), (2, 'two');
"""
# What is changed in the dump, and how the statement begins that the server then refuses.
FAULTS = {
    "unknown collation": (
        "  `name` varchar(9)",
        "  `name` varchar(9) COLLATE utf8mb4_no_such_ci",
        "CREATE TABLE `{table}`",
    ),
    "unknown engine": ("ENGINE=InnoDB", "ENGINE=Rocksdb", "CREATE TABLE `{table}`"),
    "same key twice": ("(2,'two')", "(1,'two')", "INSERT INTO `{table}` VALUES"),
    "too long": ("(2,'two')", "(2,'longer than nine')", "INSERT INTO `{table}` VALUES"),
}
PLACES = {"first": "apples", "middle": "berries", "last": "cherries"}
WAYS = ("into", "replace", "in_place", "table", "verify")
# Of a fault in a definition and one in rows, overwriting and not; all with all of them in the long run.
OFTEN = {
    ("unknown collation", "first", "in_place", 1): "mariadb",
    ("same key twice", "last", "replace", 4): "mysql",
    ("unknown engine", "middle", "verify", 4): "mysql",
}


@pytest.fixture
def fruits(db_server: DatabaseServer) -> Iterator[Shop]:
    shop = make_restorable(db_server, SCRIPT)
    yield shop
    drop_all(shop)


def broken(shop: Shop, fault: str, table: str) -> bytes:
    """The shop's dump, with the fault in one of its tables."""
    before, after, _ = FAULTS[fault]
    head, begin, rest = dump_of(shop.server, shop.name).partition(f"CREATE TABLE `{table}`".encode())
    # MariaDB begins each row on a line of its own.
    assert before.encode() in rest
    # As they are, dumps have the server bend to what is not as it should be.
    strict = head.replace(
        b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", b"SQL_MODE='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
    )
    return strict + begin + rest.replace(before.encode(), after.encode(), 1)


def played(database: Database, way: str, table: str) -> Run:
    if way == "verify":
        return verify(database)
    modes = {"into": RestoreMode.NEW, "replace": RestoreMode.REPLACE, "in_place": RestoreMode.IN_PLACE}
    mode = modes.get(way, RestoreMode.NEW)
    target = f"{database.database}_new" if mode == RestoreMode.NEW else database.database
    tables = [table] if way == "table" else []
    return restore(database, mode, target=target, tables=tables, snapshot=database.snapshots.latest("id"))


@pytest.mark.parametrize(
    ("fault", "place", "way", "connections"),
    [
        pytest.param(*case, marks=pytest.mark.one_flavour(OFTEN[case]) if case in OFTEN else pytest.mark.soak)
        for case in ((f, p, w, c) for f in FAULTS for p in PLACES for w in WAYS for c in (1, 4))
    ],
)
def test_the_statement_that_failed_is_named_and_what_is_left(
    fruits: Shop,
    make_database: MakeDatabase,
    settings: Settings,
    fault: str,
    place: str,
    way: str,
    connections: int,
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    database = make_database(fruits)
    table = PLACES[place]
    store(database, broken(fruits, fault, table))
    fruits.execute("INSERT INTO apples VALUES (3, 'later')")
    before = content(fruits.server, fruits.name)

    told = failed(played(database, way, table))

    begins = FAULTS[fault][2].format(table=table)
    assert f"at the statement that begins with '{begins}" in told or f'begins with "{begins}' in told
    assert databases_of(fruits) == [fruits.name]
    if way != "in_place":
        assert content(fruits.server, fruits.name) == before
        assert "not touched" in told
    else:
        assert f"{fruits.name} is partly overwritten. What it held before is in snapshot" in told
    if fault.startswith("unknown") and way == "verify":
        assert "check the repository" not in told


def test_values_that_the_server_bends_are_named(
    mariadb_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """As dumps ask for it, and every client does it in silence."""
    listed = "CREATE TABLE listed (e ENUM('a') NOT NULL);"
    shop = make_restorable(
        mariadb_server, f"{SCRIPT}{listed} SET sql_mode = ''; INSERT INTO listed VALUES ('x')"
    )
    database = make_database(shop)
    dump = dump_of(shop.server, shop.name).replace(b"(2,'two')", b"(2,'longer than nine')", 1)
    store(database, dump)

    run = restore(
        database, RestoreMode.NEW, target=f"{shop.name}_new", snapshot=database.snapshots.latest("id")
    )

    assert run.status == "succeeded", run.error
    assert [told["table"] for told in run.result["values_changed"]] == ["apples"]
    assert "did not take every value of table apples" in log_of(run)
    drop_all(shop)


def test_nothing_is_called_overwritten_where_the_first_statement_was_refused(
    mariadb_shop: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(mariadb_shop)
    store(database, dump_of(mariadb_shop.server, mariadb_shop.name))
    before = content(mariadb_shop.server, mariadb_shop.name)
    mariadb_shop.server.execute("SET GLOBAL read_only = 1")
    try:
        run = restore(
            database, RestoreMode.IN_PLACE, snapshot=database.snapshots.latest("id"), without_safety=True
        )
    finally:
        mariadb_shop.server.execute("SET GLOBAL read_only = 0")

    told = failed(run)

    assert "is running with the --read-only option" in told
    assert "at the statement that begins with 'DROP TABLE IF EXISTS" in told
    assert f"{mariadb_shop.name} is as it was: nothing was changed yet." in told
    assert content(mariadb_shop.server, mariadb_shop.name) == before


@pytest.mark.parametrize(
    ("connections", "mode"),
    [
        pytest.param(1, RestoreMode.IN_PLACE, marks=pytest.mark.one_flavour("mysql")),
        pytest.param(4, RestoreMode.IN_PLACE, marks=pytest.mark.soak),
        pytest.param(1, RestoreMode.NEW, marks=pytest.mark.soak),
        pytest.param(4, RestoreMode.NEW, marks=pytest.mark.soak),
        pytest.param(4, RestoreMode.REPLACE, marks=pytest.mark.soak),
    ],
)
def test_a_row_that_no_packet_holds_is_told_with_both_sizes_and_nothing_is_touched(
    connections: int, mode: RestoreMode, shop: Shop, make_database: MakeDatabase, settings: Settings
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    shop.execute("CREATE TABLE large (b LONGTEXT); INSERT INTO large VALUES (REPEAT('x', 3000000))")
    database = make_database(shop)
    store(database, dump_of(shop.server, shop.name))
    target = f"{shop.name}_new" if mode == RestoreMode.NEW else shop.name
    ((usual,),) = shop.server.query("SELECT @@GLOBAL.max_allowed_packet")

    with untouched(shop):
        shop.server.execute("SET GLOBAL max_allowed_packet = 1048576")
        try:
            told = failed(restore(database, mode, target=target, without_safety=True))
        finally:
            shop.server.execute(f"SET GLOBAL max_allowed_packet = {usual}")

    assert "3.0 MB" in told
    assert "takes at most 1.0 MB (max_allowed_packet)" in told
    assert "SET GLOBAL max_allowed_packet = 4194304;" in told
