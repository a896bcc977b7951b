"""What of a table would reach out of its place: made where it belongs, or left out and named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backups.actions import preflight
from backups.actions.steps import checks
from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    content,
    drop_all,
    failed,
    make_restorable,
    restore,
    succeeded,
    undo,
    untouched,
)
from tests.servers import DatabaseServer
from tools import mariadb_plugins

BackUp = Callable[[Database], Run]
ENGINES = ("blackhole", "federatedx")


@pytest.fixture
def outward(db_server: DatabaseServer) -> Iterator[Shop]:
    """A database with a foreign key to another one."""
    db_server.create_database("elsewhere")
    db_server.load("CREATE TABLE parent (id INT PRIMARY KEY); INSERT INTO parent VALUES (1);", "elsewhere")
    shop = make_restorable(
        db_server,
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, KEY (p), CONSTRAINT out_of_here FOREIGN KEY (p)"
        " REFERENCES elsewhere.parent (id)); INSERT INTO child VALUES (1, 1), (2, NULL);",
    )
    db_server.execute(f"GRANT REFERENCES ON elsewhere.parent TO '{shop.user}'@'%'")
    yield shop
    drop_all(shop)
    db_server.execute("DROP DATABASE elsewhere")


def referring(shop: Shop) -> set[str]:
    """The databases whose tables refer to the parent."""
    asked = (
        "SELECT CONSTRAINT_SCHEMA FROM information_schema.REFERENTIAL_CONSTRAINTS"
        " WHERE UNIQUE_CONSTRAINT_SCHEMA = 'elsewhere'"
    )
    return {str(name) for (name,) in shop.server.query(asked)}


@pytest.mark.one_flavour("mariadb")
def test_a_key_to_another_database_is_made_in_the_place_of_the_live_one_alone(
    outward: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """A copy with such a key would keep the application from deleting rows there."""
    database = make_database(outward)
    was = content(outward.server, outward.name)
    succeeded(back_up(database))

    found = verdict(verify(database))
    assert found.verdict == "identical", found.differences
    assert any("foreign key to elsewhere.parent" in each for each in found.not_compared)
    copied = succeeded(restore(database, RestoreMode.NEW, target=f"{outward.name}_copy"))
    assert [each["name"] for each in copied.result["left_out"]] == ["child"]
    assert referring(outward) == {outward.name}

    outward.execute("INSERT INTO child VALUES (3, 1)")
    later = content(outward.server, outward.name)
    replaced = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert content(outward.server, outward.name) == was
    succeeded(undo(replaced))
    assert content(outward.server, outward.name) == later
    succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True))
    assert content(outward.server, outward.name) == was


@pytest.mark.one_flavour("mysql")
def test_the_grant_for_a_key_to_another_database_is_named_before(
    outward: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(outward)
    user = f"'{outward.user}'@'%'"

    def told() -> str:
        return " ".join(each.detail for each in preflight.checks(database, checks.Found()))

    assert "refer to elsewhere.parent" not in told()
    outward.server.execute(f"REVOKE REFERENCES ON elsewhere.parent FROM {user}")
    assert "refer to elsewhere.parent, and it may not make such" in told()
    assert f"GRANT REFERENCES ON `elsewhere`.`parent` TO {user};" in told()


IN_ITS_PLACE = "no live table of this name lies"


@pytest.fixture
def shared(mysql_server: DatabaseServer) -> Iterator[Shop]:
    """A database of MySQL's, a table of which lies in a file that tables share."""
    mysql_server.execute("CREATE TABLESPACE shelf ADD DATAFILE 'shelf.ibd'")
    shop = make_restorable(
        mysql_server,
        "CREATE TABLE shelved (id INT PRIMARY KEY) TABLESPACE shelf; INSERT INTO shelved VALUES (1), (2);"
        "CREATE TABLE beside (id INT PRIMARY KEY) TABLESPACE innodb_file_per_table;",
    )
    yield shop
    drop_all(shop)
    mysql_server.execute("DROP TABLESPACE shelf")


@pytest.mark.soak
def test_a_table_comes_back_into_the_tablespace_in_which_the_live_one_lies(
    shared: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shared)
    succeeded(back_up(database))
    was = content(shared.server, shared.name)

    found = verdict(verify(database))
    assert found.verdict == "identical", found.differences
    assert not any(IN_ITS_PLACE in each for each in found.not_compared)
    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        run = succeeded(restore(database, mode, without_safety=True))
        assert "left_out" not in run.result
        assert content(shared.server, shared.name) == was


