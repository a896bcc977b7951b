"""Who may dump and verify may make nothing that runs as somebody else: seen of the grants as shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import MySQLdb
import pytest

from tests.actions.tools import back_up, dumped, stored, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase, empty_repository, make_database, migrated, repository
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer

__all__ = ["empty_repository", "make_database", "migrated", "repository"]

ROOT = "`root`@`%`"
SPECIFIC_ACCESS_DENIED = 1227
# Each way of a server to have something run in the name of another.
MAKING = (
    "CREATE DEFINER={root} PROCEDURE {place}.p() SQL SECURITY DEFINER {harm}",
    "CREATE DEFINER={root} FUNCTION {place}.f() RETURNS INT DETERMINISTIC SQL SECURITY DEFINER RETURN 1",
    "CREATE DEFINER={root} VIEW {place}.v AS SELECT 1 AS a",
    "CREATE DEFINER={root} TRIGGER {place}.tr BEFORE INSERT ON {place}.customers FOR EACH ROW SET @a = 1",
    "CREATE DEFINER={root} EVENT {place}.e ON SCHEDULE EVERY 1 SECOND DO {harm}",
    "ALTER DEFINER={root} EVENT {place}.nightly ENABLE",
    "ALTER DEFINER={root} VIEW {place}.open_orders AS SELECT 1 AS a",
)


@pytest.fixture
def least(db_server: DatabaseServer) -> Iterator[Shop]:
    """A shop beside the database of its wages, seen by one who may dump and verify it and no more."""
    shop = make_shop(db_server)
    db_server.create_database("payroll")
    db_server.execute("CREATE TABLE salary (amount INT); INSERT INTO salary VALUES (100)", "payroll")
    yield with_least(shop, "dump", "verify")
    db_server.execute(f"DROP DATABASE payroll; DROP DATABASE `{shop.name}`")


def rights(server: DatabaseServer) -> list[Any]:
    """Who may do what on a server."""
    tables = ("mysql.user", "mysql.db", "mysql.tables_priv", "mysql.procs_priv")
    return [server.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]


def test_who_may_dump_and_verify_makes_nothing_that_runs_as_root(least: Shop) -> None:
    server, scratch = least.server, f"{least.name}__verify_1"
    harm = f"GRANT ALL ON *.* TO '{least.user}'@'%'"
    if server.flavour == "mariadb":
        server.execute("CREATE ROLE IF NOT EXISTS those_who_may; GRANT ALL ON *.* TO those_who_may")
    before = rights(server)
    with closing(
        MySQLdb.connect(host=server.host, port=server.port, user=least.user, password=least.password)
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE `{scratch}`")
        cursor.execute(f"CREATE TABLE `{scratch}`.customers (id INT)")
        cursor.execute(f"CREATE EVENT `{scratch}`.nightly ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
        cursor.execute(f"CREATE VIEW `{scratch}`.open_orders AS SELECT 1 AS a")
        places = [scratch, least.name]
        # MariaDB takes a role, too, of whom may become it.
        definers = [ROOT, "those_who_may"] if server.flavour == "mariadb" else [ROOT]
        for place in places:
            for definer in definers:
                for making in MAKING:
                    statement = making.format(root=definer, place=f"`{place}`", harm=harm)
                    with pytest.raises(MySQLdb.Error) as refused:
                        cursor.execute(statement)
                    code = refused.value.args[0]
                    # In the live database it may not make routines and views at all.
                    assert code == SPECIFIC_ACCESS_DENIED or place == least.name, (statement, code)
        cursor.execute(f"CREATE PROCEDURE `{scratch}`.mine() {harm}")
        with pytest.raises(MySQLdb.Error):
            cursor.execute(f"CALL `{scratch}`.mine()")
        cursor.execute(f"DROP DATABASE `{scratch}`")
    assert rights(server) == before


@pytest.mark.parametrize(
    "is_called",
    [
        pytest.param(True, marks=pytest.mark.one_flavour("mysql")),
        pytest.param(False, marks=pytest.mark.soak),
    ],
)
def test_a_hostile_snapshot_that_is_verified_does_no_harm(
    least: Shop, make_database: MakeDatabase, is_called: bool
) -> None:
    server = least.server
    database = make_database(least)
    good = back_up(database)
    before = rights(server)
    call = b"CALL pwn();\n" if is_called else b""
    pwn = (
        b"DELIMITER ;;\nCREATE DEFINER=`root`@`%%` PROCEDURE `pwn`()\nBEGIN\n"
        b"  UPDATE payroll.salary SET amount = 666;\n"
        b"  GRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\nEND ;;\nDELIMITER ;\n%s"
        % (least.user.encode(), call)
    )
    text = dumped(good)
    at = re.search(rb"(?m)^/\*!50003 DROP PROCEDURE IF EXISTS", text)
    assert at is not None
    hostile = stored(good, text[: at.start()] + pwn + text[at.start() :])

    run = verify(database, hostile)

    assert run.status == "failed"
    assert verdict(run).verdict == ("unreadable" if is_called else "different")
    assert "The live database was not touched." in run.error
    assert server.query("SELECT amount FROM payroll.salary") == [(100,)]
    assert rights(server) == before
