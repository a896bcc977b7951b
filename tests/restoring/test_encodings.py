"""What clients of any character set have made comes back as it was: names, comments and bodies.

The truth is what the server itself tells a client of utf8mb4, and its own program's dump, byte for
byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import MySQLdb
import pytest

from backups.choices import Action, RestoreMode, Trigger
from backups.models import Database, Run, Verification
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    content,
    drop_all,
    log_of,
    make_restorable,
    replace,
    restore,
    succeeded,
    undo,
    with_events_disabled,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]

# A word that can be said in each, with letters whose last byte is a backslash or a backtick there.
WORDS = {
    "latin1": "prüfe", "cp1251": "проверка", "koi8r": "ёлка", "sjis": "表ソ能", "cp932": "髙表",
    "gbk": "測試誠", "big5": "許功蓋", "eucjpms": "表能", "euckr": "검사", "greek": "έλεγχος",
    "utf8mb3": "größe表", "utf8mb4": "größe", "binary": "größe",
}  # fmt: skip
CODECS = {
    "latin1": "cp1252", "sjis": "shift_jis", "koi8r": "koi8-r", "eucjpms": "euc-jp", "euckr": "cp949",
    "greek": "iso8859-7", "binary": "utf-8", "utf8mb3": "utf-8", "utf8mb4": "utf-8",
}  # fmt: skip
# {w} is the word; {q} what names are quoted with.
STATEMENTS = """
CREATE TABLE {q}t {w}{q} (id INT PRIMARY KEY, {q}{w}{q} VARCHAR(40) COMMENT '{w}') COMMENT = '{w}'

INSERT INTO {q}t {w}{q} VALUES (1, '{w}')

CREATE TRIGGER {q}quoted {w}{q} BEFORE INSERT ON {q}t {w}{q} FOR EACH ROW
SET @x = '{w}', @{q}{w}{q} = NEW.{q}{w}{q}

CREATE EVENT {q}e {w}{q} ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2037-01-01 00:00:00' ENABLE
COMMENT '{w}''s' DO SELECT '{w}' AS {q}{w}{q}

CREATE PROCEDURE {q}p {w}{q}(IN {q}a {w}{q} VARCHAR(9) CHARSET utf8mb4) COMMENT '{w}''s' SELECT '{w}'

CREATE FUNCTION {q}f {w}{q}(a ENUM('{w}', 'x')) RETURNS ENUM('{w}', 'y') DETERMINISTIC NO SQL
SQL SECURITY INVOKER COMMENT '{w}' RETURN '{w}'

CREATE VIEW {q}v {w}{q} AS SELECT id AS {q}{w}{q} FROM {q}t {w}{q} WHERE {q}{w}{q} <> '{w}x'
""".strip().split("\n\n")
BARE = "CREATE TRIGGER b_{w} AFTER INSERT ON {q}t {w}{q} FOR EACH ROW BEGIN SET @y = '{w};;'; END"
BACKSLASHED = r"""
CREATE PROCEDURE {q}b {w}{q}() COMMENT '{w} C:\new ''s\' SELECT '{w}\'

CREATE EVENT {q}b {w}{q} ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE
COMMENT '{w} C:\new ''s\' DO SELECT '{w}\'

CREATE TRIGGER {q}b {w}{q} BEFORE DELETE ON {q}t {w}{q} FOR EACH ROW SET @x = '{w}\'
""".strip().split("\n\n")
MADE_BY = "SQL_MODE, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION"
TOLD = f"""
SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT, ACTION_ORDER, {MADE_BY}
FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s ORDER BY 1

SELECT EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT, {MADE_BY}
FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s ORDER BY 1

SELECT ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION, ROUTINE_COMMENT, DTD_IDENTIFIER, {MADE_BY}
FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s ORDER BY 1

SELECT PARAMETER_NAME, SPECIFIC_NAME, ORDINAL_POSITION, DTD_IDENTIFIER
FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = %s ORDER BY 2, 3

SELECT TABLE_NAME, CHARACTER_SET_CLIENT, COLLATION_CONNECTION
FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s ORDER BY 1

SELECT TABLE_NAME, COLUMN_NAME, COLUMN_COMMENT
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s ORDER BY 1, 2

