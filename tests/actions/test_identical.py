"""What was backed up comes out byte for byte, whatever it is, by a user who may do no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import MySQLdb
import pytest

from backups import mysql
from tests.actions.tools import back_up, log_of, scratch_databases, unpacked, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import AWKWARD, Shop, make_shop
from tests.servers import DatabaseServer
from tools import sample


@contextmanager
def outward_views(shop: Shop, names: list[str]) -> Iterator[None]:
    """Views of a table in a database that only the administrator may read, for the length of a block."""
    shop.server.create_database("outside")
    shop.server.execute("CREATE TABLE secrets (id INT)", "outside")
    for name in names:
        shop.execute(f"CREATE VIEW {mysql.quote(name)} AS SELECT id FROM outside.secrets")
    yield
    for name in names:
        shop.execute(f"DROP VIEW {mysql.quote(name)}")
    shop.server.execute("DROP DATABASE outside")


# tests/restoring/test_general_log.py has it verified on MariaDB.
@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize(
    "dump_format",
    # tests/actions/test_backup.py has what a gzipped dump holds.
    ["sql", pytest.param("sql.gz", marks=pytest.mark.soak)],
)
def test_awkward_database(awkward: Shop, make_database: MakeDatabase, dump_format: str) -> None:
    least = with_least(awkward, "dump", "verify")
    database = make_database(least, name="awkward", dump_format=dump_format)
    outward = ["out; of `here"] if awkward.server.flavour == "mariadb" else []

    with outward_views(awkward, outward):
        snapshot = back_up(database)
        run = verify(database)

    found = verdict(run)
    assert found.verdict == "identical", found.differences
    assert [each.partition(" runs: ")[0] for each in found.not_compared] == [
        f"whether view {name}" for name in outward
    ]
    assert found.bytes == len(unpacked(snapshot))
    ((tables,),) = awkward.query(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        " AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
        [awkward.name],
    )
    assert found.tables == tables
    assert found.rows is not None
    assert found.rows > 300
    assert found.restore_seconds is not None
    assert found.restore_seconds > 0
    assert snapshot.path.endswith(f".{dump_format}")
    assert scratch_databases(awkward.server) == []


# Above, the awkward one.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_sample_database(db_server: DatabaseServer, make_database: MakeDatabase) -> None:
    shop = make_shop(db_server, "", name="orders_tracker")
    with MySQLdb.connect(
        host=db_server.host, port=db_server.port, user=db_server.user, password=db_server.password,
        database=shop.name, charset="utf8mb4", autocommit=True,
    ) as connection:  # fmt: skip
        sample.load(connection, scale=0.1)
    database = make_database(with_least(shop, "dump", "verify"))

    back_up(database)
    run = verify(database)

    found = verdict(run)
    assert found.verdict == "identical", found.differences
    ((rows,),) = shop.query(
        "SELECT (SELECT COUNT(*) FROM customers) + (SELECT COUNT(*) FROM products) +"
        " (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM order_items)"
        " + (SELECT COUNT(*) FROM order_events)"
    )
    assert found.rows == rows


# Above, the awkward database.
@pytest.mark.soak
def test_tables_that_mysql_spells_differently_after_a_restore(
    mysql_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_shop(mysql_server, "", name="respelled")
    mysql_server.load(AWKWARD / "respelled_mysql.sql", shop.name)
    database = make_database(with_least(shop, "dump", "verify"))

    back_up(database)
    run = verify(database)

    assert verdict(run).verdict == "identical", verdict(run).differences


# Of a line break each server's dump program thinks its own.
@pytest.mark.parametrize(
    "name",
    [
        "new\nline",
        *(
            pytest.param(each, marks=pytest.mark.soak)
            for each in ("per%cent_under", "größe ☂ 列", "MiXed Case; DROP", "a" * 64)
        ),
    ],
)
def test_names_of_databases(db_server: DatabaseServer, make_database: MakeDatabase, name: str) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2);"
    shop = with_least(make_shop(db_server, script, name=name), "dump", "verify")
    database = make_database(shop, name="named")

    back_up(database)
    run = verify(database)

    assert verdict(run).verdict == "identical", verdict(run).differences
    assert verdict(run).rows == 2


@pytest.mark.one_flavour("mysql")
def test_what_is_found_is_written_down(least_shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(least_shop)
    snapshot = back_up(database)

    run = verify(database)

    found = verdict(run)
    assert (found.verdict, found.tables, found.rows) == ("identical", 3, 6)
    assert found.source_version == found.scratch_version != ""
    assert "the stream's digest with the manifest" in found.compared
    snapshot.refresh_from_db()
    assert snapshot.verified_at == found.finished_at
    assert run.result.pop("restic")["version"] == run.restic_version
    # tests/compat/test_binary_log.py
    run.result.pop("binary_log")
    assert run.result == {
        "snapshot_id": snapshot.snapshot_id,
        "verdict": "identical",
        "differences": [],
        "tables": 3,
        "rows": 6,
        "verified_on": {
            "address": f"{least_shop.server.host}:{least_shop.server.port}",
            "server": found.scratch_version,
            "set_by": "MYSQL_HOST and MYSQL_PORT",
        },
        "load_connections": 2,
        "load_connections_because": "at least 2, although the dump has only 0 MB",
    }
    assert f"Snapshot {snapshot.short_id} restores in full: 3 tables, 6 rows" in log_of(run)


# Above, bodies of all kinds in the awkward database.
@pytest.mark.soak
def test_bodies_of_which_mysql_kept_the_semicolon(
    mysql_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """As it does where they were sent as one query with others; no load brings it back."""
    script = (
        "CREATE TABLE t (id INT PRIMARY KEY);\nDELIMITER ;;\n"
        "CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS int NO SQL RETURN 1;"
        " CREATE TRIGGER tr BEFORE DELETE ON t FOR EACH ROW SET @a = 1;"
        " CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DISABLE DO SELECT 1; DO 0;;\n"
        "DELIMITER ;\n"
    )
    shop = make_shop(mysql_server, script)
    ((kept,),) = shop.query(
        "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_NAME = 'tr'"
    )
    assert kept.endswith(";")
    database = make_database(with_least(shop, "dump", "verify"))

    back_up(database)

    assert verdict(verify(database)).differences == []
