"""What a database holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.connection import execute, fetch_all
from backups.mysql.left_out import tables_without_rows, tables_without_rows_anywhere
from backups.mysql.names import quote
from backups.mysql.problems import MySQLProblem, UnknownDatabase
from backups.mysql.server import MARIADB, ServerInfo

Inventory = dict[str, list[str]]


def database_defaults(connection: Any, database: str) -> tuple[str, str]:
    """The database's default character set and collation. Raises UnknownDatabase."""
    rows = fetch_all(
        connection,
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME "
        "FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
        [database],
    )
    if not rows:
        raise UnknownDatabase(f"There is no database {database} that we may see.")
    return str(rows[0][0]), str(rows[0][1])


def default_collations(connection: Any, info: ServerInfo) -> dict[str, str]:
    """Each character set's default collation on MySQL, for `stream.normalised_table`."""
    if info.flavour == MARIADB:
        return {}
    return {
        str(charset): str(collation)
        for charset, collation in fetch_all(
            connection,
            "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS",
        )
    }


def count_rows(connection: Any, database: str, table: str) -> int:
    """How many rows a table has, by counting them."""
    ((count,),) = fetch_all(connection, f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}")  # noqa: S608
    return int(count)


def database_exists(connection: Any, database: str) -> bool:
    """Whether the server has the database, as far as this user sees."""
    return bool(
        fetch_all(
            connection,
            "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
            [database],
        )
    )


def inventory(connection: Any, database: str) -> Inventory:
    """The names of all objects in a database, by kind, sorted; as this user sees them.

    Triggers by their table's name, once for each.
    """
    found: Inventory = {}
    for kind, statement in _INVENTORY.items():
        names = [str(name) for (name,) in fetch_all(connection, statement, [database])]
        if names:
            found[kind] = sorted(names)
    for kind, name in fetch_all(connection, _ROUTINES, [database]):
        found.setdefault(str(kind).lower(), []).append(str(name))
    for kind in ("procedure", "function", "package", "package body"):
        if kind in found:
            found[kind].sort()
    return found


_INVENTORY = {
    "table": "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    "view": "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_TYPE = 'VIEW'",
    "sequence": "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_TYPE = 'SEQUENCE'",
    "trigger": "SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    "event": "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
}
_ROUTINES = "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"


def refuse_what_hangs(connection: Any, database: str) -> None:
    """Raise MySQLProblem for events on which both flavours' dump programs loop for ever.

    Their search for a delimiter never ends where an event's text holds `;;` (seen in MariaDB
    10.11 and MySQL 9.7).
    """
    rows = fetch_all(
        connection,
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s "
        "AND INSTR(CONCAT_WS(' ', DEFINER, EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT), ';;')",
        [database],
    )
    if rows:
        raise MySQLProblem(
            f"The event {rows[0][0]} holds two semicolons in a row, on which the dump program hangs.",
            do="Alter the event so that `;;` does not occur in its name, body or comment.",
        )


def tables_without_snapshot(connection: Any, database: str) -> list[str]:
    """Tables that a consistent snapshot does not cover: all that are not InnoDB, with their engine."""
    rows = fetch_all(
        connection,
        "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
        "AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE <> 'InnoDB' "
        "ORDER BY TABLE_NAME",
        [database],
    )
    return [f"{name} ({engine})" for name, engine in rows]


def tables(connection: Any, database: str) -> list[str]:
    """All that RENAME TABLE moves: tables and MariaDB's sequences."""
    held = inventory(connection, database)
    return sorted([*held.get("table", []), *held.get("sequence", [])])


class ForeignKey(NamedTuple):
    """A foreign key of `table`, to `referenced` in the database `schema`, whether that is there or not."""

    table: str
    name: str
    schema: str
    referenced: str


def foreign_keys(connection: Any, database: str) -> list[ForeignKey]:
    """The foreign keys of a database, sorted."""
    rows = _references(
        connection,
        "CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME",
        "CONSTRAINT_SCHEMA = %s",
        [database],
    )
    spelled = _spelling(connection)
    # information_schema compares names by a collation in which others may be equal.
    return sorted(ForeignKey(*map(str, key)) for schema, *key in rows if spelled(schema) == spelled(database))


def keys_without_parent(connection: Any, database: str) -> list[ForeignKey]:
    """Foreign keys to tables of their own database that are not there, as foreign_key_checks=0 allows."""
    spelled = _spelling(connection)
    held = {spelled(name) for name in inventory(connection, database).get("table", [])}
    return [
        key
        for key in foreign_keys(connection, database)
        if spelled(key.schema) == spelled(database) and spelled(key.referenced) not in held
    ]


