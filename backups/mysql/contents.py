"""What a database holds."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import MySQLdb

from backups.dumpfile.quoted import NAME_BYTES, TEXT_BYTES
from backups.mysql.answers import (
    StrangeAnswer,
    anything,
    as_number,
    as_text,
    execute,
    fetch_all,
    fetch_one,
    fetch_rows,
)
from backups.mysql.connection import at_work
from backups.mysql.left_out import libraries, tables_without_rows, tables_without_rows_anywhere
from backups.mysql.names import quote
from backups.mysql.problems import MySQLProblem, UnknownDatabase, text_of
from backups.mysql.schemas import but_for, rows_of, spelling
from backups.mysql.server import MARIADB, ServerInfo

Inventory = dict[str, list[str]]


def database_defaults(connection: Any, database: str) -> tuple[str, str]:
    """The database's default character set and collation. Raises UnknownDatabase."""
    defaults = "DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME"
    rows = rows_of(connection, database, "SCHEMATA", defaults, by="SCHEMA_NAME")
    if not rows:
        raise UnknownDatabase(f"There is no database {database} that we may see.")
    return str(rows[0][0]), str(rows[0][1])


def made_under(connection: Any, database: str) -> dict[str, str]:
    """The default collation that the database had as its triggers, events and routines were made."""
    return {
        f"{str(kind).lower()} {name}": str(collation)
        for table, by, kind_column, name_column in _MADE_UNDER_DEFAULTS
        for kind, name, collation in rows_of(
            connection, database, table, f"{kind_column}, {name_column}, DATABASE_COLLATION", by=by
        )
    }


_MADE_UNDER_DEFAULTS = (
    ("TRIGGERS", "TRIGGER_SCHEMA", "'TRIGGER'", "TRIGGER_NAME"),
    ("EVENTS", "EVENT_SCHEMA", "'EVENT'", "EVENT_NAME"),
    ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_TYPE", "ROUTINE_NAME"),
)


def default_collations(connection: Any, info: ServerInfo) -> dict[str, str]:
    """Each character set's default collation on MySQL, for `rewriting.normalised_table`."""
    if info.flavour == MARIADB:
        return {}
    return {
        str(charset): str(collation)
        for charset, collation in fetch_rows(
            connection,
            "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS",
            2,
        )
    }


def count_rows(connection: Any, database: str, table: str) -> int:
    """How many rows a table has, by counting them."""
    with at_work(connection):
        (count,) = fetch_one(
            connection,
            f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}",  # noqa: S608
            as_number,
        )
    return int(count)


def database_exists(connection: Any, database: str) -> bool:
    """Whether the server has the database, as far as this user sees."""
    return bool(rows_of(connection, database, "SCHEMATA", "1", by="SCHEMA_NAME"))


def inventory(connection: Any, database: str) -> Inventory:
    """The names of all objects in a database, by kind, sorted; as this user sees them.

    Triggers by their table's name, once for each.
    """
    found: Inventory = {}
    for table, by, kind_column, name_column in _INVENTORY:
        for kind, name in rows_of(connection, database, table, f"{kind_column}, {name_column}", by=by):
            if kind in _KINDS:
                found.setdefault(_KINDS[kind], []).append(str(name))
    if held := libraries(connection, database):
        found["library"] = held
    return {kind: sorted(names) for kind, names in found.items()}


_INVENTORY = (
    ("TABLES", "TABLE_SCHEMA", "TABLE_TYPE", "TABLE_NAME"),
    ("TRIGGERS", "TRIGGER_SCHEMA", "'TRIGGER'", "EVENT_OBJECT_TABLE"),
    ("EVENTS", "EVENT_SCHEMA", "'EVENT'", "EVENT_NAME"),
    ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_TYPE", "ROUTINE_NAME"),
)
_TABLES = ("BASE TABLE", "SYSTEM VERSIONED")
_KINDS = {
    **dict.fromkeys(_TABLES, "table"),
    **{kind.upper(): kind for kind in ("view", "sequence", "trigger", "event")},
    **{kind.upper(): kind for kind in ("procedure", "function", "package", "package body")},
}


