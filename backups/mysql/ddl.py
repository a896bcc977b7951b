"""Making, moving and dropping what a database holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import MySQLdb

from backups import process
from backups.dumpfile.quoted import TEXT
from backups.mysql.answers import as_number, execute, fetch_all, fetch_rows
from backups.mysql.connection import at_work
from backups.mysql.introspection import database_defaults, inventory
from backups.mysql.names import quote
from backups.mysql.problems import MySQLProblem
from backups.mysql.schemas import Question, rows_of, spelling
from backups.text.sentences import phrase

_END_RENAME_TRIES = 40


def allow_any_foreign_key(connection: Any) -> list[str]:
    """The statements with which a session allows foreign keys that MySQL refuses from 8.4 on."""
    known = fetch_all(connection, "SHOW SESSION VARIABLES LIKE 'restrict_fk_on_non_standard_key'")
    return ["SET SESSION restrict_fk_on_non_standard_key = OFF"] if known else []


def create_database(connection: Any, database: str, charset: str = "", collation: str = "") -> None:
    """Make a database, with the source's defaults where they are known."""
    defaults = ""
    if re.fullmatch(r"\w+", charset) and re.fullmatch(r"\w+", collation):
        defaults = f" CHARACTER SET {charset} COLLATE {collation}"
    execute(connection, f"CREATE DATABASE {quote(database)}{defaults}")


def set_database_defaults(connection: Any, database: str, charset: str, collation: str) -> None:
    """Give a database its character set and collation, where it has others."""
    if database_defaults(connection, database) == (charset, collation):
        return
    if re.fullmatch(r"\w+", charset) and re.fullmatch(r"\w+", collation):
        execute(connection, f"ALTER DATABASE {quote(database)} CHARACTER SET {charset} COLLATE {collation}")


def drop_database(connection: Any, database: str) -> None:
    """Drop a database and all it holds, where it is there."""
    execute(connection, f"DROP DATABASE IF EXISTS {quote(database)}")


def rename_tables(connection: Any, moves: Sequence[tuple[str, str, str]]) -> None:
    """Move tables between databases in one statement: (from database, to database, table)."""
    parts = ", ".join(
        f"{quote(source)}.{quote(table)} TO {quote(target)}.{quote(table)}" for source, target, table in moves
    )
    allow = allow_any_foreign_key(connection)
    with connection.cursor() as cursor:
        for statement in allow:
            cursor.execute(statement)
        cursor.execute("SET SESSION foreign_key_checks = 0")
        cursor.execute(f"RENAME TABLE {parts}")


def set_next_numbers(connection: Any, database: str, numbers: Mapping[str, int]) -> None:
    """Say of tables which number their AUTO_INCREMENT gives next; one that a row has already is not given.

    What only counts is no change of a table's history, of which MariaDB would ask what is to become.
    """
    if fetch_all(connection, "SHOW SESSION VARIABLES LIKE 'system_versioning_alter_history'"):
        execute(connection, "SET SESSION system_versioning_alter_history = 'KEEP'")
    with at_work(connection):
        for table, number in numbers.items():
            execute(connection, f"ALTER TABLE {quote(database)}.{quote(table)} AUTO_INCREMENT = {number:d}")


def drop_table(connection: Any, database: str, table: str) -> None:
    """Drop a table, of which some files may be missing."""
    execute(connection, "SET SESSION foreign_key_checks = 0")
    # Else MySQL refuses to where they are.
    execute(connection, f"DROP TABLE IF EXISTS {quote(database)}.{quote(table)}")


def end_renames(connection: Any, database: str) -> None:
    """End every RENAME into `database` that still waits for locks: the server does not notice by
    itself that the one who asked for it is dead. Raises MySQLProblem."""
    for _ in range(_END_RENAME_TRIES):
        rows = fetch_rows(
            connection,
            "SELECT ID FROM information_schema.PROCESSLIST "
            "WHERE INFO LIKE 'RENAME TABLE %%' AND INSTR(CAST(INFO AS BINARY), CAST(%s AS BINARY))",
            1,
            [quote(database)],
        )
        if not rows:
            return
        for (thread,) in rows:
            with suppress(MySQLdb.Error):  # it has ended meanwhile
                execute(connection, f"KILL {as_number(thread)}")
        process.sleep_tick()
    raise MySQLProblem(
        phrase("A statement that moves tables to {database} still runs and does not end.", database=database),
        code="swap.statement_does_not_end",
    )


def drop_triggers(connection: Any, database: str, of_tables: Collection[str] | None = None) -> None:
    """Drop a database's triggers, or those of some tables."""
    columns = "TRIGGER_NAME, EVENT_OBJECT_TABLE"
    rows = rows_of(connection, database, Question("TRIGGERS", columns, by="TRIGGER_SCHEMA"))
    for name, table in rows:
        if of_tables is None or table in of_tables:
            execute(connection, f"DROP TRIGGER IF EXISTS {quote(database)}.{quote(str(name))}")


