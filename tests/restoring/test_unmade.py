"""What the server does not make keeps nothing else from being restored, is told, and is made later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backups.actions import preflight
from backups.actions.steps import checks
from backups.choices import Action, RestoreMode
from backups.models import Database, Run, Verification
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    again,
    content,
    drop_all,
    failed,
    log_of,
    make_restorable,
    restore,
    store,
    succeeded,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]


@pytest.fixture
def reading(db_server: DatabaseServer) -> Iterator[Shop]:
    """A database with a view of another one's table, a view upon it, and a routine and an event behind."""
    server = db_server
    server.create_database("rates_of_another")
    rates = "CREATE TABLE rates (k INT PRIMARY KEY, r INT); INSERT INTO rates VALUES (1, 7);"
    server.load(rates, "rates_of_another")
    shop = make_restorable(
        server,
        "CREATE TABLE goods (id INT PRIMARY KEY, k INT); INSERT INTO goods VALUES (1, 1), (2, 1);"
        "CREATE VIEW rated AS SELECT g.id, r.r FROM goods g JOIN rates_of_another.rates r ON r.k = g.k;"
        "CREATE VIEW a_on_rated AS SELECT id FROM rated; CREATE VIEW plain AS SELECT id FROM goods;"
        "CREATE PROCEDURE count_them() SELECT COUNT(*) FROM goods;",
    )
    server.execute(f"GRANT SELECT ON rates_of_another.* TO '{shop.user}'@'%'")
    yield shop
    drop_all(shop)
    server.execute("DROP DATABASE IF EXISTS rates_of_another")


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(RestoreMode.REPLACE, marks=pytest.mark.one_flavour("mariadb")),
        pytest.param(RestoreMode.NEW, marks=pytest.mark.soak),
        pytest.param(RestoreMode.IN_PLACE, marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("connections", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_all_else_is_restored_the_run_says_what_is_missing_and_another_try_makes_it(
    reading: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Any,
    mode: RestoreMode,
    connections: int,
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    database = make_database(reading)
    was = content(reading.server, reading.name)
    succeeded(back_up(database))
    reading.execute("DELETE FROM goods WHERE id = 2")
    reading.server.execute("DROP DATABASE rates_of_another")

    if mode == RestoreMode.REPLACE:
        found = verdict(verify(database))
        assert found.verdict == "identical", found.differences
        left = [each.partition(" runs: ")[0] for each in found.not_compared]
        assert sorted(left) == ["whether view a_on_rated", "whether view rated"]

    target = f"{reading.name}_copy" if mode == RestoreMode.NEW else reading.name
    run = restore(database, mode, target=target, without_safety=True)
    told = failed(run)
    assert "view rated" in told
    assert "view a_on_rated" in told
    assert f"All tables are in {target}" in told
    assert "View rated could not be made: The database server at" in log_of(run)
    assert "Try these again" in told
    assert reading.server.query("SELECT id FROM plain ORDER BY id", target) == [(1,), (2,)]
    assert {one["name"] for one in run.restore.definitions_left} == {"rated", "a_on_rated"}
    assert all("VIEW" in one["text"] for one in run.restore.definitions_left)

    assert "could not be made" in failed(again(run, Action.DEFINE))

    reading.server.create_database("rates_of_another")
    reading.server.load("CREATE TABLE rates (k INT PRIMARY KEY, r INT)", "rates_of_another")
    succeeded(again(run, Action.DEFINE))
    if mode != RestoreMode.NEW:
        assert content(reading.server, reading.name) == was
    assert reading.server.query("SELECT * FROM a_on_rated", target) == []


REFUSED = b"""-- MySQL dump
CREATE TABLE `goods` (`id` int NOT NULL, PRIMARY KEY (`id`));
INSERT INTO `goods` VALUES (1),(2);
DELIMITER ;;
CREATE TRIGGER `sound` BEFORE INSERT ON `goods` FOR EACH ROW SET NEW.id = NEW.id ;;
CREATE TRIGGER `unknown_column` BEFORE UPDATE ON `goods` FOR EACH ROW SET NEW.nowhere = 1 ;;
CREATE FUNCTION `no_sql`() RETURNS INT DETERMINISTIC RETURN SELEC 1 ;;
CREATE EVENT `no_moment` ON SCHEDULE EVERY 0 DAY DO SET @a = 1 ;;
CREATE PROCEDURE `behind`() SELECT COUNT(*) FROM goods ;;
DELIMITER ;
-- Dump completed on 2026-01-01  1:00:00
"""


@pytest.mark.one_flavour("mysql")
def test_a_trigger_a_routine_and_an_event_that_the_server_refuses_are_told_and_kept_as_text(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_restorable(db_server, "CREATE TABLE goods (id INT PRIMARY KEY)")
    database = make_database(shop)
    store(database, REFUSED)
    refused = {"trigger unknown_column", "function no_sql", "event no_moment"}

    run = restore(database, RestoreMode.REPLACE, without_safety=True)
    assert "All tables are in" in failed(run)
    assert {f"{one['kind']} {one['name']}" for one in run.restore.definitions_left} == refused
    assert b"SELEC 1" in b"".join(one["text"].encode() for one in run.restore.definitions_left)
    assert shop.query("SELECT COUNT(*) FROM goods") == [(2,)]
    assert shop.query(f"SHOW TRIGGERS FROM {shop.name}")[0][0] == "sound"
    shop.execute("CALL behind()")

    found = verdict(verify(database))
    assert found.verdict == "different"
    assert refused <= {each.partition(" could not be made")[0] for each in found.differences}
    drop_all(shop)


@pytest.fixture
def untrusting(mysql_server: DatabaseServer) -> Iterator[Shop]:
    """A database with a trigger, functions and a view upon one, on a server with MySQL's defaults."""
    shop = make_restorable(
        mysql_server,
        "CREATE TABLE goods (id INT PRIMARY KEY); INSERT INTO goods VALUES (1), (2);"
        "CREATE TRIGGER noted BEFORE INSERT ON goods FOR EACH ROW SET NEW.id = NEW.id;"
        "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN 2 * n;"
        "CREATE FUNCTION undeclared(n INT) RETURNS INT RETURN n;"
        "CREATE VIEW doubled AS SELECT twice(id) AS n FROM goods;"
        "CREATE VIEW upon AS SELECT n FROM doubled; CREATE VIEW plain AS SELECT id FROM goods;",
    )
    mysql_server.execute("SET GLOBAL log_bin_trust_function_creators = 0")
    yield shop
    mysql_server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    drop_all(shop)


CURE = "SET GLOBAL log_bin_trust_function_creators = 1"


def test_what_the_binary_log_alone_refuses_is_no_fault_of_the_backup(
    untrusting: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(untrusting)
    backed_up = succeeded(back_up(database))
    assert CURE in log_of(backed_up)

    verified = verify(database)
    told = failed(verified)
    assert "is not proved in full" in told
    assert CURE in told
    assert "Back up again" not in told
    assert "whether view doubled runs: " in log_of(verified)
    assert not Verification.objects.filter(run=verified).exists()


def test_a_definer_that_is_gone_is_no_fault_of_the_backup(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Of whom MariaDB makes no view."""
    mariadb_server.create_user("leaver", "of no use", ["SELECT ON *.*"])
    shop = make_restorable(
        mariadb_server,
        "CREATE TABLE goods (id INT PRIMARY KEY); INSERT INTO goods VALUES (1);"
        "CREATE DEFINER='leaver'@'%' VIEW seen AS SELECT id FROM goods;"
        "CREATE VIEW upon AS SELECT id FROM seen;",
    )
    database = make_database(shop)
    succeeded(back_up(database))
    mariadb_server.execute("DROP USER 'leaver'@'%'")

    assert verdict(verify(database)).verdict == "identical"

    target = f"{shop.name}_true"
    assert "Make that account there" in failed(restore(database, RestoreMode.NEW, target=target))
    copied = restore(database, RestoreMode.NEW, target=f"{shop.name}_copy", definers="current_user")
    succeeded(copied)
    assert shop.server.query("SELECT id FROM upon", f"{shop.name}_copy") == [(1,)]
    drop_all(shop)


@pytest.mark.soak
def test_it_is_made_once_the_server_is_told_to_trust_us(
    untrusting: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(untrusting)
    succeeded(back_up(database))
    target = f"{untrusting.name}_copy"
    run = restore(database, RestoreMode.NEW, target=target)
    assert f"All tables are in {target}" in failed(run)
    assert CURE in failed(run)
    left = {one["name"] for one in run.restore.definitions_left}
    assert left == {"noted", "twice", "undeclared", "doubled", "upon"}
    assert untrusting.server.query("SELECT id FROM plain", target) == [(1,), (2,)]
    assert CURE in failed(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert CURE in failed(again(run, Action.DEFINE))

    untrusting.server.execute(CURE)
    succeeded(again(run, Action.DEFINE))
    assert untrusting.server.query("SELECT n FROM upon", target) == [(2,), (4,)]
    assert verdict(verify(database)).verdict == "identical"


@pytest.mark.soak
def test_a_preflight_names_the_grant_to_make_what_others_defined(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_restorable(
        db_server, "CREATE TABLE goods (id INT); CREATE VIEW seen AS SELECT id FROM goods;"
    )
    right = "SET USER" if db_server.flavour == "mariadb" else "SYSTEM_USER"
    database = make_database(shop)

    def told() -> str:
        return " ".join(each.detail for each in preflight.checks(database, checks.Found()))

    assert "run as root@" not in told()
    db_server.execute(f"REVOKE {right} ON *.* FROM '{shop.user}'@'%'")
    assert "run as root@" in told()
    assert f"{right} ON *.* TO '{shop.user}'@'%';" in told()
    drop_all(shop)
