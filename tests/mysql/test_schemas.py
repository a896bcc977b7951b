"""What is asked of one database is told of no neighbour that information_schema takes for the same."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from backups import mysql
from backups.mysql.table_status import made_at
from backups.mysql.watching import _columns
from tests.backups.worlds import make_shop
from tests.restoring.stories import quoted
from tests.servers import DatabaseServer

OF_ONE = """
CREATE TABLE parent_{n} (id INT PRIMARY KEY);
CREATE TABLE child_{n} (id INT PRIMARY KEY, p INT,
  CONSTRAINT key_{n} FOREIGN KEY (p) REFERENCES parent_{n} (id));
CREATE TABLE loose_{n} (id INT) ENGINE=MyISAM;
CREATE VIEW view_{n} AS SELECT id FROM child_{n};
CREATE TRIGGER trigger_{n} BEFORE INSERT ON child_{n} FOR EACH ROW SET NEW.id = NEW.id;
CREATE DEFINER=`nobody_{n}`@`%` PROCEDURE procedure_{n}() SELECT 1;
CREATE FUNCTION function_{n}() RETURNS INT DETERMINISTIC NO SQL RETURN 1;
CREATE EVENT event_{n} ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DISABLE DO SELECT {hangs};
"""
INVENTORY = {
    "table": ["child_0", "loose_0", "parent_0"],
    "view": ["view_0"],
    "trigger": ["child_0"],
    "procedure": ["procedure_0"],
    "function": ["function_0"],
    "event": ["event_0"],
}


@pytest.fixture
def neighbours(db_server: DatabaseServer) -> Iterator[list[str]]:
    """Three databases with one name, as careless collations have it."""
    if db_server.flavour == "mysql":  # its binary log is on
        db_server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    # With a letter in it, so that there is another case of it.
    end = f"z{secrets.token_hex(4)}"
    names = [f"an_{end}", f"An_{end}", f"än_{end}"]
    for n, name in enumerate(names):
        make_shop(db_server, OF_ONE.format(n=n, hangs="';;'" if n else "1"), name=name)
    yield names
    for name in (names[1], names[0], names[2]):  # keys may refer to the first
        db_server.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")


def test_all_that_is_told_is_its_own(db_server: DatabaseServer, neighbours: list[str]) -> None:
    server = mysql.Server(db_server.host, db_server.port, db_server.user, db_server.password)
    name, other, _ = neighbours
    db_server.execute(f"CREATE TABLE {quoted(other)}.parent_0 (id INT PRIMARY KEY, more INT)")
    with mysql.connect(server, name) as connection:
        assert mysql.inventory(connection, name) == INVENTORY
        assert mysql.tables_without_snapshot(connection, name) == ["loose_0 (MyISAM)"]
        assert sorted(mysql.engines(connection, name)) == INVENTORY["table"]
        assert mysql.triggers(connection, name) == {("trigger", "trigger_0", "child_0")}
        assert [key.name for key in mysql.foreign_keys(connection, name)] == ["key_0"]
        assert mysql.foreign_key_names(connection, name) == [("child_0", "key_0")]
        assert mysql.referenced_tables(connection, name) == ["parent_0"]
        assert mysql.foreign_keys_into(connection, name) == []
        assert sorted(mysql.definitions_changed_at(connection, name)) == INVENTORY["table"]
        assert mysql.tables_without_primary_key(connection, name) == ["loose_0"]
        assert sorted((one.kind, one.name) for one in mysql.described(connection, name)) == [
            ("event", "event_0"),
            ("function", "function_0"),
            ("procedure", "procedure_0"),
            ("trigger", "trigger_0"),
            ("view", "view_0"),
        ]
        assert made_at(connection, name, "child_0") is not None
        assert made_at(connection, name, "child_1") is None
        for columns in (_columns(connection, [name]), _columns(connection, [name], "parent_0")):
            assert {place: count for place, (count, _) in columns.items() if "parent" in place[1]} == {
                (name, "parent_0"): 1
            }
        mysql.refuse_unreadable(connection, name)
        mysql.refuse_short(connection, name)
        assert [
            table.name for table in mysql.listed_tables(connection, name) if table.is_table and table.bytes
        ]
        assert sorted(mysql.definers(connection, name))[0] == "nobody_0@%"
        assert not any("nobody_1" in one for one in mysql.definers(connection, name))
        mysql.refuse_what_hangs(connection, name)
        mysql.drop_definitions(connection, name)
        assert sorted(mysql.inventory(connection, other)) == sorted(INVENTORY)
        # Neither of these is there, whatever is called alike.
        for absent in (name.upper(), f"{name} ", "än" + name[2:].upper(), "\N{SLICE OF PIZZA}"):
            assert not mysql.database_exists(connection, absent)
            assert mysql.inventory(connection, absent) == {}


def test_a_key_from_a_neighbour_is_one_from_another_database(
    db_server: DatabaseServer, neighbours: list[str]
) -> None:
    server = mysql.Server(db_server.host, db_server.port, db_server.user, db_server.password)
    name, other, _ = neighbours
    db_server.execute(
        f"ALTER TABLE {quoted(other)}.loose_1 ENGINE = InnoDB, ADD COLUMN p INT, "
        f"ADD FOREIGN KEY (p) REFERENCES {quoted(name)}.parent_0 (id)"
    )
    with mysql.connect(server) as connection:
        assert mysql.foreign_keys_into(connection, name) == [(f"{other}.loose_1", "parent_0")]


@pytest.mark.parametrize(("setting", "same"), [(0, False), (1, True), (2, True)])
def test_letters_count_as_the_server_counts_them(setting: int, same: bool) -> None:
    spelled = mysql.spelling_for(setting)
    assert (spelled("Shop") == spelled("shop")) is same
    assert spelled("ä") != spelled("a")
    assert spelled("ß") != spelled("ss")