SELECT TABLE_NAME, IF(TABLE_TYPE = 'VIEW', '', TABLE_COMMENT)
FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s ORDER BY 1
""".strip().split("\n\n")


def say(shop: Shop, charset: str, statements: Sequence[str], mode: str = "") -> None:
    """Make things as a client of a character set does."""
    word, codec = WORDS[charset], CODECS.get(charset, charset)
    server = shop.server
    if (
        server.flavour == "mariadb" and charset == "sjis"
    ):  # it ends in a backtick, on which MySQL itself stumbles
        word += "チ"
    connection = MySQLdb.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=shop.name
    )
    with closing(connection):
        connection.query(f"SET NAMES {charset}, SESSION sql_mode = '{mode}'".encode())
        for statement in statements:
            text = statement.format(w=word, q='"' if "ANSI" in mode else "`")
            connection.query(text.encode(codec))


def spoken(server: DatabaseServer, charsets: Sequence[str], mode: str = "") -> Shop:
    """A database made by clients of these character sets."""
    shop = make_restorable(server, "CREATE TABLE plain (id INT PRIMARY KEY);")
    for charset in charsets:
        statements = [*STATEMENTS, BARE]
        stumbles = server.flavour == "mysql" and charset in ("sjis", "cp932", "gbk", "big5")
        if stumbles:  # MySQL itself takes the backslash in a letter for one of its own there
            statements = statements[:-2]
        elif charset == "binary":  # no letter of a word
            statements.pop()
        if "NO_BACKSLASH" in mode and not stumbles:
            statements += BACKSLASHED
        say(shop, charset, statements, mode)
    return shop


def told(server: DatabaseServer, name: str) -> list[list[tuple[object, ...]]]:
    """What the server says of all names, comments and bodies."""
    return [server.query(question, arguments=[name]) for question in TOLD]


def verify(database: Database) -> Verification:
    run = lifecycle.run_enqueue(Wanted(Action.VERIFY, database=database), Asker(Trigger.CLI), send=False)
    played = executor.execute(run.pk)
    found = Verification.objects.filter(run=run).first()
    assert found is not None, played and f"{played.error}\n{log_of(played)}"
    return found


def plays_back(shop: Shop, make_database: MakeDatabase, back_up: BackUp) -> None:
    """Backed up, verified, restored beside, in its place, and undone: the same each time."""
    server, database = shop.server, make_database(shop)
    facts, lines = told(server, shop.name), content(server, shop.name)
    succeeded(back_up(database))

    found = verify(database)
    assert (found.verdict, found.differences, found.not_compared) == ("identical", [], [])

    beside = f"{shop.name}_beside"
    succeeded(restore(database, RestoreMode.NEW, target=beside))
    assert told(server, beside) == facts
    assert content(server, beside) == with_events_disabled(lines)

    replaced = replace(database)
    assert told(server, shop.name) == facts
    assert content(server, shop.name) == lines
    succeeded(undo(replaced))
    assert told(server, shop.name) == facts
    assert content(server, shop.name) == lines
    drop_all(shop)


# tests/restoring/test_general_log.py has names and bodies of all letters, tests/loading/test_names.py clients
# of others.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_names_comments_and_bodies(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    plays_back(spoken(db_server, ["latin1", "sjis", "eucjpms"]), make_database, back_up)


@pytest.mark.soak
@pytest.mark.parametrize("charset", WORDS)
@pytest.mark.parametrize(
    "mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"]
)
def test_each_character_set(
    charset: str, mode: str, db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    plays_back(spoken(db_server, [charset], mode), make_database, back_up)


LACKING = """
CREATE TABLE wide (id INT PRIMARY KEY);
CREATE TABLE before_it (id INT PRIMARY KEY);
"""
BY_LATIN1 = """
CREATE TRIGGER follows BEFORE INSERT ON before_it FOR EACH ROW SET @x = '{w}'

CREATE PROCEDURE told() COMMENT 'of before' SELECT '{w}'

CREATE FUNCTION said() RETURNS INT DETERMINISTIC NO SQL RETURN LENGTH('{w}')
""".strip().split("\n\n")


@pytest.mark.soak
def test_what_its_own_character_set_lacks_is_said(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """A latin1 client's trigger on a table that got a Cyrillic name; comments come back all the same."""
    shop = make_restorable(db_server, LACKING)
    say(shop, "latin1", BY_LATIN1)
    shop.execute("ALTER PROCEDURE told COMMENT 'проверка ''\\\\'; ALTER FUNCTION said COMMENT 'проверка'")
    shop.execute("RENAME TABLE before_it TO `проверка`")
    database = make_database(shop)
    succeeded(back_up(database))
    why = "its character set latin1 lacks what it is now called by or refers to, so it is made as by a client"

    found = verify(database)
    assert (found.verdict, found.differences) == ("identical", [])
    assert found.not_compared == [f"trigger follows: {why} of utf8mb4"]

    facts = told(db_server, shop.name)
    replaced = replace(database)
    assert replaced.result["reworded"] == [{"kind": "trigger", "name": "follows", "why": f"{why} of utf8mb4"}]
    assert f"Trigger follows: {why} of utf8mb4." in log_of(replaced)
    assert as_by_utf8mb4(facts) == told(db_server, shop.name)
    undone = succeeded(undo(replaced))
    assert as_by_utf8mb4(facts) == told(db_server, shop.name)
    assert f"Trigger follows of {shop.name}" not in log_of(undone)
    shop.execute("INSERT INTO `проверка` VALUES (1)")
    drop_all(shop)


def as_by_utf8mb4(facts: list[list[tuple[object, ...]]]) -> list[list[tuple[object, ...]]]:
    """The same, with triggers that are of a client of utf8mb4 now."""
    triggers, *others = facts
    return [[tuple("utf8mb4" if word == "latin1" else word for word in each) for each in triggers], *others]


@pytest.mark.soak
def test_a_view_that_reads_what_its_character_set_lacks(
    mysql_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """MySQL shows it, reads it and dumps it with ? for each letter: it comes back as it was meant."""
    script = "CREATE TABLE people (id INT PRIMARY KEY, `имя` VARCHAR(9)); INSERT INTO people VALUES (1, 'я');"
    shop = make_restorable(mysql_server, script)
    checked = "CREATE VIEW picked AS SELECT * FROM people WHERE id > 0 WITH LOCAL CHECK OPTION"
    say(shop, "latin1", [checked])
    database = make_database(shop)

    backed_up = succeeded(back_up(database))
    assert "View picked has letters that latin1 lacks" in log_of(backed_up)
    found = verify(database)
    assert (found.verdict, found.differences, found.not_compared) == ("identical", [], [])

    replace(database)
    assert shop.query("SELECT `имя` FROM picked") == [("я",)]
    ((charset, option),) = shop.query(
        "SELECT CHARACTER_SET_CLIENT, CHECK_OPTION FROM information_schema.VIEWS "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'picked'"
    )
    assert (charset, option) == ("utf8mb4", "LOCAL")
    drop_all(shop)