def _spelling(connection: Any) -> Callable[[str], str]:
    """In which form names of databases and tables are equal on this server."""
    ((setting,),) = fetch_all(connection, "SELECT @@lower_case_table_names")
    return str.casefold if setting else str


def crossing_foreign_keys(connection: Any, database: str, chosen: Collection[str]) -> list[tuple[str, str]]:
    """Foreign keys between chosen tables and others of the database: (table, the table it refers to)."""
    return [
        (key.table, key.referenced)
        for key in foreign_keys(connection, database)
        if key.schema == database and (key.table in chosen) != (key.referenced in chosen)
    ]


def is_read_only(connection: Any, database: str) -> bool:
    """Whether the database itself is (MySQL's ALTER DATABASE … READ ONLY).

    https://dev.mysql.com/doc/refman/8.4/en/information-schema-schemata-extensions-table.html
    """
    with suppress(MySQLdb.Error):  # MariaDB and older servers know no such table
        rows = fetch_all(
            connection,
            "SELECT OPTIONS FROM information_schema.SCHEMATA_EXTENSIONS WHERE SCHEMA_NAME = %s",
            [database],
        )
        return any("READ ONLY=1" in str(options) for (options,) in rows)
    return False


def tables_with_directory(connection: Any, database: str) -> list[str]:
    """Tables that, or partitions of which, lie in a folder of their own (DATA or INDEX DIRECTORY)."""
    may = re.compile(r"DIRECTORY|partitioned", re.I)
    rows = _of_tables(connection, "TABLE_NAME, COALESCE(CREATE_OPTIONS, '')", database)
    return [
        str(name)
        for name, options in sorted(rows)
        if may.search(str(options))
        and _DIRECTORY.search(_QUOTED.sub(b"", definition(connection, database, str(name))))
    ]


_QUOTED = re.compile(rb"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`", re.S)
_DIRECTORY = re.compile(rb"\b(?:DATA|INDEX) DIRECTORY\b")


class BrokenView(NamedTuple):
    """A view that reads what is not there any more, with the statement that made it."""

    name: str
    statement: str
    charset: str
    collation: str


def broken_views(connection: Any, database: str) -> list[BrokenView]:
    """The views at which the dump programs end. `connection` has the database chosen."""
    found = []
    for name in inventory(connection, database).get("view", []):
        try:
            # As the dump programs ask for what they write first of each view.
            fetch_all(connection, f"SHOW FIELDS FROM {quote(name)}")
        except MySQLdb.Error:
            ((_, *told),) = fetch_all(connection, f"SHOW CREATE VIEW {quote(name)}")
            found.append(BrokenView(name, *map(str, told)))
    return found


def triggers(connection: Any, database: str) -> set[tuple[str, str, str]]:
    """The triggers of a database: "trigger", their names and their tables."""
    rows = fetch_all(
        connection,
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
        [database],
    )
    return {("trigger", str(name), str(table)) for name, table in rows}


def foreign_keys_into(connection: Any, database: str) -> list[tuple[str, str]]:
    """Foreign keys of other databases, as far as we see them: (database.table, the table referred to)."""
    rows = _references(
        connection,
        "CONSTRAINT_SCHEMA, TABLE_NAME, REFERENCED_TABLE_NAME",
        "UNIQUE_CONSTRAINT_SCHEMA = %s AND CONSTRAINT_SCHEMA <> %s",
        [database, database],
    )
    return [(f"{schema}.{table}", str(referenced)) for schema, table, referenced in rows]


def foreign_key_names(connection: Any, database: str) -> list[tuple[str, str]]:
    """The foreign keys of a database: (table, name)."""
    rows = _references(connection, "TABLE_NAME, CONSTRAINT_NAME", "CONSTRAINT_SCHEMA = %s", [database])
    return [(str(table), str(name)) for table, name in rows]


def referenced_tables(connection: Any, database: str) -> list[str]:
    """The tables to which foreign keys of a database refer, whether these are there or not."""
    rows = _references(connection, "DISTINCT REFERENCED_TABLE_NAME", "CONSTRAINT_SCHEMA = %s", [database])
    return [str(name) for (name,) in rows]


def _references(
    connection: Any, columns: str, condition: str, arguments: Sequence[str]
) -> list[tuple[Any, ...]]:
    """What information_schema tells of foreign keys.

    It opens tables for that, and one whose remote server is away answers with an error: asked again
    without such tables, which have no foreign keys.
    """
    select = f"SELECT {columns} FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE {condition}"  # noqa: S608
    try:
        return fetch_all(connection, select, arguments)
    except MySQLdb.Error:
        far = tables_without_rows_anywhere(connection)
        if not far:
            raise
        return fetch_all(connection, select + _but_for(far), [*arguments, *far])


