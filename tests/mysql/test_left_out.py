"""What no dump carries is named, and a remote server that is away keeps nobody from anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backups import mysql
from tests.backups.worlds import make_shop
from tests.servers import DatabaseServer

MERGED = """
CREATE TABLE january (id INT, KEY (id)) ENGINE=MyISAM;
INSERT INTO january VALUES (1);
CREATE TABLE year (id INT, KEY (id)) ENGINE=MERGE UNION=(january);
"""

BY_TRANSACTIONS = """
CREATE TABLE ledger (id INT PRIMARY KEY, n INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START INVISIBLE,
  e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e))
  WITH SYSTEM VERSIONING;
INSERT INTO ledger VALUES (1, 10), (2, 20);
UPDATE ledger SET n = 11 WHERE id = 1;
"""


def connected(server: DatabaseServer) -> mysql.Server:
    """The server, as its administrator reaches it."""
    return mysql.Server(server.host, server.port, server.user, server.password)


@pytest.mark.parametrize(
    ("engine", "dumped"),
    [
        ("InnoDB", True),
        ("MyISAM", True),
        ("ARCHIVE", True),
        ("", True),
        (None, True),
        ("CONNECT", False),
        ("FEDERATED", False),
        ("SPIDER", False),
        ("S3", False),
        ("BLACKHOLE", False),
        ("MRG_MyISAM", False),
        ("MRG_MYISAM", False),
    ],
)
def test_which_engines_rows_are_in_a_dump(engine: str | None, dumped: bool) -> None:
    assert mysql.rows_are_dumped(engine) is dumped


def test_which_engines_tables_are_in_a_dump_at_all() -> None:
    assert not mysql.is_dumped("S3")
    assert all(mysql.is_dumped(engine) for engine in ("InnoDB", "CONNECT", "FEDERATED", "", None))


def test_mariadb_tells_what_its_dumps_lack(mariadb_server: DatabaseServer) -> None:
    shop = make_shop(
        mariadb_server,
        MERGED + "CREATE TABLE places (id INT PRIMARY KEY, at POINT REF_SYSTEM_ID=4326, other POINT);"
        "CREATE TABLE plain (id INT PRIMARY KEY);",
    )
    mariadb_server.execute(f"ALTER DATABASE `{shop.name}` COMMENT 'the shop of Ada'")
    with mysql.connect(connected(mariadb_server)) as connection:
        told = mysql.not_in_backup(connection, shop.name)
        assert mysql.tables_without_rows(connection, shop.name) == ["year"]
    assert [(left.table, left.why.partition(":")[0]) for left in told] == [
        ("year", "MRG_MyISAM"),
        ("places", "column at"),
        ("", "the database's own comment (the shop of Ada)"),
    ]
    assert "4326" in told[1].why


@pytest.fixture(scope="module")
def federating_server() -> Iterator[DatabaseServer]:
    """A MySQL with the engine that it has off by default."""
    with DatabaseServer("mysql", options=["--federated"]) as server:
        yield server


def test_a_remote_server_that_is_away_is_not_asked(federating_server: DatabaseServer) -> None:
    """Nothing listens there: whoever opens the table gets an error, and MySQL a size of 2^64."""
    shop = make_shop(
        federating_server,
        MERGED + "CREATE TABLE hole (id INT) ENGINE=BLACKHOLE;"
        "CREATE TABLE people (id INT PRIMARY KEY) ENGINE=FEDERATED "
        "CONNECTION='mysql://nobody@127.0.0.1:9/away/people';",
    )
    with mysql.connect(replace(connected(federating_server), user=shop.user, password=shop.password)) as ours:
        assert [left.table for left in mysql.not_in_backup(ours, shop.name)] == ["hole", "people", "year"]
        assert set(mysql.definitions_changed_at(ours, shop.name)) == {"january"}
        assert 0 < mysql.data_length(ours, shop.name) < 1_000_000
        assert 0 < mysql.space_used(ours, shop.name) < 1_000_000
        assert {table.name for table in mysql.listed_tables(ours, shop.name)} == {
            "hole",
            "january",
            "people",
            "year",
        }


def test_history_by_transactions_is_named_and_costs_the_others_theirs(mariadb_server: DatabaseServer) -> None:
    """mariadb-dump takes --dump-history for a whole database, and refuses it where one such table is."""
    shop = make_shop(
        mariadb_server,
        "CREATE TABLE by_times (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; CREATE TABLE plain (id INT);",
    )
    with mysql.connect(connected(mariadb_server)) as connection:
        assert mysql.not_in_backup(connection, shop.name) == []
        mariadb_server.load(BY_TRANSACTIONS, shop.name)
        told = mysql.not_in_backup(connection, shop.name)
        assert mysql.versioned_by_transactions(connection, shop.name) == ["ledger"]
    assert [(left.table, left.why.partition(":")[0]) for left in told] == [
        ("ledger", "history"),
        ("by_times", "history"),
    ]
    listed = [left._asdict() for left in told]
    assert (mysql.without_history(listed), mysql.without_rows(listed)) == (["ledger", "by_times"], [])
