"""What a server's own settings and contents do to a backup and to the restore of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from backups.actions import preflight
from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.actions.tools import back_up, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, all_routines, make_shop
from tests.restoring.stories import content, drop_all, make_restorable, restore
from tests.servers import DatabaseServer

PLAY = Callable[[Database], Run]
POSITION = {"mariadb": "BINLOG MONITOR ON *.*", "mysql": "REPLICATION CLIENT ON *.*"}


def test_binary_log_position_is_the_servers(tls_server: DatabaseServer, make_database: MakeDatabase) -> None:
    shop = make_shop(
        tls_server,
        grants=[
            "SELECT, SHOW VIEW, TRIGGER, EVENT ON *.*",
            all_routines(tls_server),
            POSITION[tls_server.flavour],
        ],
    )
    show = "SHOW BINARY LOG STATUS" if tls_server.flavour == "mysql" else "SHOW MASTER STATUS"
    ((file, position, *_),) = tls_server.query(show)

    snapshot = back_up(make_database(shop))

    assert snapshot.manifest
    assert snapshot.manifest["binary_log"] == {"file": file, "position": position}


def test_binary_log_position_is_left_out_where_the_user_may_not_see_it(
    tls_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    snapshot = back_up(make_database(make_shop(tls_server)))

    assert snapshot.manifest
    assert snapshot.manifest["binary_log"] is None


# Of MySQL, a dump says which GTIDs it holds.
@pytest.mark.one_flavour("mysql")
def test_gtids_and_binary_log_stand_in_no_restores_way(
    tls_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_restorable(tls_server)
    database = make_database(shop)
    was = content(tls_server, shop.name)
    snapshot = back_up(database)
    executed = _executed(tls_server)

    found = verdict(verify(database))
    run = restore(database, RestoreMode.REPLACE, snapshot=snapshot)

    assert found.verdict == "identical", found.differences
    assert run.status == "succeeded", run.error
    assert content(tls_server, shop.name) == was
    # What was written since came on top of the history, which was not rewritten.
    assert _executed(tls_server).startswith(re.split(":|-[0-9]+$", executed)[0])
    drop_all(shop)


def _executed(server: DatabaseServer) -> str:
    variable = "gtid_executed" if server.flavour == "mysql" else "gtid_binlog_pos"
    ((executed,),) = server.query(f"SELECT @@GLOBAL.{variable}")
    return str(executed)


@pytest.mark.one_flavour("mariadb")
def test_every_table_outside_the_snapshot_is_named(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    engines = ["MyISAM", "MEMORY", "InnoDB", "CSV"] + ["Aria"] * (db_server.flavour == "mariadb")
    shop = make_shop(
        db_server,
        "".join(f"CREATE TABLE in_{engine} (n INT NOT NULL) ENGINE={engine};" for engine in engines),
    )

    found = preflight.make_ready(make_database(shop))

    (warning,) = [text for text in found.warnings if text.startswith("Not InnoDB")]
    named = warning.rpartition(": ")[2].rstrip(".").split(", ")
    assert named == sorted((f"in_{e} ({e})" for e in engines if e != "InnoDB"), key=str.casefold)


@pytest.fixture
def mysql_shop(mysql_server: DatabaseServer) -> Shop:
    """An empty database on MySQL and one who may restore it."""
    return make_restorable(mysql_server, "")


def test_foreign_keys_to_columns_that_are_not_unique(mysql_shop: Shop, make_database: MakeDatabase) -> None:
    """A database that was upgraded has them, and the newer server refuses to make them."""
    mysql_shop.execute(
        "SET SESSION restrict_fk_on_non_standard_key = OFF;"
        "CREATE TABLE p (id INT PRIMARY KEY, b INT, KEY (b)); INSERT INTO p VALUES (1, 2), (2, 2);"
        "CREATE TABLE c (b INT, CONSTRAINT cb FOREIGN KEY (b) REFERENCES p (b)); INSERT INTO c VALUES (2);"
    )
    database = make_database(mysql_shop)

    snapshot = back_up(database)
    run = restore(database, RestoreMode.REPLACE, snapshot=snapshot)

    assert run.status == "succeeded", run.error
    assert mysql_shop.query("SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE"
                            " CONSTRAINT_SCHEMA = DATABASE()") == [(1,)]  # fmt: skip


def test_exact_decimals_in_json_are_told_of(mysql_shop: Shop, make_database: MakeDatabase) -> None:
    mysql_shop.execute(
        "CREATE TABLE j (id INT PRIMARY KEY, doc JSON);"
        "INSERT INTO j VALUES (1, JSON_OBJECT('total', CAST('12.50' AS DECIMAL(9,2))));"
    )
    database = make_database(mysql_shop)
    back_up(database)

    found = verdict(verify(database))

    assert found.verdict == "different"
    assert "rows j differs after the restore (it has JSON columns" in found.differences[0]


def test_binary_log_without_trust_is_warned_of(
    tls_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_shop(tls_server)
    bare = make_shop(tls_server, "CREATE TABLE t (n INT);")
    tls_server.execute("SET GLOBAL log_bin_trust_function_creators = 0")
    try:
        warned = preflight.make_ready(make_database(shop)).warnings
        quiet = preflight.make_ready(make_database(bare)).warnings
    finally:
        tls_server.execute("SET GLOBAL log_bin_trust_function_creators = 1")

    assert any("SET GLOBAL log_bin_trust_function_creators = 1" in warning for warning in warned)
    assert quiet == ()


@pytest.mark.one_flavour("mysql")
def test_a_row_that_no_statement_may_hold(db_server: DatabaseServer, make_database: MakeDatabase) -> None:
    shop = make_restorable(
        db_server, "CREATE TABLE t (b LONGBLOB); INSERT INTO t VALUES (REPEAT('x', 3000000));"
    )
    database = make_database(shop)
    back_up(database)
    ((usual,),) = db_server.query("SELECT @@GLOBAL.max_allowed_packet")
    db_server.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        run = verify(database)
    finally:
        db_server.execute(f"SET GLOBAL max_allowed_packet = {usual}")

    assert "SET GLOBAL max_allowed_packet = " in run.error, f"{run.error} {run.result}"
    drop_all(shop)
