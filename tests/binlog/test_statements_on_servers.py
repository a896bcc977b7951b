"""What servers write into their logs, let out for a copy: it becomes as the database, and all else stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import MySQLdb
import pytest

from backups.binlog.barriers import Barrier, Code
from backups.binlog.logged import Logged
from backups.binlog.statements import Judged, Ours, judged
from tests.binlog.judging import MARIADB, MYSQL, TARGET
from tests.servers import DatabaseServer

PASSWORD = "of the one who replays"
DATABASES = ("shop", "other", TARGET)
# What clients typed, each behind its default database. https://github.com/github/gh-ost renames as here.
STORY = """\
shop: CREATE TABLE IF NOT EXISTS `orders` (id INT PRIMARY KEY, note VARCHAR(30) DEFAULT 'shop.x', n \
DECIMAL(8,2) DEFAULT .5) ENGINE=InnoDB
: CREATE TABLE shop . /* of orders */ items (id INT PRIMARY KEY, o INT, KEY user (o), CONSTRAINT of_order \
FOREIGN KEY (o) REFERENCES shop.orders (id) ON DELETE CASCADE)
other: create table shop.1a like shop.orders
other: CREATE TABLE t (id INT PRIMARY KEY)
shop: CREATE TABLE other.u LIKE orders
shop: CREATE TABLE shop (id INT, shop INT)
shop: CREATE TABLE user (id INT PRIMARY KEY)
shop: ALTER TABLE user ADD COLUMN `table` INT DEFAULT 1.5 COMMENT 'other.t', ALGORITHM=INPLACE
other: ALTER TABLE shop.user RENAME COLUMN `table` TO `server`, ADD INDEX event (server)
other: CREATE UNIQUE INDEX i ON shop.user (id, server)
shop: DROP INDEX i ON user
shop: ALTER TABLE orders ADD CONSTRAINT positive CHECK (orders.n >= 0)
shop: CREATE TABLE parts (id INT NOT NULL) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), \
PARTITION b VALUES LESS THAN MAXVALUE)
shop: CREATE TABLE part (id INT NOT NULL)
shop: ALTER TABLE shop.parts EXCHANGE PARTITION a WITH TABLE shop.part
: /* gh-ost */ rename /* it */ table `shop`.`parts` to `shop`.`_parts_del`, `shop`.`part` to `shop`.`parts`
other: TRUNCATE shop . user
shop: truncate user
shop: CREATE FUNCTION shop.double_it(a INT) RETURNS INT DETERMINISTIC RETURN 2 * a
shop: CREATE OR REPLACE VIEW v AS SELECT shop.id, o.note, extract(year FROM curdate()) y, (SELECT \
max(l.id) FROM shop.items l, user WHERE l.o = o.id) AS m FROM orders o USE INDEX FOR ORDER BY (PRIMARY), \
(shop.shop) ORDER BY o.id
shop: CREATE VIEW shop.w AS WITH c AS (SELECT id FROM shop.orders) SELECT c.id FROM c JOIN shop.items \
USING (id)
shop: ALTER VIEW w AS SELECT count(shop.orders.id) AS n FROM shop.orders UNION SELECT \
shop.double_it(shop.items.id) AS n FROM shop.items
other: CREATE VIEW of_others AS SELECT * FROM shop.orders
shop: CREATE TRIGGER shop.counts BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.n = 1 /* shop.x */
shop: CREATE TRIGGER more AFTER INSERT ON orders FOR EACH ROW INSERT INTO shop.user (id) VALUES (NEW.id)
other: CREATE PROCEDURE shop.`p q`() COMMENT 'other.x' BEGIN SELECT * FROM shop.orders; DELETE FROM \
other.t; END
shop: ALTER PROCEDURE `p q` SQL SECURITY INVOKER
other: DROP FUNCTION IF EXISTS shop.nothing
shop: CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY STARTS NOW() + INTERVAL 1 HOUR ON COMPLETION \
PRESERVE ENABLE COMMENT 'x' DO DELETE FROM shop.user
shop: ALTER EVENT nightly RENAME TO shop.daily
shop: DROP TRIGGER shop.more
shop: CREATE TABLE copied (id INT) AS SELECT id FROM orders
shop: CREATE TABLE dropped (id INT)
shop: CREATE TABLE dropped_too (id INT)
other: DROP TABLE IF EXISTS shop.dropped, shop.dropped_too
other: DROP TABLE u
shop: DROP TABLE IF EXISTS nothing
other: ANALYZE TABLE shop.orders
shop: CREATE USER IF NOT EXISTS someone
shop: GRANT SELECT ON shop.* TO someone
shop: CREATE DATABASE IF NOT EXISTS shop
shop: ALTER DATABASE CHARACTER SET latin1
: ALTER DATABASE shop DEFAULT COLLATE = utf8mb4_bin
"""
ONLY_MARIADB = """
shop: CREATE OR REPLACE TABLE user (id INT) WITH SYSTEM VERSIONING
shop: CREATE SEQUENCE shop.counter START WITH 5 INCREMENT BY 2 CACHE 10
other: CREATE TABLE shop.drawn (a INT DEFAULT NEXTVAL(shop.counter), b INT DEFAULT (NEXT VALUE FOR \
shop.counter))
shop: ALTER ONLINE TABLE drawn WAIT 5 ADD c INT
shop: ALTER SEQUENCE counter RESTART 50
shop: RENAME TABLES drawn WAIT 3 TO drawn_too
"""
ONLY_MYSQL = """
shop: CREATE TABLE made (id INT, data JSON, x INT AS (data->'$.x'), KEY ((cast(made.id AS CHAR(5)))))
shop: CREATE VIEW listed AS SELECT j.a FROM shop.made, JSON_TABLE(made.data, '$[*]' COLUMNS (a INT PATH \
'$.a')) j
"""
# How the definitions of a database are read; {} is its name.
QUESTIONS = tuple(
    f"SELECT {columns} FROM information_schema.{table} WHERE {by} = '{{}}' ORDER BY 1"
    for table, by, columns in (
        ("TABLES", "TABLE_SCHEMA", "TABLE_NAME, TABLE_TYPE"),
        (
            "ROUTINES",
            "ROUTINE_SCHEMA",
            "ROUTINE_NAME, ROUTINE_DEFINITION, SECURITY_TYPE, DEFINER, ROUTINE_COMMENT",
        ),
        ("TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT, DEFINER"),
        (
            "EVENTS",
            "EVENT_SCHEMA",
            "EVENT_NAME, EVENT_DEFINITION, INTERVAL_VALUE, ON_COMPLETION, EVENT_COMMENT",
        ),
        ("SCHEMATA", "SCHEMA_NAME", "DEFAULT_COLLATION_NAME"),
    )
)


def definitions(server: DatabaseServer, database: str) -> list[Any]:
    """All that is defined in a database, as if its name were shop."""
    found: list[Any] = [server.query(question.replace("{}", database)) for question in QUESTIONS]
    for name, kind in found[0]:
        word = "VIEW" if kind == "VIEW" else "TABLE"
        found.append(server.query(f"SHOW CREATE {word} `{database}`.`{name}`")[0][1])
        if kind != "VIEW":
            found.append(server.query(f"SELECT COUNT(*) FROM `{database}`.`{name}`"))
    return [repr(each).replace(f"`{database}`", "`shop`") for each in found]


class Story:
    """What was done on a server, as its log has it."""

    def __init__(self, server: DatabaseServer) -> None:
        self.server = server
        self.dialect = MARIADB if server.flavour == "mariadb" else MYSQL
        for name in DATABASES:
            server.create_database(name)
        grants = [f"ALL ON `{TARGET}`.*"]
        grants += (
            ["SET USER ON *.*"]
            if server.flavour == "mariadb"
            else ["SET_ANY_DEFINER, SYSTEM_USER, ALLOW_NONEXISTENT_DEFINER ON *.*"]
        )
        server.create_user("replays", PASSWORD, grants)
        self._begin()

    def _end(self) -> tuple[str, int]:
        show = "SHOW BINARY LOG STATUS" if self.server.flavour == "mysql" else "SHOW MASTER STATUS"
        return self.server.query(show)[0][:2]

    def _begin(self) -> None:
        self._file, self._position = self._end()

    def tell(self, story: str, before: str = "DO 0") -> None:
        """Do it; each line is a default database and a statement."""
        for line in filter(None, story.splitlines()):
            default, _, statement = line.partition(": ")
            self.server.execute(f"{before}; {statement}", default.removesuffix(":") or None)

    def logged(self, mode: str = "") -> Iterator[Logged]:
        """The statements of the log since it began."""
        rows = self.server.query(f"SHOW BINLOG EVENTS IN '{self._file}' FROM {self._position}")
        for row in rows:
            if row[2] != "Query":
                continue
            found = re.fullmatch(r"(?:use `([^`]*)`; )?(.*?)(?: /\* xid=\d+ \*/)?", row[5], re.S)
            assert found is not None
            yield Logged(
                found[2].encode(),
                found[1] or "",
                "utf8mb4",
                self.dialect,
                ansi_quotes="ANSI_QUOTES" in mode,
                no_backslash_escapes="NO_BACKSLASH_ESCAPES" in mode,
            )

    def replay(self, mode: str = "") -> list[tuple[bytes, Judged]]:
        """Send what is ours to the copy, as somebody who has rights there alone."""
        judgements = [(each.text, judged(each, "shop", folds_case=False)) for each in self.logged(mode)]
        connection = MySQLdb.connect(
            host=self.server.host, port=self.server.port, user="replays", password=PASSWORD, database=TARGET,
            charset="utf8mb4", autocommit=True,
        )  # fmt: skip
        try:
            connection.query(f"SET SESSION sql_mode = '{mode}', foreign_key_checks = 0".encode())
            for text, each in judgements:
                if isinstance(each, Ours):
                    sent = each.text(TARGET).replace(b"START TRANSACTION", b"")
                    try:
                        connection.query(sent)
                    except MySQLdb.Error as error:
                        raise AssertionError((text, sent)) from error
        finally:
            connection.close()
        return judgements


def barriers(judgements: list[tuple[bytes, Judged]]) -> list[tuple[bytes, Code]]:
    """Where a replay would stop."""
    return [(text, each.code) for text, each in judgements if isinstance(each, Barrier)]


@pytest.mark.one_flavour("mariadb")
def test_a_copy_becomes_as_the_database_and_nothing_else_changes(logging_server: DatabaseServer) -> None:
    story = Story(logging_server)
    story.tell(STORY + (ONLY_MARIADB if logging_server.flavour == "mariadb" else ONLY_MYSQL))
    before = {name: definitions(logging_server, name) for name in ("shop", "other")}

    judgements = story.replay()

    assert barriers(judgements) == []
    assert definitions(logging_server, TARGET) == before["shop"]
    assert {name: definitions(logging_server, name) for name in ("shop", "other")} == before
    states = logging_server.query(
        f"SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{TARGET}'"
    )
    assert states == [("DISABLED",)]


@pytest.mark.soak
def test_quotes_of_another_sql_mode_reach_nothing_else_either(logging_server: DatabaseServer) -> None:
    mode = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"
    story = Story(logging_server)
    story.tell(
        """\
other: CREATE TABLE "shop"."a" (id INT PRIMARY KEY, "shop" VARCHAR(9) DEFAULT 'C:\\')
shop: ALTER TABLE "shop" . "a" ADD "b" VARCHAR(9) DEFAULT '\\' COMMENT '"other"."t"', RENAME TO "shop"."b"
other: CREATE VIEW "shop"."v" AS SELECT "shop"."b"."id", '\\' AS x FROM "shop"."b"
shop: CREATE TRIGGER "shop"."t" BEFORE INSERT ON "shop"."b" FOR EACH ROW SET @a = '"other"\\'
""",
        f"SET sql_mode = '{mode}'",
    )
    before = {name: definitions(logging_server, name) for name in ("shop", "other")}

    judgements = story.replay(mode)

    assert barriers(judgements) == []
    assert definitions(logging_server, TARGET) == before["shop"]
    assert {name: definitions(logging_server, name) for name in ("shop", "other")} == before