def drop_views(connection: Any, database: str, names: Collection[str] | None = None) -> None:
    """Drop a database's views, or some of them."""
    for name in inventory(connection, database).get("view", []):
        if names is None or name in names:
            execute(connection, f"DROP VIEW IF EXISTS {quote(database)}.{quote(name)}")


def drop_definitions(connection: Any, database: str, *, but_views: Collection[str] = ()) -> None:
    """Drop all that is no table: triggers, views, events, routines, packages, libraries."""
    drop_triggers(connection, database)
    _drop_what_is_of_no_table(connection, database, but_views)


def _drop_what_is_of_no_table(connection: Any, database: str, but_views: Collection[str] = ()) -> None:
    held = inventory(connection, database)
    drop_views(connection, database, set(held.get("view", [])).difference(but_views))
    if "package" in held:
        # MariaDB before 11 parses DROP PACKAGE in Oracle's mode alone.
        execute(connection, "SET SESSION sql_mode = 'ORACLE'")
    # A package's body goes with it.
    for kind in ("event", "procedure", "function", "package", "library"):
        for name in held.get(kind, []):
            execute(connection, f"DROP {kind.upper()} IF EXISTS {quote(database)}.{quote(name)}")


def drop_everything(connection: Any, database: str) -> None:
    """Empty a database without dropping it, for users who could not create it again."""
    held = inventory(connection, database)
    drop_definitions(connection, database)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 0")
    for kind in ("table", "sequence"):
        for name in held.get(kind, []):
            execute(connection, f"DROP {kind.upper()} IF EXISTS {quote(database)}.{quote(name)}")


def drop_all_but(connection: Any, database: str, tables: Collection[str]) -> None:
    """Drop all but these tables and sequences, with their triggers and the sequences that they draw from."""
    held = inventory(connection, database)
    _drop_what_is_of_no_table(connection, database)
    execute(connection, "SET SESSION foreign_key_checks = 0")
    for name in held.get("table", []):
        if name not in tables:
            execute(connection, f"DROP TABLE IF EXISTS {quote(database)}.{quote(name)}")
    sequences = [name for name in held.get("sequence", []) if name not in tables]
    if not sequences:
        return
    drawn_from = _defaults(connection, database)
    for name in sequences:
        if not any(f"{quote(name)})" in default for default in drawn_from):
            execute(connection, f"DROP SEQUENCE IF EXISTS {quote(database)}.{quote(name)}")


def _defaults(connection: Any, database: str) -> list[str]:
    """The defaults that draw from sequences."""
    question = Question("COLUMNS", "COLUMN_DEFAULT", condition="AND COLUMN_DEFAULT LIKE '%%val(%%'")
    return [str(default) for (default,) in rows_of(connection, database, question)]


# A default as MariaDB tells it: texts, names, numbers, signs. No more than that is sent back.
_DRAWS = re.compile(r"(?:[\w\s+*/%(),.-]|`(?:[^`]|``)*+`|'(?:[^'\\]|\\.|'')*+'|)*+", re.A | re.S)
_SEQUENCE = re.compile(
    rf"(?P<text>{TEXT})|\b(?P<draws>nextval|lastval)\((?P<database>`(?:[^`]|``)*+`)\.", re.S
)


def requalify_sequences(connection: Any, database: str, old: str) -> None:
    """Point column defaults that draw from a sequence of `old` at the one in `database`.

    MariaDB stores the sequence's database with the default, and RENAME TABLE leaves it there. Where
    there are no sequences, as on MySQL, a default is anybody's text, and none is looked at.
    """
    if "sequence" not in inventory(connection, database):
        return
    rows = rows_of(
        connection,
        database,
        Question(
            "COLUMNS",
            "TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT",
            condition="AND COLUMN_DEFAULT LIKE '%%val(%%'",
        ),
    )
    spelled = spelling(connection)
    for table, column, default in rows:
        pointed = requalified(str(default), spelled(database), spelled(old))
        if pointed is not None:
            execute(
                connection,
                f"ALTER TABLE {quote(database)}.{quote(str(table))} "
                f"ALTER COLUMN {quote(str(column))} SET DEFAULT {pointed}",
            )


def requalified(default: str, database: str, old: str) -> str | None:
    """A default with the sequences of `database` for those of `old`; None where it draws from none of them.

    What stands in quotes is text, whatever it says.
    """

    def pointed(found: re.Match[str]) -> str:
        if found["text"] or found["database"] != quote(old):
            return found[0]
        return f"{found['draws']}({quote(database)}."

    if not _DRAWS.fullmatch(default):
        return None
    new = _SEQUENCE.sub(pointed, default)
    return new if new != default else None
