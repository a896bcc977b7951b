"""Tables one by one: how large each is, when it was made and how, and what is special about it."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import MySQLdb

from backups import at_first_use
from backups.dumpfile.quoted import NAME_BYTES, TEXT_BYTES
from backups.mysql.answers import StrangeAnswer, as_number, execute, fetch_rows
from backups.mysql.introspection import inventory
from backups.mysql.left_out import tables_without_rows
from backups.mysql.names import quote
from backups.mysql.schemas import STORED_COLUMNS, Question, but_for, rows_of

_QUOTED = at_first_use.pattern(TEXT_BYTES + rb"|" + NAME_BYTES, re.S)
_DIRECTORY = at_first_use.pattern(rb"\b(?:DATA|INDEX) DIRECTORY\b")


class TableSize(NamedTuple):
    """What SHOW TABLES lists: `bytes` as the server guesses it, `most` what its dump may well take.

    Views and sequences have none.
    """

    name: str
    kind: str
    bytes: int
    most: int

    @property
    def is_table(self) -> bool:
        """Whether it is a table that has rows."""
        return self.kind in ("BASE TABLE", "SYSTEM VERSIONED")


def listed_tables(connection: Any, database: str) -> list[TableSize]:
    """Tables, views and sequences in the order in which the dump programs take them."""
    with suppress(MySQLdb.Error):  # MySQL's own: what it remembers may be a day old
        execute(connection, "SET SESSION information_schema_stats_expiry = 0")
    sizes = {
        str(name): (as_number(size), as_number(most))
        for name, size, most in of_tables(
            connection,
            "TABLE_NAME, COALESCE(DATA_LENGTH, 0), COALESCE(DATA_LENGTH, 0) * "
            "IF(ROW_FORMAT = 'Compressed' OR CREATE_OPTIONS LIKE '%%compress%%', 10, 2)",
            database,
        )
    }
    return [
        TableSize(str(name), str(kind), *sizes.get(str(name), (0, 0)))
        for name, kind in fetch_rows(connection, f"SHOW FULL TABLES FROM {quote(database)}", 2)
    ]


def data_length(connection: Any, database: str) -> int:
    """The server's own estimate of the size of the rows in bytes."""
    return sum(as_number(length) for (length,) in of_tables(connection, "COALESCE(DATA_LENGTH, 0)", database))


def space_used(connection: Any, database: str) -> int:
    """The server's own estimate of what a database takes on disk, in bytes."""
    lengths = of_tables(connection, "COALESCE(DATA_LENGTH + INDEX_LENGTH, 0)", database)
    return sum(as_number(length) for (length,) in lengths)


def set_dump_session_format(connection: Any) -> None:
    """Have `definition` told as the dump programs ask for it: times in UTC, all names quoted."""
    execute(connection, "SET SESSION time_zone = '+00:00', sql_quote_show_create = 1")


def definition(connection: Any, database: str, table: str) -> bytes:
    """A table's CREATE TABLE in the server's words; empty where it knows no table of this name."""
    try:
        rows = fetch_rows(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(table)}", 2, or_more=True)
    except (MySQLdb.Error, StrangeAnswer):  # a dump may be in another character set
        return b""
    # Of a view there are more columns.
    return b"".join(str(made).encode() for _, made, *more in rows if not more)


class Made(NamedTuple):
    """When a table was last created or altered, None where the server does not know, and what it is."""

    at: datetime | None
    engine: str
    is_partitioned: bool


def definitions_changed_at(connection: Any, database: str) -> dict[str, Made]:
    """Of each table with rows of its own when it was made, to notice DDL during a dump."""
    rows = of_tables(
        connection, "TABLE_NAME, TABLE_TYPE, CREATE_TIME, ENGINE, COALESCE(CREATE_OPTIONS, '')", database
    )
    return {
        str(name): Made(at if isinstance(at, datetime) else None, str(engine), "partitioned" in str(options))
        for name, kind, at, engine, options in rows
        if kind in ("BASE TABLE", "SYSTEM VERSIONED")
    }


class MadeAs(NamedTuple):
    """How a table or sequence is stored: its engine, and what it was made with besides; whether a primary
    key tells its rows apart, whether it has utf8mb4 in it, and what its stored columns are computed by."""

    engine: str
    options: str
    has_key: bool
    has_utf8mb4: bool
    expressions: tuple[str, ...] = ()


