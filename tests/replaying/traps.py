"""What has led replays of logs astray: each as statements of one session, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from backups.binlog.barriers import Code

BOTH = ("mariadb", "mysql")
MARIADB, MYSQL = ("mariadb",), ("mysql",)


@dataclass(frozen=True)
class Trap:
    """Statements of a session; `ends` is what ends the replay, None where all is made again.

    That is a barrier's code, or a problem's.

    Each begins on a line of its own, and goes on in lines that are indented. A ⏎ is a newline in it.
    """

    name: str
    script: str
    ends: Code | str | None = None
    flavours: tuple[str, ...] = BOTH
    database: str = "source"
    # In `make test`.
    always: bool = False
    # The version that has it first.
    since: tuple[int, ...] = ()
    # The version of MariaDB from which on it is another thing.
    until: tuple[int, ...] = ()

    @property
    def statements(self) -> list[str]:
        """In their order."""
        lines = self.script.strip().replace("\n  ", " ").splitlines()
        return [line.replace("⏎", "\n") for line in lines]


TRAPS = (
    Trap(
        "row image minimal",
        """
SET SESSION binlog_row_image = 'MINIMAL'
CREATE TABLE t (i INT PRIMARY KEY, a INT, g INT AS (a + 1) STORED, d INT DEFAULT 7)
INSERT INTO t (i, a) VALUES (1, 1), (2, 2)
UPDATE t SET a = 5 WHERE i = 2
DELETE FROM t WHERE i = 1
""",
    ),
    Trap(
        "row image noblob",
        """
SET SESSION binlog_row_image = 'NOBLOB'
CREATE TABLE t (i INT PRIMARY KEY, b BLOB, c INT)
INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2)
UPDATE t SET c = 5
UPDATE t SET b = 'y' WHERE i = 2
""",
    ),
    Trap(
        "parts of json",
        """
SET SESSION binlog_row_value_options = 'PARTIAL_JSON', binlog_row_image = 'MINIMAL'
CREATE TABLE t (i INT PRIMARY KEY, j JSON)
INSERT INTO t VALUES (1, '{"a": 1, "b": [1, 2, 3], "long": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}')
UPDATE t SET j = JSON_SET(j, '$.a', 5)
UPDATE t SET j = JSON_REPLACE(j, '$.b[1]', 'z')
""",
        flavours=MYSQL,
    ),
    Trap(
        "compressed transactions",
        """
SET SESSION binlog_transaction_compression = ON
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
INSERT INTO t VALUES (1, REPEAT('x', 40)), (2, REPEAT('y', 40))
DELETE FROM t WHERE i = 1
""",
        flavours=MYSQL,
        always=True,
    ),
    Trap(
        "rows query beside",
        """