# Below, a table that lies elsewhere is left out and named in each mode.
@pytest.mark.soak
@pytest.mark.parametrize("lost", ["the tablespace", pytest.param("the table", marks=pytest.mark.soak)])
def test_a_table_whose_tablespace_is_not_the_live_ones_is_made_outside_of_it_and_named(
    lost: str, shared: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shared)
    succeeded(back_up(database))
    if lost == "the table":
        shared.execute("DROP TABLE shelved")
    else:
        shared.execute("ALTER TABLE shelved TABLESPACE innodb_file_per_table")
        shared.server.execute("DROP TABLESPACE shelf")

    found = verdict(verify(database))
    assert found.verdict == "identical", found.differences
    (named,) = [each for each in found.not_compared if IN_ITS_PLACE in each]
    assert "table shelved: " in named
    assert "tablespace shelf" in named
    # Its definition is not compared, its rows are.
    (sections,) = [each for each in found.compared if "byte for byte" in each]
    compared, of = map(int, re.findall(r"\d+", sections))
    assert of - compared == 1
    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        run = succeeded(restore(database, mode, without_safety=True))
        assert [each["name"] for each in run.result["left_out"]] == ["shelved"]
        assert shared.query("SELECT id FROM shelved") == [(1,), (2,)]
        assert "TABLESPACE" not in str(shared.query("SHOW CREATE TABLE shelved"))
    if lost == "the tablespace":
        shared.server.execute("CREATE TABLESPACE shelf ADD DATAFILE 'shelf.ibd'")


@pytest.fixture(scope="module")
def with_engines() -> Iterator[DatabaseServer]:
    """A MariaDB that has further storage engines."""
    options = [f"--plugin-dir={mariadb_plugins.home()}", "--plugin-maturity=unknown"]
    options += [f"--plugin-load-add=ha_{engine}" for engine in ENGINES]
    with DatabaseServer("mariadb", options=options) as server:
        yield server


def test_a_table_that_lies_on_another_server_is_not_made_and_stays_where_it_is(
    with_engines: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    server = with_engines
    server.create_database("remote_side")
    server.execute("CREATE TABLE remote_side.people (id INT PRIMARY KEY, n VARCHAR(20))")
    server.create_user("fed", "fedpw", ["ALL ON remote_side.*"])
    link = f"mysql://fed:fedpw@127.0.0.1:{server.port}/remote_side/people"
    shop = make_restorable(
        server,
        "CREATE TABLE local_one (id INT PRIMARY KEY); INSERT INTO local_one VALUES (1);"
        f"CREATE TABLE people (id INT PRIMARY KEY, n VARCHAR(20)) ENGINE=FEDERATED CONNECTION='{link}';",
    )
    database = make_database(shop)
    # The remote table is gone.
    server.execute("DROP DATABASE remote_side")
    succeeded(back_up(database))

    found = verdict(verify(database))
    assert found.verdict == "identical", found.differences
    # Once, though it is neither in a backup nor made.
    (named,) = [each for each in found.not_compared if "people" in each]
    assert named.startswith("people (FEDERATED: ")
    assert named.endswith("it is in no backup")
    copied = succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_copy"))
    assert [each["name"] for each in copied.result["left_out"]] == ["people"]
    assert server.query("SHOW TABLES", f"{shop.name}_copy") == [("local_one",)]
    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        succeeded(restore(database, mode, without_safety=True))
        assert [name for (name,) in shop.query("SHOW TABLES")] == ["local_one", "people"]
    drop_all(shop)


@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.soak), 3])
def test_tables_that_the_server_makes_with_another_engine_are_no_success(
    connections: int,
    with_engines: DatabaseServer,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Any,
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    shop = make_restorable(
        with_engines,
        "CREATE TABLE hole (id INT PRIMARY KEY) ENGINE=BLACKHOLE;"
        "CREATE TABLE old_one (id INT PRIMARY KEY, t TEXT) ENGINE=MyISAM;"
        "INSERT INTO old_one VALUES (1, 'x');",
    )
    database = make_database(shop)
    succeeded(back_up(database))
    with_engines.execute("SET GLOBAL enforce_storage_engine = InnoDB")
    try:
        with untouched(shop):
            for mode in (RestoreMode.NEW, RestoreMode.REPLACE):
                target = shop.name if mode == RestoreMode.REPLACE else f"{shop.name}_copy"
                told = failed(restore(database, mode, target=target, without_safety=True))
                assert "The enforce_storage_engine of the database server at " in told
                assert "hole, old_one" in told
                assert "GRANT " in told
    finally:
        with_engines.execute("SET GLOBAL enforce_storage_engine = DEFAULT")
    drop_all(shop)