def refuse_what_hangs(connection: Any, database: str) -> None:
    """Raise MySQLProblem for events on which both flavours' dump programs loop for ever.

    Their search for a delimiter never ends where an event's text holds `;;` (seen in MariaDB
    10.11 and MySQL 9.7).
    """
    told = "CONCAT_WS(' ', DEFINER, EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT)"
    events = _events(connection, database, f"AND INSTR({told}, ';;')")
    if events:
        raise MySQLProblem(
            f"The event {events[0]} holds two semicolons in a row, on which the dump program hangs.",
            do="Alter the event so that `;;` does not occur in its name, body or comment.",
        )


def events_of_the_past(connection: Any, database: str) -> set[str]:
    """Events that would run at once were they enabled, though their last time is over.

    A server that makes such an event as enabled disables it at once; one that alters it does not.
    """
    # Told in the event's own time zone.
    over = "AND COALESCE(EXECUTE_AT, ENDS) < CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', TIME_ZONE)"
    return set(_events(connection, database, over))


def events_that_end(connection: Any, database: str) -> dict[str, int | None]:
    """Events that the server itself drops when they are over, with the seconds until then.

    None where nobody knows: they run more than once, or in a time zone that the server does not know.
    """
    left = "TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(EXECUTE_AT, TIME_ZONE, '+00:00'))"
    condition = "AND ON_COMPLETION = 'NOT PRESERVE' AND COALESCE(EXECUTE_AT, ENDS) IS NOT NULL"
    rows = rows_of(
        connection, database, "EVENTS", f"EVENT_NAME, {left}", by="EVENT_SCHEMA", condition=condition
    )
    return {str(name): None if seconds is None else as_number(seconds) for name, seconds in rows}


def _events(connection: Any, database: str, condition: str) -> list[str]:
    rows = rows_of(connection, database, "EVENTS", "EVENT_NAME", by="EVENT_SCHEMA", condition=condition)
    return [str(name) for (name,) in rows]


