"""What refers to tables, and how many rows they have, as both servers tell it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from backups import mysql
from tests.servers import DatabaseServer

TABLES = """
CREATE TABLE goods (id INT PRIMARY KEY, name VARCHAR(20)) ENGINE=InnoDB;
CREATE TABLE `odd ``name` (id INT PRIMARY KEY);
CREATE TABLE stock (good INT, FOREIGN KEY (good) REFERENCES goods (id));
CREATE TABLE log (what VARCHAR(20)) ENGINE=MyISAM;
INSERT INTO goods VALUES (1, 'a'), (2, 'b');
INSERT INTO stock VALUES (1), (2), (2);
CREATE VIEW named AS SELECT name FROM goods;
CREATE VIEW of_both AS SELECT s.good FROM stock s JOIN goods g ON g.id = s.good;
CREATE VIEW of_odd AS SELECT id FROM `odd ``name`;
CREATE VIEW of_none AS SELECT 'goods' AS goods;
CREATE TRIGGER counted AFTER INSERT ON stock FOR EACH ROW UPDATE goods SET name = 'c' WHERE id = NEW.good;
CREATE TRIGGER noted AFTER INSERT ON goods FOR EACH ROW INSERT INTO log VALUES ('goods_of_all');
"""


@pytest.fixture
def database(db_server: DatabaseServer) -> Iterator[str]:
    name = f"refers_{secrets.token_hex(3)}"
    db_server.create_database(name)
    db_server.load(TABLES, name)
    yield name
    db_server.execute(f"DROP DATABASE {name}")


def test_views_triggers_and_rows_of_tables(db_server: DatabaseServer, database: str) -> None:
    server = mysql.Server(db_server.host, db_server.port, db_server.user, db_server.password)
    with mysql.connect(server) as connection:
        views = mysql.views_reading(connection, database, ["goods", "odd `name"])
        triggers = mysql.triggers_about(connection, database, ["goods"])
        space = mysql.space_by_table(connection, database)
        counted = mysql.rows_within(
            connection, database, ["stock", "goods", "gone", "log"], seconds=20, tick=lambda: None
        )
        in_no_time = mysql.rows_within(connection, database, ["goods"], seconds=0, tick=lambda: None)
    assert {(each.name, each.names) for each in views} == {
        ("named", "goods"), ("of_both", "goods"), ("of_odd", "odd `name"),
    }  # fmt: skip
    assert {(each.name, each.names, each.table) for each in triggers} == {
        ("counted", "goods", "stock"), ("noted", "goods", "goods"),
    }  # fmt: skip
    assert set(space) == {"goods", "odd `name", "stock", "log"}
    assert counted == {"stock": 3, "goods": 2, "gone": None, "log": 0}
    assert in_no_time == {"goods": None}