def tables_with_json(connection: Any, database: str) -> list[str]:
    """Tables with columns of MySQL's own JSON type; MariaDB's is a text."""
    rows = fetch_all(
        connection,
        "SELECT DISTINCT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s "
        "AND DATA_TYPE = 'json'",
        [database],
    )
    return [str(name) for (name,) in rows]


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
        str(name): (int(size), int(most))
        for name, size, most in _of_tables(
            connection,
            "TABLE_NAME, COALESCE(DATA_LENGTH, 0), COALESCE(DATA_LENGTH, 0) * "
            "IF(ROW_FORMAT = 'Compressed' OR CREATE_OPTIONS LIKE '%%compress%%', 10, 2)",
            database,
        )
    }
    return [
        TableSize(str(name), str(kind), *sizes.get(str(name), (0, 0)))
        for name, kind in fetch_all(connection, f"SHOW FULL TABLES FROM {quote(database)}")
    ]


def data_length(connection: Any, database: str) -> int:
    """The server's own estimate of the size of the rows in bytes."""
    ((length,),) = _of_tables(connection, "COALESCE(SUM(DATA_LENGTH), 0)", database)
    return int(length)


def space_used(connection: Any, database: str) -> int:
    """The server's own estimate of what a database takes on disk, in bytes."""
    ((length,),) = _of_tables(connection, "COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0)", database)
    return int(length)


def _of_tables(connection: Any, columns: str, database: str) -> list[tuple[Any, ...]]:
    """What information_schema tells of the tables, but for those whose rows are no part of a dump.

    For sizes and times it opens each table, and one whose remote server is away would answer with
    an error, or on MySQL with a size of 2^64.
    """
    elsewhere = tables_without_rows(connection, database)
    select = f"SELECT {columns} FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"  # noqa: S608
    return fetch_all(connection, select + _but_for(elsewhere), [database, *elsewhere])


def _but_for(tables: Sequence[str]) -> str:
    """What leaves these tables out of a question; their names are its last arguments."""
    return f" AND TABLE_NAME NOT IN ({', '.join(['%s'] * len(tables))})" if tables else ""


def describe_as_dumps_do(connection: Any) -> None:
    """Have `definition` told as the dump programs ask for it: times in UTC, all names quoted."""
    execute(connection, "SET SESSION time_zone = '+00:00', sql_quote_show_create = 1")


def definition(connection: Any, database: str, table: str) -> bytes:
    """A table's CREATE TABLE in the server's words; empty where it knows none of this name."""
    try:
        ((_, text),) = fetch_all(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(table)}")
    except (MySQLdb.Error, UnicodeError):  # a dump may be in another character set
        return b""
    return str(text).encode()


class Made(NamedTuple):
    """When a table was last created or altered, None where the server does not know, and what it is."""

    at: datetime | None
    engine: str
    is_partitioned: bool


def definitions_changed_at(connection: Any, database: str) -> dict[str, Made]:
    """Of each table with rows of its own when it was made, to notice DDL during a dump."""
    rows = _of_tables(
        connection, "TABLE_NAME, TABLE_TYPE, CREATE_TIME, ENGINE, COALESCE(CREATE_OPTIONS, '')", database
    )
    return {
        str(name): Made(at if isinstance(at, datetime) else None, str(engine), "partitioned" in str(options))
        for name, kind, at, engine, options in rows
        if kind in ("BASE TABLE", "SYSTEM VERSIONED")
    }


def made_at(connection: Any, database: str, table: str) -> datetime | None:
    """When a table was last created or altered, None where it is not there or the server does not know."""
    rows = fetch_all(
        connection,
        "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
        [database, table],
    )
    return next((at for name, at in rows if name == table and isinstance(at, datetime)), None)


def definitions_digested(connection: Any, database: str) -> dict[tuple[str, str], str]:
    """The views and routines of a database, each with a digest of its text, as far as we may see it."""
    return {
        (str(kind).lower(), str(name)): str(digest)
        for statement in (_VIEW_TEXTS, _ROUTINE_TEXTS)
        for kind, name, digest in fetch_all(connection, statement, [database])
    }


_VIEW_TEXTS = (
    "SELECT 'view', TABLE_NAME, SHA2(CONCAT_WS('\\0', VIEW_DEFINITION, CHECK_OPTION, DEFINER, "
    "SECURITY_TYPE), 256) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s"
)
_ROUTINE_TEXTS = (
    "SELECT ROUTINE_TYPE, ROUTINE_NAME, SHA2(CONCAT_WS('\\0', ROUTINE_DEFINITION, DTD_IDENTIFIER, DEFINER, "
    "SECURITY_TYPE, SQL_MODE), 256) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"
)
