"""Which statements of a dump are sent, and as what; which are left out; which end the load."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.dumpfile.allowed import Allowed, NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.judge import Judge
from backups.dumpfile.ready import Does, LoadOptions
from backups.dumpfile.statements import NoStatement
from backups.dumpfile.tables import tablespace_of
from tests.dumpfile.reading import MARIADB, MYSQL, OPTIONS, SEQUENCE, TABLE, judged, sent

MADE = "CREATE TABLE `t` (`id` int, `n` int) ENGINE=InnoDB"
ROW = "INSERT INTO `t` VALUES (1,NULL),(-2,0x0f);\n"
SENT_ROW = "INSERT INTO `t` VALUES (1,NULL),(-2,0x0f)"

# Behind a table `t`: what of it is sent besides.
SENT: dict[str, tuple[str, list[str]]] = {
    "rows": (ROW, [SENT_ROW]),
    "rows with columns": ("INSERT INTO `t` (`id`, n) VALUES (1,2);", [
        "INSERT INTO `t` (`id`, n) VALUES (1,2)",
    ]),
    "rows that replace": ("REPLACE  INTO `t` VALUES (1,2);", ["REPLACE INTO `t` VALUES (1,2)"]),
    "rows that are ignored": ("INSERT  IGNORE INTO t VALUES (1,2);", ["INSERT IGNORE INTO t VALUES (1,2)"]),
    "rows of the database by name": ("INSERT INTO `live`.`t` VALUES (1,2);", [
        "INSERT INTO `t` VALUES (1,2)",
    ]),
    "rows as Adminer writes them": (
        "INSERT INTO `t` (`id`) VALUES (1)\nON DUPLICATE KEY UPDATE `id` = VALUES(`id`);",
        ["INSERT INTO `t` (`id`) VALUES (1) ON DUPLICATE KEY UPDATE `id` = VALUES(`id`)"],
    ),
    "rows with a comment": ("INSERT INTO t /* x */ VALUES (1,2);", ["INSERT INTO t /* x */ VALUES (1,2)"]),
    "a table anew": (
        "DROP TABLE IF EXISTS `u`;\nCREATE TABLE `u` (`id` int);",
        ["DROP TABLE IF EXISTS `u`", "CREATE TABLE `u` (`id` int)"],
    ),
    "a table that is only dropped": ("DROP TABLE IF EXISTS `u`;", ["DROP TABLE IF EXISTS `u`"]),
    "a drop of the database's by name": ("DROP TABLE `live`.`u`;", ["DROP TABLE IF EXISTS `u`"]),
    "a table where one may stand": (
        "CREATE TABLE IF NOT EXISTS `u` (`id` int);",
        ["CREATE TABLE `u` (`id` int)"],
    ),
    "a table by its database's name": ("CREATE TABLE live.u (id int);", ["CREATE TABLE u (id int)"]),
    "keys that are turned off": (
        "/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n/*!40000 ALTER TABLE `t` ENABLE KEYS */;",
        ["ALTER TABLE `t` DISABLE KEYS", "ALTER TABLE `t` ENABLE KEYS"],
    ),
    "keys afterwards": (
        "ALTER TABLE `t` ADD PRIMARY KEY (`id`), ADD KEY `n` (`n`);\n" + ROW,
        [SENT_ROW, "ALTER TABLE `t` ADD PRIMARY KEY (`id`), ADD KEY `n` (`n`)"],
    ),
    "a column that counts": (
        "ALTER TABLE `t` MODIFY `id` int NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=7;",
        ["ALTER TABLE `t` MODIFY `id` int NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=7"],
    ),
    "a foreign key by its database's name": (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES `live`.`t` (id);",
        ["ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES `t` (id)"],
    ),
    "a whole table that is emptied": ("TRUNCATE TABLE `t`;\nDELETE FROM `t`;", [
        "TRUNCATE TABLE `t`", "DELETE FROM `t`",
    ]),
    "a view": (
        ("/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */\n"
        "/*!50001 VIEW `v` AS select 1 AS `one` from `t` */;"),
        [("CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `v`"
         " AS select 1 AS `one` from `t`")],
    ),
    "a trigger, after the rows": (
        ("DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 TRIGGER `x` BEFORE INSERT"
        f" ON `t` FOR EACH ROW SET NEW.n = 1; */;;\nDELIMITER ;\n{ROW}"),
        [SENT_ROW, "CREATE DEFINER=`a`@`%` TRIGGER `x` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.n = 1;"],
    ),
    "a procedure": (
        ("DELIMITER ;;\nCREATE DEFINER=`a`@`%` PROCEDURE `p`()\nBEGIN DROP TABLE other.t; END ;;\n"
        "DELIMITER ;\n"),
        ["CREATE DEFINER=`a`@`%` PROCEDURE `p`() BEGIN DROP TABLE other.t; END"],
    ),
    "a function": (
        "CREATE FUNCTION `live`.`f`() RETURNS int DETERMINISTIC RETURN 1;",
        ["CREATE FUNCTION `f`() RETURNS int DETERMINISTIC RETURN 1"],
    ),
    "an event, disabled": (
        ("CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' "
        "ON COMPLETION NOT PRESERVE ENABLE DO SELECT 1;"),
        [("CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' "
         "ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1")],
    ),
    "an event without a state": (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;",
        ["CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1"],
    ),
    "an event with a comment alone": (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY COMMENT 'ENABLE' DO SELECT 1;",
        ["CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'ENABLE' DO SELECT 1"],
    ),
    "definitions that are dropped": (
        "DROP PROCEDURE IF EXISTS `p`;\nDROP VIEW IF EXISTS v;\nDROP TRIGGER live.x;\nDROP EVENT e;",
        ["DROP PROCEDURE IF EXISTS `p`", "DROP VIEW IF EXISTS `v`", "DROP TRIGGER IF EXISTS `x`",
         "DROP EVENT IF EXISTS `e`"],
    ),
    "a folder that is the server's own": (
        "CREATE TABLE u (id int) ENGINE=InnoDB DATA DIRECTORY='/mnt' COMMENT='x';",
        ["CREATE TABLE u (id int) ENGINE=InnoDB COMMENT='x'"],
    ),
    "partitions": (
        ("CREATE TABLE u (id int) ENGINE=InnoDB\n/*!50100 PARTITION BY RANGE (id)\n"
        "(PARTITION a VALUES LESS THAN (1) ENGINE = InnoDB) */;"),
        [("CREATE TABLE u (id int) ENGINE=InnoDB PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (1)"
         " ENGINE = InnoDB)")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SENT)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_what_makes_the_databases_own_contents_is_sent(what: str, dialect: Dialect) -> None:
    text, wanted = SENT[what]

    assert sent(TABLE + text + "\n", dialect) == [MADE, *wanted]


def test_sequences_and_their_numbers_of_mariadb() -> None:
    for number in ("DO SETVAL(`s`, 7, 0);", "SELECT SETVAL(`live`.`s`, 7, 0);"):
        verb = number.partition(" ")[0]
        assert sent(SEQUENCE + number) == ["CREATE SEQUENCE `s` start with 1", f"{verb} SETVAL(`s`, 7, 0)"]


def test_a_chosen_table_brings_the_sequences_from_which_it_draws() -> None:
    """One that is there already is left as it is, but for a number that is lower."""
    drawing = "CREATE TABLE `t` (`id` bigint DEFAULT nextval(`live`.`s`));\n"
    others = "CREATE SEQUENCE `other` start with 1;\nDO SETVAL(`other`, 3, 0);\n"
    text = "DROP SEQUENCE IF EXISTS `s`;\n" + SEQUENCE + "DO SETVAL(`s`, 7, 0);\n" + others + drawing

    assert sent(text, options=replace(OPTIONS, tables=frozenset({"t"}))) == [
        "CREATE SEQUENCE IF NOT EXISTS `s` start with 1",
        "DO SETVAL(`s`, 7, 0)",
        "CREATE TABLE `t` (`id` bigint DEFAULT nextval(`live__verify_1`.`s`))",
    ]
    assert sent(text, options=replace(OPTIONS, tables=frozenset({"s"}))) == [
        "DROP SEQUENCE IF EXISTS `s`",
        "CREATE SEQUENCE `s` start with 1",
        "DO SETVAL(`s`, 7, 0)",
    ]


def test_packages_of_mariadb() -> None:
    text = (
        "DELIMITER ;;\nCREATE PACKAGE p AS FUNCTION f RETURN INT; END ;;\n"
        "CREATE PACKAGE BODY `p` AS FUNCTION f RETURN INT AS BEGIN RETURN 1; END; END ;;\nDELIMITER ;\n"
    )

    _, allowed = judged(text)

    assert allowed.found.inventory() == {"package": ["p"], "package body": ["p"]}


def test_histograms_of_mysql() -> None:
    text = "ANALYZE TABLE `t` UPDATE HISTOGRAM ON `n` WITH 100 BUCKETS;"

    assert sent(TABLE + text, MYSQL) == [MADE, text[:-1]]


LEFT_OUT = [
    "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `live` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;",
    "DROP DATABASE IF EXISTS `other`;",
    "USE `live`;",
    "LOCK TABLES `t` WRITE;\nUNLOCK TABLES;",
    "/*!40101 SET NAMES utf8 */;",
    "START TRANSACTION;\nBEGIN;\nCOMMIT;",
    "FLUSH PRIVILEGES;\nFLUSH LOGS;",
    "CHANGE MASTER TO MASTER_LOG_FILE='x', MASTER_LOG_POS=4;",
    "STOP SLAVE;\nSTART SLAVE;\nSTOP ALL SLAVES;\nSTART REPLICA;",
    "CREATE TABLESPACE x ADD DATAFILE 'x' ENGINE=NDB;",
    "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a-b:1-5';\nSET GLOBAL gtid_slave_pos='0-1-2';",
]


@pytest.mark.parametrize("text", LEFT_OUT)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_what_is_no_business_of_a_load_is_left_out(text: str, dialect: Dialect) -> None:
    assert sent(f"{TABLE}{text}\n{ROW}", dialect) == [MADE, SENT_ROW]


def test_version_comments_are_read_as_the_server_reads_them() -> None:
    """A statement that the server would not run is neither sent nor held against the dump."""
    for text, reader in (
        ("/*!999999 GRANT ALL ON *.* TO x */;", MARIADB),
        ("/*M!999999 GRANT ALL ON *.* TO x */;", MARIADB),
        ("/*M! GRANT ALL ON *.* TO x */;", MYSQL),
        ("/*!80000 GRANT ALL ON *.* TO x */;", MARIADB),
        ("/*!99999 GRANT ALL ON *.* TO x */;", MYSQL),
    ):
        assert sent(f"{TABLE}{text}\n{ROW}", reader) == [MADE, SENT_ROW], text
    for text, reader in (
        ("/*!100100 GRANT ALL ON *.* TO x */;", MARIADB),
        ("/*M! GRANT ALL ON *.* TO x */;", MARIADB),
        ("/*! GRANT ALL ON *.* TO x */;", MYSQL),
        ("/*!80000 GRANT ALL ON *.* TO x */;", MYSQL),
        ("/*!50100 GRANT ALL ON *.* TO x */;", MARIADB),
    ):
        with pytest.raises(NotAllowed):
            sent(f"{TABLE}{text}\n{ROW}", reader)


# What would reach out of the database, or run what the dump brings.
REFUSED = [
    "GRANT ALL ON *.* TO x;",
    "CREATE USER x;",
    "DROP USER x;",
    "SELECT 1;",
    "SELECT * INTO OUTFILE '/tmp/x' FROM t;",
    "DO SLEEP(10);",
    "CALL p();",
    "KILL 5;",
    "SHUTDOWN;",
    "RENAME TABLE t TO other.t;",
    "UPDATE t SET n = 1;",
    "DELETE FROM t WHERE id = 1;",
    "DELETE FROM other.t;",
    "TRUNCATE TABLE other.t;",
    "TRUNCATE TABLE u;",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t;",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE t;",
    "INSTALL PLUGIN x SONAME 'x.so';",
    "CREATE FUNCTION f RETURNS STRING SONAME 'x.so';",
    "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x');",
    "INSERT INTO other.t VALUES (1,1);",
    "INSERT INTO `other`.`t` VALUES (1,1);",
    "INSERT INTO u VALUES (1);",
    "INSERT INTO t SELECT * FROM other.t;",
    "INSERT INTO t VALUES (SLEEP(10),1);",
    "INSERT INTO t VALUES ((SELECT 1),1);",
    "INSERT INTO t VALUES (@x,1);",
    "INSERT INTO t VALUES (id,1);",
    "INSERT INTO t VALUES (1,1) ON DUPLICATE KEY UPDATE n = SLEEP(1);",
    "INSERT INTO t VALUES (1,-- '\nSLEEP(1)) -- '\n;",
    "INSERT INTO t SET id = 1;",
    "INSERT INTO t VALUES (1,1) RETURNING id;",
    "INSERT INTO t VALUES (1,/*!50000 SLEEP(1)*/);",
    "INSERT INTO t /*!99999 (id) */ VALUES (1,1);",
    "INSERT INTO t (id /*!50000 ,n */) VALUES (1,1);",
    "INSERT INTO t VALUES (1,1) /*!99999 ,(SLEEP(1),1) */;",
    "INSERT INTO t VALUES (1,1) ON DUPLICATE KEY UPDATE n = VALUES(n) /*!99999 , id = SLEEP(1) */;",
    "INSERT /*+ SET_VAR(sql_mode='') */ INTO t VALUES (1,1);",
    "CREATE TABLE other.u (id int);",
    "CREATE TABLE u SELECT * FROM other.t;",
    "CREATE TABLE u (id int) AS SELECT 1;",
    "CREATE TABLE u LIKE other.t;",
    "CREATE TEMPORARY TABLE u (id int);",
    "CREATE TABLE u (id int) START TRANSACTION;",
    "ALTER TABLE t ADD KEY (id), TABLESPACE shared;",
    "DROP TABLE other.t;",
    "DROP TABLE t, other.t;",
    "DROP TRIGGER other.x;",
    "DROP INDEX i ON t;",
    "ALTER TABLE t RENAME TO other.t;",
    "ALTER TABLE other.t ADD KEY (id);",
    "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES other.t (id);",
    "ALTER TABLE t DISCARD TABLESPACE;",
    "ALTER TABLE t DROP COLUMN n;",
    "ALTER TABLE t AUTO_INCREMENT=7 UNION=(other.t);",
    "ALTER TABLE t AUTO_INCREMENT=7, ENGINE=FEDERATED CONNECTION='mysql://h/other/t';",
    "ALTER TABLE t MODIFY id int DEFAULT (NEXT VALUE FOR other.s);",
    "ALTER TABLE t MODIFY id int DEFAULT (SETVAL(other.s, 5));",
    "ALTER TABLE t ADD VECTOR int DEFAULT 1;",
    "CREATE TABLE u (id int DEFAULT (SETVAL(other.s, 5)));",
    "CREATE TABLE u (id int DEFAULT other.s.nextval);",
    "ALTER TABLE u ADD KEY (id);",
    "CREATE VIEW other.v AS SELECT 1;",
    "CREATE TRIGGER other.x BEFORE INSERT ON t FOR EACH ROW SET @a = 1;",
    "CREATE TRIGGER x BEFORE INSERT ON other.t FOR EACH ROW SET @a = 1;",
    "CREATE TRIGGER x BEFORE INSERT ON nothere FOR EACH ROW SET @a = 1;",
    "CREATE EVENT other.e ON SCHEDULE EVERY 1 DAY DO SELECT 1;",
    "CREATE EVENT e ON SCHEDULE AT f() DO SELECT 1;",
    "CREATE EVENT e ON SCHEDULE AT (SELECT 1) DO SELECT 1;",
    "CREATE PROCEDURE other.p() SELECT 1;",
    "SET GLOBAL read_only = 1;",
    "SET PASSWORD = 'x';",
    "SET @x = (SELECT 1);",
    "SET sql_mode = CONCAT('a', 'b');",
    "SET @@GLOBAL.local_infile = 1;",
    "PREPARE x FROM 'DROP TABLE t';",
    "XA BEGIN 'x';",
    "HANDLER t OPEN;",
    "system touch /tmp/x;",
    "\\! touch /tmp/x;",
    "ALTER USER x IDENTIFIED BY 'x';",
    "CREATE OR REPLACE USER x;",
]


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_anything_else_ends_the_load(text: str, dialect: Dialect) -> None:
    with pytest.raises(NotAllowed) as refused:
        sent(TABLE + text + "\n", dialect)

    assert refused.value.line == 2
    assert refused.value.beginning
    assert text.startswith(refused.value.beginning[:10])


@pytest.mark.parametrize("text", REFUSED)
def test_nor_is_it_sent_in_a_version_comment_or_behind_a_comment(text: str) -> None:
    for hidden in (
        f"/*!40000 {text[:-1]} */;",
        f"/* x */ {text}",
        f"-- x\n{text}",
        f"DELIMITER $$\n{text[:-1]}$$\n",
    ):
        with pytest.raises((NotAllowed, NoStatement)):
            sent(TABLE + hidden + "\n")


# ---------------------------------------------------------------- Of another database, of some tables

ANOTHER = "USE `other`;\nCREATE TABLE `u` (`id` int);\nINSERT INTO `u` VALUES (1);\nUSE `LIVE`;\n"


def test_statements_for_another_database_are_passed_over_and_counted() -> None:
    ready, allowed = judged(TABLE + ANOTHER + ROW)

    assert [one.text.decode() for one in ready] == [TABLE.strip().rstrip(";"), ROW.strip().rstrip(";")]
    assert allowed.found.others == {"other": 2}
    assert allowed.found.own_statements == 2


def test_chosen_tables_come_with_their_triggers_and_nothing_else() -> None:
    text = (
        TABLE + ROW + "CREATE TABLE `u` (`id` int);\nINSERT INTO `u` VALUES (1);\n"
        "ALTER TABLE `u` ADD KEY (`id`);\n"
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET @a = 1;\n"
        "CREATE TRIGGER b BEFORE INSERT ON u FOR EACH ROW SET @a = 1;\n"
        "CREATE VIEW v AS SELECT 1;\nCREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;\nDROP TABLE w;\n"
    )  # fmt: skip

    ready, allowed = judged(text, options=LoadOptions("live", source="live", tables=frozenset({"t"})))

    assert [(one.does, one.table) for one in ready] == [
        (Does.TABLE, "t"), (Does.ROWS, "t"), (Does.DEFINITION, "t"),
    ]  # fmt: skip
    assert allowed.found.events == []


def test_the_current_user_defines_where_that_is_wished_for() -> None:
    options = LoadOptions("live", source="live", current_user_defines=True)
    heads = ["DEFINER=`a`@`%`", "DEFINER='a'@'b'", "DEFINER=a@b", "DEFINER = role", "DEFINER=CURRENT_USER()"]
    for head in heads:
        (view,) = sent(f"CREATE {head} VIEW v AS SELECT 1;\n", options=options)
        assert "CURRENT_USER VIEW v AS SELECT 1" in view, head


@pytest.mark.parametrize(
    ("stated", "state"),
    [
        ("ENABLE", b"ENABLE"),
        ("", b"ENABLE"),
        ("DISABLE", b"DISABLE"),
        ("DISABLE ON SLAVE", b"DISABLE ON SLAVE"),
    ],
)
def test_an_events_state_is_kept_for_later(stated: str, state: bytes) -> None:
    text = f"CREATE DEFINER=`a`@`%` EVENT `e``x` ON SCHEDULE EVERY 1 DAY {stated} DO SELECT 1;\n"
    (ready,), allowed = judged(text)

    (event,) = allowed.found.events
    assert b" DISABLE " in ready.text
    assert b"SLAVE" not in ready.text
    assert (event.name, event.definer, event.state) == ("e`x", b"`a`@`%`", state)
    assert event.settled().text == b"ALTER DEFINER=`a`@`%` EVENT `e``x` " + state


FAR = {
    "ENGINE=FEDERATED CONNECTION='mysql://x'": "keeps rows elsewhere",
    "ENGINE=CONNECT TABLE_TYPE=MYSQL": "keeps rows elsewhere",
    "ENGINE=MRG_MyISAM UNION=(other.t)": "in another database",
    # To the servers, two dashes before any control character begin a comment, also before DEL.
    "ENGINE=MRG_MyISAM --\x7f'\n UNION=(other.t) -- '\n": "in another database",
}


@pytest.mark.parametrize("options", FAR)
def test_a_table_that_lies_elsewhere_is_not_made_and_named(options: str) -> None:
    text = f"CREATE TABLE `far` (`id` int) {options};\nINSERT INTO `far` VALUES (1);\n"

    ready, allowed = judged(TABLE + text)

    assert [one.table for one in ready] == ["t"]
    (left,) = allowed.found.left_out
    assert left.name == "far"
    assert FAR[options] in left.why


def test_a_foreign_key_to_another_database_waits_for_the_tables_place() -> None:
    text = (
        "CREATE TABLE `u` (`id` int, KEY `k` (`id`),"
        " CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `other`.`t` (`id`));"
    )

    ready, allowed = judged(text)

    assert [one.text for one in ready] == [b"CREATE TABLE `u` (`id` int, KEY `k` (`id`))"]
    (key,) = allowed.found.outward
    assert key.text.startswith(b"ALTER TABLE `u` ADD CONSTRAINT `f` FOREIGN KEY")
    assert "in another database" in allowed.found.left_out[0].why


# By what a table says of its tablespace: what is sent where the live one lies in `shared`, and elsewhere.
TABLESPACES = {
    "/*!50100 TABLESPACE `shared` */ ENGINE=InnoDB": ("TABLESPACE `shared` ENGINE=InnoDB", "ENGINE=InnoDB"),
    "/*!50100 TABLESPACE `shared` STORAGE DISK */ ENGINE=InnoDB": (
        "TABLESPACE `shared` STORAGE DISK ENGINE=InnoDB",
        "STORAGE DISK ENGINE=InnoDB",
    ),
    "TABLESPACE = shared": ("TABLESPACE = shared", ""),
    "/*!50100 TABLESPACE `innodb_system` */ ENGINE=InnoDB": ("ENGINE=InnoDB", "ENGINE=InnoDB"),
    "PARTITION BY HASH (`id`) (PARTITION p0 TABLESPACE = `shared` ENGINE = InnoDB)": (
        "PARTITION BY HASH (`id`) (PARTITION p0 ENGINE = InnoDB)",
        "PARTITION BY HASH (`id`) (PARTITION p0 ENGINE = InnoDB)",
    ),
}


@pytest.mark.parametrize("options", TABLESPACES)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_tablespace_is_only_the_live_tables_own(options: str, is_there: bool) -> None:
    asked: list[str] = []

    def tablespace_of(table: str) -> str:
        asked.append(table)
        return "shared" if is_there else ""

    allowed = Allowed(MYSQL, OPTIONS, tablespace_of=tablespace_of)
    judge = Judge(MYSQL, allowed)
    text = f"CREATE TABLE `u` (`id` int) {options};\n".encode()
    (ready,) = [*judge.feed(text), *judge.close(), *allowed.rest()]

    kept = TABLESPACES[options][0 if is_there else 1]
    assert " ".join(ready.text.decode().split()) == f"CREATE TABLE `u` (`id` int) {kept}".strip()
    assert set(asked) <= {"u"}
    told = [one.why for one in allowed.found.left_out]
    assert len(told) == (0 if "TABLESPACE" in kept else 1)
    assert all("in which no live table of this name lies" in why for why in told)


def test_what_is_cut_leaves_no_trace_to_compare() -> None:
    begins, ends = "CREATE TABLE `u` (\n  `id` int\n)", " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

    (ready,), _ = judged(f"{begins} /*!50100 TABLESPACE `x` */{ends};\n", MYSQL)

    assert ready.text.decode() == begins + ends


def test_a_file_of_its_own_and_a_column_of_that_name_are_nothing_to_ask_about() -> None:
    for table in (
        "CREATE TABLE `u` (`tablespace` int, `storage` int) ENGINE=InnoDB",
        "CREATE TABLE `u` (tablespace int, start int)",
        "CREATE TABLE `u` (id int) TABLESPACE `innodb_file_per_table` ENGINE=InnoDB",
        "CREATE TABLE `u` (tablespace int) PARTITION BY HASH (tablespace + 1) PARTITIONS 2",
    ):
        ready, allowed = judged(table + ";\n", MYSQL)
        assert [one.text.decode() for one in ready] == [table]
        assert allowed.found.left_out == []


@pytest.mark.parametrize(
    ("definition", "tablespace"),
    [
        ("CREATE TABLE `a` (\n  `id` int\n) /*!50100 TABLESPACE `sha``red` */ ENGINE=InnoDB", "sha`red"),
        ("CREATE TABLE `a` (\n  `tablespace` int COMMENT ') TABLESPACE x'\n) COMMENT='TABLESPACE `x`'", ""),
        ("CREATE TABLE `a` (`id` int) PARTITION BY HASH (id) (PARTITION p TABLESPACE = `x`)", ""),
        ("", ""),
    ],
)
def test_the_tablespace_of_a_table_is_read_out_of_its_definition(definition: str, tablespace: str) -> None:
    assert tablespace_of(definition.encode(), MYSQL) == tablespace


# ---------------------------------------------------------------- Anything

WORDS = st.lists(
    st.sampled_from(
        ["CREATE", "TABLE", "INSERT", "INTO", "VALUES", "(", ")", ",", "`t`", "t", ".", "other", "live",
         "'x'", '"y"', "1", "NULL", ";", ";\n", "/*!40000", "/*M!", "*/", "/*", "-- x\n", "SET", "@a",
         "@@", "=", "USE", "DROP", "ALTER", "DATABASE", "ADD", "KEY", "REFERENCES", "FOREIGN", "VIEW",
         "AS", "SELECT", "TRIGGER", "EVENT", "ON SCHEDULE", "DO", "DEFINER", "SETVAL", "ENGINE", "UNION",
         "COMMENT", "DIRECTORY", "DATA", "nextval", "DEFAULT", "NAMES", "utf8mb4", "sql_mode", "IF",
         "EXISTS", "DELIMITER ;;\n", "`", "'", '"', "\\", "-"]
    ),
    max_size=30,
)  # fmt: skip


def is_read_or_refused(text: bytes, dialect: Dialect) -> None:
    """Nothing is raised but the two refusals, which have words of their own."""
    with suppress(NotAllowed, NoStatement):
        judged(text, dialect)


@settings(max_examples=500, deadline=None)
@given(words=WORDS, dialect=st.sampled_from([MARIADB, MYSQL]), with_table=st.booleans())
def test_words_in_any_order_are_sent_or_refused(words: list[str], dialect: Dialect, with_table: bool) -> None:
    is_read_or_refused((TABLE * with_table + " ".join(words)).encode(), dialect)


@settings(max_examples=300, deadline=None)
@given(text=st.binary(max_size=200), dialect=st.sampled_from([MARIADB, MYSQL]))
def test_any_bytes_are_sent_or_refused(text: bytes, dialect: Dialect) -> None:
    is_read_or_refused(text, dialect)
    is_read_or_refused(b"INSERT INTO t VALUES (" + text + b");\n", dialect)
    is_read_or_refused(b"CREATE TABLE t (" + text + b");\n", dialect)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_what_is_sent_does_not_depend_on_the_pieces(text: str, cuts: list[int]) -> None:
    literal = text.replace("\\", "\\\\").replace("'", "''")
    dump = f"{TABLE}INSERT INTO `t` VALUES (1,'{literal}');\n".encode()

    ready, _ = judged(dump, cuts=[min(cut, len(dump)) for cut in cuts])

    assert [one.does for one in ready] == [Does.TABLE, Does.ROWS]
    assert ready[1].text == f"INSERT INTO `t` VALUES (1,'{literal}')".encode()


def test_a_wish_is_what_the_reader_begins_with() -> None:
    assert Allowed(MARIADB, OPTIONS).settings.charset == "utf8mb4"