def made_as(connection: Any, database: str, names: Collection[str] | None = None) -> dict[str, MadeAs]:
    """How tables and sequences are stored, by their names: all, or those of `names` and called alike.

    Of those alone whose rows a dump holds.
    """
    chosen = () if names is None else tuple(names)
    condition = "" if names is None else f" AND TABLE_NAME IN ({', '.join(['%s'] * len(chosen)) or 'NULL'})"

    def of(table: str, columns: str, more: str) -> list[tuple[Any, ...]]:
        question = Question(table, columns, condition=more + condition, arguments=chosen)
        return rows_of(connection, database, question)

    keyed = {str(name) for (name,) in of("STATISTICS", "TABLE_NAME", "AND INDEX_NAME = 'PRIMARY'")}
    in_utf8mb4 = {str(name) for (name,) in of("COLUMNS", "TABLE_NAME", "AND CHARACTER_SET_NAME = 'utf8mb4'")}
    computed: dict[str, list[str]] = {}
    with suppress(MySQLdb.OperationalError):  # a server that is too old to have any, or to tell
        for name, expression in of("COLUMNS", "TABLE_NAME, GENERATION_EXPRESSION", f"AND {STORED_COLUMNS}"):
            computed.setdefault(str(name), []).append(str(expression))
    asked = "TABLE_NAME, ENGINE, COALESCE(CREATE_OPTIONS, ''), COALESCE(TABLE_COLLATION, '')"
    elsewhere = frozenset(tables_without_rows(connection, database))
    return {
        str(name): MadeAs(
            str(engine or ""),
            str(options),
            has_key=str(name) in keyed,
            has_utf8mb4=str(name) in in_utf8mb4 or str(collation).startswith("utf8mb4"),
            expressions=tuple(computed.get(str(name), ())),
        )
        for name, engine, options, collation in of("TABLES", asked, "")
        if name not in elsewhere
    }


def made_at(connection: Any, database: str, table: str) -> datetime | None:
    """When a table was last created or altered, None where it is not there or the server does not know."""
    rows = rows_of(
        connection,
        database,
        Question("TABLES", "TABLE_NAME, CREATE_TIME", condition="AND TABLE_NAME = %s", arguments=[table]),
    )
    return next((at for name, at in rows if name == table and isinstance(at, datetime)), None)


def tables_without_snapshot(connection: Any, database: str) -> list[str]:
    """Tables that a consistent snapshot does not cover: all that are not InnoDB, with their engine."""
    rows = rows_of(
        connection,
        database,
        Question(
            "TABLES",
            "TABLE_NAME, ENGINE",
            condition="AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE <> 'InnoDB' "
            "ORDER BY TABLE_NAME",
        ),
    )
    return [f"{name} ({engine})" for name, engine in rows]


def tables_without_primary_key(connection: Any, database: str) -> list[str]:
    """The tables that have none, sorted; as this user sees them."""
    keyed = rows_of(
        connection, database, Question("STATISTICS", "TABLE_NAME", condition="AND INDEX_NAME = 'PRIMARY'")
    )
    with_key = {str(name) for (name,) in keyed}
    return [name for name in inventory(connection, database).get("table", []) if name not in with_key]


def tables_with_directory(connection: Any, database: str) -> list[str]:
    """Tables that, or partitions of which, lie in a folder of their own (DATA or INDEX DIRECTORY)."""
    may = re.compile(r"DIRECTORY|partitioned", re.I)
    rows = of_tables(connection, "TABLE_NAME, COALESCE(CREATE_OPTIONS, '')", database)
    return [
        str(name)
        for name, options in sorted(rows)
        if may.search(str(options))
        and _DIRECTORY.search(_QUOTED.sub(b"", definition(connection, database, str(name))))
    ]


def tables_with_json(connection: Any, database: str) -> list[str]:
    """Tables with columns of MySQL's own JSON type; MariaDB's is a text."""
    rows = rows_of(
        connection, database, Question("COLUMNS", "TABLE_NAME", condition="AND DATA_TYPE = 'json'")
    )
    return sorted({str(name) for (name,) in rows})


def of_tables(connection: Any, columns: str, database: str) -> list[tuple[Any, ...]]:
    """What information_schema tells of the tables, but for those whose rows are no part of a dump.

    For sizes and times it opens each table, and one whose remote server is away would answer with
    an error, or on MySQL with a size of 2^64.
    """
    elsewhere = tables_without_rows(connection, database)
    return rows_of(
        connection, database, Question("TABLES", columns, condition=but_for(elsewhere), arguments=elsewhere)
    )