SET SESSION binlog_rows_query_log_events = ON
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
INSERT INTO t VALUES (1, 'a')
""",
        flavours=MYSQL,
    ),
    Trap(
        "several domains of one session",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
SET SESSION gtid_domain_id = 5
INSERT INTO t VALUES (1, 'a')
SET SESSION gtid_domain_id = 6, server_id = 99
INSERT INTO t VALUES (2, 'b')
CREATE TABLE u LIKE t
""",
        flavours=MARIADB,
    ),
    Trap(
        "checks off",
        """
CREATE TABLE p (i INT PRIMARY KEY)
CREATE TABLE c (i INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (i) ON DELETE CASCADE)
SET SESSION foreign_key_checks = 0, unique_checks = 0
INSERT INTO c VALUES (1, 77)
INSERT INTO p VALUES (1)
INSERT INTO c VALUES (2, 1), (3, 1)
SET SESSION foreign_key_checks = 1
DELETE FROM p
CREATE TABLE d (i INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES c (i))
""",
        always=True,
    ),
    Trap(
        "keys that are swapped",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
INSERT INTO t VALUES (1, 'a'), (2, 'b')
START TRANSACTION
UPDATE t SET i = 0 WHERE i = 1
UPDATE t SET i = 1 WHERE i = 2
UPDATE t SET i = 2 WHERE i = 0
COMMIT
""",
    ),
    Trap(
        "cascades of three levels and set null",
        """
CREATE TABLE a (i INT PRIMARY KEY)
CREATE TABLE b (i INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (i) ON DELETE CASCADE ON
  UPDATE CASCADE)
CREATE TABLE c (i INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES b (i) ON DELETE SET NULL)
CREATE TABLE e (a INT, n INT, PRIMARY KEY (a, n), FOREIGN KEY (a) REFERENCES a (i) ON UPDATE CASCADE)
INSERT INTO a VALUES (1), (2), (3)
INSERT INTO b VALUES (1, 1), (2, 2), (3, 3)
INSERT INTO c VALUES (1, 1), (2, 2), (3, 3)
INSERT INTO e VALUES (3, 1)
DELETE FROM a WHERE i = 1
UPDATE a SET i = 30 WHERE i = 3
""",
    ),
    Trap(
        "tables that no rollback undoes",
        """
CREATE TABLE m (i INT PRIMARY KEY) ENGINE = MyISAM
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
START TRANSACTION
INSERT INTO t VALUES (1, 'undone')
INSERT INTO m VALUES (1), (2)
ROLLBACK
DELETE FROM m WHERE i = 1
""",
        flavours=MARIADB,
    ),
    Trap(
        "temporary tables",
        """
CREATE TABLE t (i INT PRIMARY KEY)
CREATE TEMPORARY TABLE tt (i INT)
INSERT INTO tt VALUES (1), (2)
INSERT INTO t SELECT i FROM tt
DROP TEMPORARY TABLE tt
""",
    ),
    Trap(
        "zero dates and other modes",
        r"""
SET SESSION sql_mode = ''
CREATE TABLE t (i INT PRIMARY KEY, d DATE NOT NULL DEFAULT '0000-00-00', c CHAR(5), z BINARY(4))
INSERT INTO t (i, c, z) VALUES (1, 'a', 'a\0\0\0'), (2, '', '')
ALTER TABLE t ADD y DATETIME NOT NULL
SET SESSION sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'
UPDATE t SET c = 'b' WHERE i = 1
""",
    ),
    Trap(
        "a session of another time, zone and numbering",
        """
SET SESSION time_zone = '+05:30', timestamp = 1000000000, auto_increment_increment = 10,
  auto_increment_offset = 3
CREATE TABLE t (v INT PRIMARY KEY, id INT DEFAULT 0)
INSERT INTO t (v) VALUES (1), (2)
ALTER TABLE t ADD at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
ALTER TABLE t ADD at6 DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)
CREATE TABLE k AS SELECT v, NOW(6) AS now FROM t
""",
        always=True,
    ),
    Trap(
        "checks that do not hold",
        """
CREATE TABLE t (i INT PRIMARY KEY)
INSERT INTO t VALUES (-1)
SET SESSION check_constraint_checks = 0
ALTER TABLE t ADD CONSTRAINT positive CHECK (i > 0)
INSERT INTO t VALUES (-2)
""",
        flavours=MARIADB,
    ),
    Trap(
        "if exists implied",
        """
CREATE TABLE t (i INT PRIMARY KEY, v INT)
SET SESSION sql_if_exists = 1
DROP TABLE nowhere
ALTER TABLE t DROP COLUMN v
""",
        flavours=MARIADB,
    ),
    Trap(
        "quotes of ansi",
        """