def tables_without_snapshot(connection: Any, database: str) -> list[str]:
    """Tables that a consistent snapshot does not cover: all that are not InnoDB, with their engine."""
    rows = rows_of(
        connection,
        database,
        "TABLES",
        "TABLE_NAME, ENGINE",
        condition="AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE <> 'InnoDB' "
        "ORDER BY TABLE_NAME",
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
    """The foreign keys of a database, sorted; its own name as it is given here."""
    rows = _references(
        connection, database, "TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME"
    )
    spelled = spelling(connection)
    keys = [ForeignKey(*map(str, key)) for key in rows]
    own = spelled(database)
    return sorted(key._replace(schema=database) if spelled(key.schema) == own else key for key in keys)


def keys_without_parent(connection: Any, database: str) -> list[ForeignKey]:
    """Foreign keys to tables of their own database that are not there, as foreign_key_checks=0 allows."""
    spelled = spelling(connection)
    held = {spelled(name) for name in inventory(connection, database).get("table", [])}
    return [
        key
        for key in foreign_keys(connection, database)
        if key.schema == database and spelled(key.referenced) not in held
    ]


def folds_names(connection: Any) -> bool:
    """Whether the server gives tables and databases names in lower case, whatever is asked for."""
    return bool(fetch_all(connection, "SELECT 1 FROM DUAL WHERE @@lower_case_table_names = 1"))


def crossing_foreign_keys(connection: Any, database: str, chosen: Collection[str]) -> list[tuple[str, str]]:
    """Foreign keys between chosen tables and others of the database: (table, the table it refers to)."""
    return [
        (key.table, key.referenced)
        for key in foreign_keys(connection, database)
        if key.schema == database and (key.table in chosen) != (key.referenced in chosen)
    ]


def tables_without_primary_key(connection: Any, database: str) -> list[str]:
    """The tables that have none, sorted; as this user sees them."""
    keyed = rows_of(connection, database, "STATISTICS", "TABLE_NAME", condition="AND INDEX_NAME = 'PRIMARY'")
    with_key = {str(name) for (name,) in keyed}
    return [name for name in inventory(connection, database).get("table", []) if name not in with_key]


def is_read_only(connection: Any, database: str) -> bool:
    """Whether the database itself is (MySQL's ALTER DATABASE … READ ONLY).

    https://dev.mysql.com/doc/refman/8.4/en/information-schema-schemata-extensions-table.html
    """
    with suppress(MySQLdb.Error):  # MariaDB and older servers know no such table
        rows = rows_of(connection, database, "SCHEMATA_EXTENSIONS", "OPTIONS", by="SCHEMA_NAME")
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


_QUOTED = re.compile(TEXT_BYTES + rb"|" + NAME_BYTES, re.S)
_DIRECTORY = re.compile(rb"\b(?:DATA|INDEX) DIRECTORY\b")


class BrokenView(NamedTuple):
    """A view that cannot be read any more, with the statement that made it.

    `why` is the server's reason, and `code` its number: what it reads is gone or damaged, or who
    defines it may not read that.
    """

    name: str
    statement: str
    charset: str
    collation: str
    why: str
    code: int


def broken_views(connection: Any, database: str) -> list[BrokenView]:
    """The views at which the dump programs end. `connection` has the database chosen."""
    found = []
    for name in inventory(connection, database).get("view", []):
        try:
            # As the dump programs ask of each view. Of some, MySQL knows the columns all the same.
            fetch_all(connection, f"SHOW FIELDS FROM {quote(name)}")
            fetch_all(connection, f"SHOW CREATE TABLE {quote(name)}")
        except MySQLdb.Error as error:
            statement, charset, collation = _view_as_made(connection, database, name)
            why, code = text_of(error), error.args[0]
            found.append(BrokenView(name, statement, charset, collation, why, code))
    return found


def _view_as_made(connection: Any, database: str, name: str) -> tuple[str, str, str]:
    """A view's statement, with the character set and collation that it was made under."""
    try:
        shown = fetch_one(connection, f"SHOW CREATE VIEW {quote(name)}", anything, as_text, as_text, as_text)
        _, statement, charset, collation = shown
    except MySQLdb.Error:  # MySQL's, where a whole database is gone that the view reads
        names = ("VIEW_DEFINITION", "CHECK_OPTION", "DEFINER", "SECURITY_TYPE")
        columns = ", ".join([*names, "CHARACTER_SET_CLIENT", "COLLATION_CONNECTION"])
        condition = "AND CAST(TABLE_NAME AS BINARY) = %s"
        rows = rows_of(connection, database, "VIEWS", columns, condition=condition, arguments=[name])
        if len(rows) != 1:
            raise  # it is gone meanwhile
        body, check, definer, security, charset, collation = rows[0]
        user, _, host = str(definer).rpartition("@")
        statement = (
            f"CREATE DEFINER={quote(user)}@{quote(host)} SQL SECURITY {security} VIEW {quote(name)} AS {body}"
        )
        if check != "NONE":
            statement += f" WITH {check} CHECK OPTION"
    return str(statement), str(charset), str(collation)


def triggers(connection: Any, database: str) -> set[tuple[str, str, str]]:
    """The triggers of a database: "trigger", their names and their tables."""
    columns = "TRIGGER_NAME, EVENT_OBJECT_TABLE"
    rows = rows_of(connection, database, "TRIGGERS", columns, by="TRIGGER_SCHEMA")
    return {("trigger", str(name), str(table)) for name, table in rows}


def foreign_keys_into(connection: Any, database: str) -> list[tuple[str, str]]:
    """Foreign keys of other databases, as far as we see them: (database.table, the table referred to)."""
    rows = _references(
        connection,
        database,
        "CONSTRAINT_SCHEMA, TABLE_NAME, REFERENCED_TABLE_NAME",
        by="UNIQUE_CONSTRAINT_SCHEMA",
    )
    spelled = spelling(connection)
    return [
        (f"{schema}.{table}", str(referenced))
        for schema, table, referenced in rows
        if spelled(str(schema)) != spelled(database)
    ]


def foreign_keys_out_of(connection: Any, database: str) -> list[tuple[str, str, str]]:
    """Foreign keys that refer to another database: (table, the other database, its table)."""
    columns = "TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME"
    spelled = spelling(connection)
    return sorted(
        {
            (str(table), str(schema), str(referenced))
            for table, schema, referenced in _references(connection, database, columns)
            if spelled(str(schema)) != spelled(database)
        }
    )


def foreign_key_names(connection: Any, database: str) -> list[tuple[str, str]]:
    """The foreign keys of a database: (table, name)."""
    rows = _references(connection, database, "TABLE_NAME, CONSTRAINT_NAME")
    return [(str(table), str(name)) for table, name in rows]


def referenced_tables(connection: Any, database: str) -> list[str]:
    """The tables to which foreign keys of a database refer, whether these are there or not."""
    rows = _references(connection, database, "REFERENCED_TABLE_NAME")
    return sorted({str(name) for (name,) in rows})


def _references(
    connection: Any, database: str, columns: str, *, by: str = "CONSTRAINT_SCHEMA"
) -> list[tuple[Any, ...]]:
    """What information_schema tells of foreign keys.

    It opens tables for that, and one whose remote server is away answers with an error: asked again
    without such tables, which have no foreign keys.
    """
    try:
        return rows_of(connection, database, "REFERENTIAL_CONSTRAINTS", columns, by=by)
    except MySQLdb.Error:
        far = tables_without_rows_anywhere(connection)
        if not far:
            raise
        return rows_of(
            connection,
            database,
            "REFERENTIAL_CONSTRAINTS",
            columns,
            by=by,
            condition=but_for(far),
            arguments=far,
        )


def tables_with_json(connection: Any, database: str) -> list[str]:
    """Tables with columns of MySQL's own JSON type; MariaDB's is a text."""
    rows = rows_of(connection, database, "COLUMNS", "TABLE_NAME", condition="AND DATA_TYPE = 'json'")
    return sorted({str(name) for (name,) in rows})


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
        for name, size, most in _of_tables(
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
    return sum(
        as_number(length) for (length,) in _of_tables(connection, "COALESCE(DATA_LENGTH, 0)", database)
    )


def space_used(connection: Any, database: str) -> int:
    """The server's own estimate of what a database takes on disk, in bytes."""
    lengths = _of_tables(connection, "COALESCE(DATA_LENGTH + INDEX_LENGTH, 0)", database)
    return sum(as_number(length) for (length,) in lengths)


def _of_tables(connection: Any, columns: str, database: str) -> list[tuple[Any, ...]]:
    """What information_schema tells of the tables, but for those whose rows are no part of a dump.

    For sizes and times it opens each table, and one whose remote server is away would answer with
    an error, or on MySQL with a size of 2^64.
    """
    elsewhere = tables_without_rows(connection, database)
    return rows_of(connection, database, "TABLES", columns, condition=but_for(elsewhere), arguments=elsewhere)


def describe_as_dumps_do(connection: Any) -> None:
    """Have `definition` told as the dump programs ask for it: times in UTC, all names quoted."""
    execute(connection, "SET SESSION time_zone = '+00:00', sql_quote_show_create = 1")


def definition(connection: Any, database: str, table: str) -> bytes:
    """A table's CREATE TABLE in the server's words; empty where it knows no table of this name."""
    try:
        told = fetch_rows(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(table)}", 2, or_more=True)
    except (MySQLdb.Error, StrangeAnswer):  # a dump may be in another character set
        return b""
    # Of a view there are more columns.
    return b"".join(str(made).encode() for _, made, *more in told if not more)


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
    rows = rows_of(
        connection,
        database,
        "TABLES",
        "TABLE_NAME, CREATE_TIME",
        condition="AND TABLE_NAME = %s",
        arguments=[table],
    )
    return next((at for name, at in rows if name == table and isinstance(at, datetime)), None)
