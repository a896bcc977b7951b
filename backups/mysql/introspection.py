"""What a database is and holds, by information_schema."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import MySQLdb

from backups.mysql.answers import as_number, as_text, fetch_all, fetch_one, fetch_rows
from backups.mysql.connection import at_work
from backups.mysql.left_out import libraries
from backups.mysql.names import quote
from backups.mysql.problems import UnknownDatabase
from backups.mysql.schemas import Question, rows_of
from backups.mysql.server import MARIADB, ServerInfo
from backups.text.sentences import phrase

_SERVERS_OWN = frozenset({"information_schema", "performance_schema", "mysql", "sys"})
Inventory = dict[str, list[str]]
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
_MADE_UNDER_DEFAULTS = (
    ("TRIGGERS", "TRIGGER_SCHEMA", "'TRIGGER'", "TRIGGER_NAME"),
    ("EVENTS", "EVENT_SCHEMA", "'EVENT'", "EVENT_NAME"),
    ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_TYPE", "ROUTINE_NAME"),
)


def databases(connection: Any) -> list[str]:
    """The databases that the connected user sees, by name, but for the server's own."""
    seen = [as_text(name) for (name,) in fetch_rows(connection, "SHOW DATABASES", 1)]
    return sorted(name for name in seen if name.lower() not in _SERVERS_OWN)


def database_exists(connection: Any, database: str) -> bool:
    """Whether the server has the database, as far as this user sees."""
    return bool(rows_of(connection, database, Question("SCHEMATA", "1", by="SCHEMA_NAME")))


def database_defaults(connection: Any, database: str) -> tuple[str, str]:
    """The database's default character set and collation. Raises UnknownDatabase."""
    defaults = "DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME"
    rows = rows_of(connection, database, Question("SCHEMATA", defaults, by="SCHEMA_NAME"))
    if not rows:
        raise UnknownDatabase(phrase("There is no database {database} that we may see.", database=database))
    return str(rows[0][0]), str(rows[0][1])


def is_read_only(connection: Any, database: str) -> bool:
    """Whether the database itself is (MySQL's ALTER DATABASE … READ ONLY).

    https://dev.mysql.com/doc/refman/8.4/en/information-schema-schemata-extensions-table.html
    """
    with suppress(MySQLdb.Error):  # MariaDB and older servers know no such table
        rows = rows_of(connection, database, Question("SCHEMATA_EXTENSIONS", "OPTIONS", by="SCHEMA_NAME"))
        return any("READ ONLY=1" in str(options) for (options,) in rows)
    return False


def made_under(connection: Any, database: str) -> dict[str, str]:
    """The default collation that the database had as its triggers, events and routines were made."""
    return {
        f"{str(kind).lower()} {name}": str(collation)
        for table, by, kind_column, name_column in _MADE_UNDER_DEFAULTS
        for kind, name, collation in rows_of(
            connection, database, Question(table, f"{kind_column}, {name_column}, DATABASE_COLLATION", by=by)
        )
    }


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


def folds_names(connection: Any) -> bool:
    """Whether the server gives tables and databases names in lower case, whatever is asked for."""
    return bool(fetch_all(connection, "SELECT 1 FROM DUAL WHERE @@lower_case_table_names = 1"))


def inventory(connection: Any, database: str) -> Inventory:
    """The names of all objects in a database, by kind, sorted; as this user sees them.

    Triggers by their table's name, once for each.
    """
    found: Inventory = {}
    for table, by, kind_column, name_column in _INVENTORY:
        for kind, name in rows_of(
            connection, database, Question(table, f"{kind_column}, {name_column}", by=by)
        ):
            if kind in _KINDS:
                found.setdefault(_KINDS[kind], []).append(str(name))
    if held := libraries(connection, database):
        found["library"] = held
    return {kind: sorted(names) for kind, names in found.items()}


def tables(connection: Any, database: str) -> list[str]:
    """All that RENAME TABLE moves: tables and MariaDB's sequences."""
    held = inventory(connection, database)
    return sorted([*held.get("table", []), *held.get("sequence", [])])


def triggers(connection: Any, database: str) -> set[tuple[str, str, str]]:
    """The triggers of a database: "trigger", their names and their tables."""
    columns = "TRIGGER_NAME, EVENT_OBJECT_TABLE"
    rows = rows_of(connection, database, Question("TRIGGERS", columns, by="TRIGGER_SCHEMA"))
    return {("trigger", str(name), str(table)) for name, table in rows}


def trigger_events(connection: Any, database: str) -> list[tuple[str, str, str]]:
    """The triggers of a database, sorted: their names, their tables, and INSERT, UPDATE or DELETE."""
    columns = "TRIGGER_NAME, EVENT_OBJECT_TABLE, EVENT_MANIPULATION"
    rows = rows_of(connection, database, Question("TRIGGERS", columns, by="TRIGGER_SCHEMA"))
    return sorted((str(name), str(table), str(event)) for name, table, event in rows)


def trigger_digests(connection: Any, database: str) -> list[tuple[str, str]]:
    """The tables of a database's triggers, each with a digest of how one is defined, sorted."""
    columns = (
        "EVENT_OBJECT_TABLE, SHA2(CONCAT_WS(CHAR(0), TRIGGER_NAME, EVENT_MANIPULATION, ACTION_TIMING, "
        "ACTION_ORDER, ACTION_STATEMENT, SQL_MODE, DEFINER), 256)"
    )
    rows = rows_of(connection, database, Question("TRIGGERS", columns, by="TRIGGER_SCHEMA"))
    return sorted((str(table), str(digest)) for table, digest in rows)


def count_rows(connection: Any, database: str, table: str) -> int:
    """How many rows a table has, by counting them."""
    with at_work(connection):
        (count,) = fetch_one(
            connection,
            f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}",  # noqa: S608
            as_number,
        )
    return int(count)