SET SESSION sql_mode = 'ANSI_QUOTES'
CREATE TABLE "{source}"."t" (i INT PRIMARY KEY, "q" VARCHAR(9) DEFAULT '"')
ALTER TABLE "{source}"."t" ADD "r" INT
CREATE VIEW "{source}".v AS SELECT "i" FROM "{source}"."t"
INSERT INTO "{source}"."t" (i) VALUES (1)
""",
        always=True,
    ),
    Trap(
        "backslashes that escape nothing",
        r"""
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'
CREATE TABLE {source}.t (i INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'C:\')
ALTER TABLE {source}.t COMMENT = 'a\', ADD w VARCHAR(9) DEFAULT '\', ADD KEY (v)
INSERT INTO t (i) VALUES (1)
""",
        always=True,
    ),
    Trap(
        "oracle",
        """
SET SESSION sql_mode = 'ORACLE'
CREATE TABLE "{source}"."t" (i NUMBER(5) PRIMARY KEY, v VARCHAR2(9))
CREATE PROCEDURE {source}.p(a IN INT) AS BEGIN INSERT INTO t VALUES (a, 'x'); END
CALL p(3)
""",
        flavours=MARIADB,
    ),
    Trap(
        "a client of latin1",
        """
SET NAMES latin1
CREATE TABLE `año` (`ñ` INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'é')
ALTER TABLE {source}.`año` ADD w ENUM('ä', 'ö') DEFAULT 'ö' COMMENT 'ü'
INSERT INTO `año` (`ñ`) VALUES (1)
CREATE VIEW v AS SELECT `ñ`, 'ß' AS s FROM {source}.`año`
CREATE PROCEDURE p() SELECT 'ß'
""",
        always=True,
    ),
    Trap(
        "a client of sjis",
        """
SET NAMES sjis
CREATE TABLE {source}.`表` (i INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET sjis DEFAULT 'ソ')
ALTER TABLE {source}.`表` ADD `能` INT COMMENT '十'
INSERT INTO `表` (i) VALUES (1)
""",
    ),
    Trap(
        "a client of gbk",
        """
SET NAMES gbk
CREATE TABLE {source}.`誠` (i INT PRIMARY KEY, v VARCHAR(9) DEFAULT '運')
ALTER TABLE {source}.`誠` ADD w INT COMMENT '縗'
INSERT INTO `誠` (i) VALUES (1)
""",
    ),
    Trap(
        "collations with large numbers",
        """
SET NAMES utf8mb4 COLLATE utf8mb4_uca1400_german2_ai_ci
CREATE TABLE t (v VARCHAR(20) PRIMARY KEY)
CREATE VIEW w AS SELECT v, 'ü' AS u FROM t
CREATE PROCEDURE p() SELECT 'ü'
INSERT INTO t VALUES ('ä')
""",
        flavours=MARIADB,
    ),
    Trap(
        "another collation by default",
        """
SET SESSION default_collation_for_utf8mb4 = utf8mb4_general_ci
CREATE TABLE t (v VARCHAR(20) CHARACTER SET utf8mb4)
INSERT INTO t VALUES ('ä')
""",
        flavours=MYSQL,
    ),
    Trap(
        "tables named as kinds of things",
        """
CREATE TABLE `user` (i INT PRIMARY KEY)
INSERT INTO `user` VALUES (1), (2)
CREATE TABLE `event` (i INT PRIMARY KEY)
INSERT INTO `event` VALUES (1), (2)
CREATE TABLE `server` (i INT PRIMARY KEY)
INSERT INTO `server` VALUES (1), (2)
CREATE TABLE `role` (i INT PRIMARY KEY)
INSERT INTO `role` VALUES (1), (2)
CREATE TABLE `tables` (i INT PRIMARY KEY)
INSERT INTO `tables` VALUES (1), (2)
CREATE TABLE `status` (i INT PRIMARY KEY)
INSERT INTO `status` VALUES (1), (2)
CREATE TABLE `trigger_` (i INT PRIMARY KEY)
INSERT INTO `trigger_` VALUES (1), (2)
CREATE TABLE `view_` (i INT PRIMARY KEY)
INSERT INTO `view_` VALUES (1), (2)
TRUNCATE user
TRUNCATE TABLE server
RENAME TABLE event TO events
DROP TABLE role, status
ALTER TABLE tables ADD v INT
""",
        always=True,
    ),
    Trap(
        "a table named like its database",
        """
CREATE TABLE `{source}` (id INT PRIMARY KEY, v INT)
INSERT INTO {source}.{source} VALUES (1, 2)
ALTER TABLE {source}.{source} ADD w INT
""",
    ),
    Trap(
        "names of all letters",
        """
CREATE TABLE `a``b ."c'` (`x``y` INT PRIMARY KEY, `select` INT)
INSERT INTO `a``b ."c'` VALUES (1, 2)
ALTER TABLE {source}.`a``b ."c'` ADD INDEX `i ``x` (`select`)
CREATE TABLE `☃é` LIKE `a``b ."c'`
DROP TABLE {source}.`☃é`
""",
        always=True,
    ),
    Trap(
        "comments and words before",
        """
/* app */ CREATE TABLE t (i INT PRIMARY KEY)
-- first⏎ALTER⏎	TABLE /* in */ t ADD v INT
CREATE OR REPLACE VIEW w AS SELECT * FROM t
/*!40000 ALTER TABLE t ADD x INT */
rename /* gh-ost */ table t to _t_del
CREATE TABLE t LIKE _t_del
DROP TABLE IF EXISTS _t_del, _never_was
""",
        always=True,
    ),
    Trap(
        "words of MariaDB's",
        """
CREATE OR REPLACE TABLE t (i INT PRIMARY KEY)
INSERT INTO t VALUES (1)
CREATE OR REPLACE TABLE t (i INT PRIMARY KEY, v INT)
ALTER ONLINE TABLE t ADD w INT DEFAULT 4
RENAME TABLES t TO u
""",
        flavours=MARIADB,
    ),
    Trap(
        "triggers, routines and views that name the live database",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
CREATE TABLE {source}.n (x INT)
CREATE TRIGGER {source}.tr AFTER INSERT ON {source}.t FOR EACH ROW INSERT INTO {source}.n VALUES (1)
CREATE PROCEDURE {source}.p() DELETE FROM {source}.n
INSERT INTO t VALUES (1, 'a')
CALL p()
INSERT INTO t VALUES (2, 'b')
DROP TRIGGER {source}.tr
INSERT INTO t VALUES (3, 'c')
""",
        always=True,
    ),
    Trap(
        "sequences",
        """
CREATE SEQUENCE s START WITH 5 INCREMENT BY 3 CACHE 10
CREATE TABLE t (i INT PRIMARY KEY DEFAULT (NEXT VALUE FOR s), v INT)
INSERT INTO t (v) VALUES (1), (2)
SELECT NEXTVAL(s)
ALTER SEQUENCE {source}.s INCREMENT BY 7
SELECT SETVAL(s, 500)
""",
        flavours=MARIADB,
        always=True,
    ),
    Trap(
        "tables with history",
        """
CREATE TABLE t (i INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING
INSERT INTO t VALUES (1, 1), (2, 2)
UPDATE t SET v = 5
DELETE FROM t WHERE i = 1
CREATE TABLE x (i INT PRIMARY KEY, v INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, e
  TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING
INSERT INTO x (i, v) VALUES (1, 1)
UPDATE x SET v = 2
CREATE TABLE later (i INT PRIMARY KEY)
INSERT INTO later VALUES (1)
ALTER TABLE later ADD SYSTEM VERSIONING
DELETE FROM later
SET SESSION system_versioning_alter_history = KEEP
ALTER TABLE t ADD w INT DEFAULT 3
DELETE HISTORY FROM x
""",
        flavours=MARIADB,
    ),
    Trap(
        "the database is dropped",
        """
DROP DATABASE {source}
CREATE DATABASE {source}
""",
        Code.DATABASE,
    ),
    Trap(
        "two databases in one statement",
        """
CREATE TABLE o (i INT)
CREATE TABLE {other}.o (i INT)
DROP TABLE o, {other}.o
""",
        Code.OTHER_DATABASE,
        always=True,
    ),
    Trap(
        "a table that comes from elsewhere",
        """
CREATE TABLE {other}.o (i INT)
RENAME TABLE {other}.o TO {source}.o
""",
        Code.MOVED,
        always=True,
    ),
    Trap(
        "unqualified beside ours",
        """
CREATE TABLE o (i INT)
CREATE TABLE {source}.v AS SELECT * FROM o
DROP TABLE {source}.v, o
""",
        Code.OTHER_DATABASE,
        database="other",
    ),
    Trap(
        "rows as a statement",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
SET SESSION binlog_format = 'STATEMENT'
INSERT INTO t VALUES (1, 'a')
""",
        Code.STATEMENT_ROWS,
        always=True,
    ),
    Trap(
        "rows of others as a statement",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(40))
INSERT INTO t VALUES (1, 'a')
CREATE TABLE {other}.n (i INT)
USE {other}
SET SESSION binlog_format = 'STATEMENT'
INSERT INTO n VALUES (1)
""",
    ),
    Trap(
        "primary keys that nobody sees",
        """
SET SESSION sql_generate_invisible_primary_key = ON
CREATE TABLE t (v INT)
INSERT INTO t VALUES (1), (2)
DELETE FROM t WHERE v = 1
""",
        flavours=MYSQL,
    ),
    Trap(
        "sequences of which too little is logged",
        """
CREATE SEQUENCE s
SET SESSION binlog_row_image = 'MINIMAL'
SELECT NEXTVAL(s)
""",
        "replay.sequence_incomplete",
        flavours=MARIADB,
    ),
    Trap(
        "tables that depend on a variable",
        """
SET SESSION binlog_format = 'STATEMENT'
SET @a = 5
CREATE TABLE t AS SELECT @a AS a
""",
        Code.STATEMENT_ROWS,
    ),
    Trap(
        "a view whose name is logged in another character set than its text",
        """
SET NAMES latin1
CREATE TABLE t (i INT)
CREATE VIEW `é` AS SELECT i, 'ß' AS s FROM t
""",
        Code.CHARSET,
        flavours=MYSQL,
    ),
    Trap(
        "the same of a view of MariaDB's",
        """
SET NAMES latin1
CREATE TABLE t (i INT)
CREATE VIEW `é` AS SELECT i, 'ß' AS s FROM t
""",
        flavours=MARIADB,
    ),
    Trap(
        "the same of a routine",
        """
SET NAMES latin1
CREATE PROCEDURE `é`() SELECT 'ß'
""",
        Code.CHARSET,
    ),
    Trap(
        "a trigger and a table with letters of latin1",
        """
SET NAMES latin1
CREATE TABLE `ü` (i INT PRIMARY KEY, v VARCHAR(9))
CREATE TRIGGER `é` BEFORE INSERT ON `ü` FOR EACH ROW SET NEW.v = 'ß'
INSERT INTO `ü` VALUES (1, '')
CREATE TABLE `ö` LIKE `ü`
""",
    ),
    Trap(
        "tables without transactions",
        """
CREATE TABLE m (i INT PRIMARY KEY, v VARCHAR(9)) ENGINE = MyISAM
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(9))
INSERT INTO t VALUES (1, 'a')
INSERT INTO m VALUES (1, 'a'), (2, 'b')
UPDATE m SET v = 'c'
INSERT INTO t VALUES (2, 'b')
DELETE FROM m WHERE i = 1
""",
        always=True,
    ),
    Trap(
        "a neighbour's statement that reaches us by a trigger",
        """
CREATE TABLE {source}.t (i INT PRIMARY KEY)
CREATE TABLE o (i INT PRIMARY KEY)
CREATE TRIGGER r AFTER INSERT ON o FOR EACH ROW INSERT INTO {source}.t VALUES (NEW.i)
SET SESSION binlog_format = 'STATEMENT'
INSERT INTO o VALUES (1)
""",
        Code.STATEMENT_ROWS,
        flavours=MYSQL,
        database="other",
    ),
    Trap(
        "an engine of the session's",
        """
SET SESSION default_storage_engine = 'MyISAM'
CREATE TABLE t (i INT PRIMARY KEY)
""",
        Code.SETTING,
        flavours=MYSQL,
    ),
    Trap(
        "an engine that is told, and settings that decide about no statement of these",
        """
SET SESSION default_storage_engine = 'MyISAM', div_precision_increment = 12, default_week_format = 3
CREATE TABLE t (i INT PRIMARY KEY, a INT, b INT, c DECIMAL(30, 20) AS (a / b) STORED,
  d DECIMAL(30, 20) DEFAULT (1 / 3)) ENGINE = InnoDB
INSERT INTO t (i, a, b) VALUES (1, 1, 3)
UPDATE t SET a = 2
CREATE TABLE u LIKE t
INSERT INTO u (i, a, b) SELECT i, a, b FROM t
""",
        always=True,
        until=(11,),
    ),
    Trap(
        "a division by the session's precision",
        """
CREATE TABLE t (i INT PRIMARY KEY, a INT, b INT)
INSERT INTO t VALUES (1, 1, 3)
SET SESSION div_precision_increment = 12
ALTER TABLE t ADD c DECIMAL(30, 20) AS (a / b) STORED
""",
        Code.SETTING,
        always=True,
    ),
    Trap(
        "columns that are computed anew by the session's precision",
        """
CREATE TABLE t (i INT PRIMARY KEY, a INT, b INT, c DECIMAL(30, 20) AS (a / b) STORED) ENGINE = InnoDB
INSERT INTO t (i, a, b) VALUES (1, 1, 3)
SET SESSION div_precision_increment = 12
ALTER TABLE t MODIFY a BIGINT
""",
        Code.SETTING,
    ),
    Trap(
        "utf8 as MariaDB's sessions understand it, which of functions it logs as it is understood",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8)
