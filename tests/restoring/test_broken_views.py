"""A view that lost what it reads: no backup goes without it unasked, and no restore is kept back by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backups.actions.preflight import checks
from backups.actions.steps.checks import Found
from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    content,
    drop_all,
    failed,
    log_of,
    make_restorable,
    restore,
    succeeded,
    undo,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
SALES = """
CREATE TABLE sales (id INT PRIMARY KEY, total INT);
CREATE TABLE clerks (id INT PRIMARY KEY);
INSERT INTO sales VALUES (1, 5), (2, 7);
CREATE VIEW day_total AS SELECT SUM(total) AS s FROM sales;
CREATE VIEW twice_that AS SELECT 2 * s AS s FROM day_total;
CREATE VIEW all_clerks AS SELECT id FROM clerks;
"""
BOTH = "day_total, twice_that"


@pytest.fixture(params=["mariadb", pytest.param("mysql", marks=pytest.mark.soak)])
def sales(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A small database with a view upon a view."""
    shop = make_restorable(request.getfixturevalue(f"{request.param}_server"), SALES)
    yield shop
    drop_all(shop)


def views_of(shop: Shop) -> dict[str, str]:
    """The views of a shop with their statements, be they readable or not."""
    asked = "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME"
    return {
        name: shop.query(f"SHOW CREATE VIEW `{name}`")[0][1] for (name,) in shop.query(asked, [shop.name])
    }


def test_replacing_brings_the_table_back_and_undo_the_state_without_it(
    sales: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(sales)
    snapshot = succeeded(back_up(database)).snapshot
    was = content(sales.server, sales.name)
    sales.execute("DROP TABLE sales; INSERT INTO clerks VALUES (1)")
    broken = views_of(sales)

    (named,) = [check for check in checks(database, Found()) if not check.ok]
    assert named.name == "views"
    assert named.detail.startswith(f"These views of {sales.name} cannot be read any more")
    assert f"cannot be read any more: {BOTH} (" in named.detail
    assert "copy what SHOW CREATE VIEW shows" in named.detail
    assert failed(back_up(database)).startswith(f"These views of {sales.name} cannot be read any more")

    replaced = succeeded(restore(database, RestoreMode.REPLACE, snapshot=snapshot))
    assert content(sales.server, sales.name) == was
    saved = replaced.restore.safety_snapshot
    assert saved is not None
    assert [left["table"] for left in saved.not_in_backup] == BOTH.split(", ")
    assert "it was: CREATE " in saved.not_in_backup[0]["why"]
    assert saved.made_by is not None
    assert saved.made_by.result["heartbeat"] == "withheld"

    succeeded(undo(replaced))
    assert views_of(sales) == broken
    assert sales.query("SELECT * FROM clerks") == [(1,)]


@pytest.mark.soak
def test_so_do_a_single_table_and_a_restore_in_place(
    sales: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(sales)
    snapshot = succeeded(back_up(database)).snapshot
    was = content(sales.server, sales.name)
    sales.execute("DROP TABLE sales")
    broken = views_of(sales)

    replaced = succeeded(restore(database, RestoreMode.REPLACE, snapshot=snapshot, tables=["sales"]))
    assert content(sales.server, sales.name) == was
    succeeded(undo(replaced))
    assert views_of(sales) == broken
    succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=snapshot))
    assert content(sales.server, sales.name) == was


@pytest.mark.soak
def test_undo_tells_of_a_broken_view_that_cannot_be_made_again_and_keeps_its_statement(
    sales: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(sales)
    snapshot = succeeded(back_up(database)).snapshot
    sales.execute("DROP TABLE sales")
    replaced = succeeded(restore(database, RestoreMode.REPLACE, snapshot=snapshot, without_safety=True))
    sales.execute("DROP VIEW twice_that; DROP VIEW day_total")

    undone = succeeded(undo(replaced))

    assert "The view day_total could not be read before, and cannot be made again (" in log_of(undone)
    left = undone.restore.definitions_left
    assert [(one["name"], one["was_broken"]) for one in left] == [("day_total", True), ("twice_that", True)]
    assert "VIEW `day_total` AS " in left[0]["text"]
    assert list(views_of(sales)) == ["all_clerks"]


@pytest.mark.soak
def test_a_view_that_cannot_be_left_out_alone_ends_the_backup_before(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """The dump programs know what to leave out without regard to case, and would leave out the table."""
    shop = make_restorable(
        mariadb_server,
        "CREATE TABLE gone (id INT); CREATE VIEW day AS SELECT id FROM gone; CREATE TABLE Day (id INT);",
    )
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    shop.execute("DROP TABLE gone")

    told = failed(restore(database, RestoreMode.IN_PLACE, snapshot=snapshot))

    assert "to the dump program its name and Day are the same" in told
    assert shop.query("SHOW TABLES") == [("Day",), ("day",)]
    drop_all(shop)


@pytest.mark.soak
def test_a_view_that_calls_a_function_of_somebody_who_is_gone(
    mysql_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """MySQL tells its columns and not its statement, at which the dump program ends."""
    mysql_server.create_user("leaver", "of no use", ["ALL ON *.*"])
    shop = make_restorable(
        mysql_server,
        "CREATE TABLE goods (id INT PRIMARY KEY); INSERT INTO goods VALUES (1);"
        "CREATE DEFINER='leaver'@'%' FUNCTION unit() RETURNS INT DETERMINISTIC NO SQL RETURN 1;"
        "CREATE DEFINER='leaver'@'%' VIEW counted AS SELECT id, unit() AS n FROM goods;",
    )
    database = make_database(shop)
    succeeded(back_up(database))
    mysql_server.execute("DROP USER 'leaver'@'%'")

    assert "The view counted of" in failed(back_up(database))
    succeeded(restore(database, RestoreMode.REPLACE, definers="current_user"))
    assert shop.query("SELECT id, n FROM counted") == [(1, 1)]
    drop_all(shop)