SET SESSION old_mode = ''
CREATE FUNCTION f() RETURNS VARCHAR(9) CHARACTER SET utf8 RETURN 'a'
""",
        flavours=MARIADB,
    ),
    Trap(
        "the same of databases",
        """
SET SESSION old_mode = ''
ALTER DATABASE {source} CHARACTER SET utf8
""",
        Code.SETTING,
        flavours=MARIADB,
    ),
    Trap(
        "times that become dates",
        """
CREATE TABLE t (i INT PRIMARY KEY, a TIME)
INSERT INTO t VALUES (1, '10:00:00')
SET SESSION old_mode = 'ZERO_DATE_TIME_CAST', sql_mode = ''
ALTER TABLE t CHANGE a b DATETIME
""",
        Code.SETTING,
        flavours=MARIADB,
    ),
    Trap(
        "numbers for rows that nothing tells apart",
        """
CREATE TABLE t (v INT)
INSERT INTO t VALUES (1), (2)
ALTER TABLE t ADD id INT AUTO_INCREMENT PRIMARY KEY
""",
        Code.ROW_ORDER,
        always=True,
    ),
    Trap(
        "numbers for rows that have a key of numbers already",
        """
CREATE TABLE t (v INT, KEY (v))
INSERT INTO t VALUES (0), (0)
ALTER TABLE t MODIFY v INT NOT NULL AUTO_INCREMENT
""",
        Code.ROW_ORDER,
    ),
    Trap(
        "a wider number",
        """
CREATE TABLE t (i INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT)
INSERT INTO t (v) VALUES (1), (2)
ALTER TABLE t MODIFY i BIGINT NOT NULL AUTO_INCREMENT
INSERT INTO t (v) VALUES (3)
""",
    ),
    Trap(
        "rows that are alike left out",
        """
CREATE TABLE t (a INT, b INT)
INSERT INTO t VALUES (1, 1), (1, 2)
ALTER IGNORE TABLE t ADD UNIQUE (a)
""",
        Code.ROW_ORDER,
        flavours=MARIADB,
    ),
)
