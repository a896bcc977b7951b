"""Foreign keys: which tables refer to which, within a database and beyond it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.answers import fetch_rows
from backups.mysql.introspection import inventory
from backups.mysql.left_out import tables_without_rows_anywhere
from backups.mysql.schemas import Question, but_for, rows_of, spelling


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


def crossing_foreign_keys(connection: Any, database: str, chosen: Collection[str]) -> list[tuple[str, str]]:
    """Foreign keys between chosen tables and others of the database: (table, the table it refers to)."""
    return [
        (key.table, key.referenced)
        for key in foreign_keys(connection, database)
        if key.schema == database and (key.table in chosen) != (key.referenced in chosen)
    ]


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


def foreign_keys_into_by_engine(connection: Any, database: str) -> list[tuple[str, str]] | None:
    """The same as InnoDB knows them, whoever may see them; None where this user may not ask it (PROCESS)."""
    found = None
    # MariaDB's, then MySQL's.
    for table in (
        "information_schema.INNODB_SYS_FOREIGN",
        "information_schema.INNODB_FOREIGN",
    ):
        try:
            found = fetch_rows(connection, f"SELECT FOR_NAME, REF_NAME FROM {table}", 2)  # noqa: S608
        except MySQLdb.Error:
            continue
        break
    if found is None:
        return None
    spelled = spelling(connection)
    keys = []
    for of, referenced in found:
        (schema, table), (other, parent) = _as_files(of), _as_files(referenced)
        if spelled(other) == spelled(database) != spelled(schema):
            keys.append((f"{schema}.{table}", parent))
    return sorted(keys)


_LETTER_OF_FILE = re.compile(r"@([0-9a-f]{4})")


def _as_files(name: Any) -> tuple[str, str]:
    """Database and table as InnoDB calls them, by the names of their files."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    schema, _, table = _LETTER_OF_FILE.sub(lambda found: chr(int(found[1], 16)), text).partition("/")
    return schema, table


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


def foreign_keys_that_cascade_in(connection: Any, database: str) -> list[str]:
    """Tables that change when rows of another database are deleted or get another key, and which that is."""
    columns = "TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE"
    spelled = spelling(connection)
    return sorted(
        {
            f"{table} → {schema}.{referenced}"
            for table, schema, referenced, *rules in _references(connection, database, columns)
            if spelled(str(schema)) != spelled(database) and not _LEAVES_ALONE.issuperset(rules)
        }
    )


_LEAVES_ALONE = frozenset({"RESTRICT", "NO ACTION"})


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
        return rows_of(connection, database, Question("REFERENTIAL_CONSTRAINTS", columns, by=by))
    except MySQLdb.Error:
        far = tables_without_rows_anywhere(connection)
        if not far:
            raise
        return rows_of(
            connection,
            database,
            Question("REFERENTIAL_CONSTRAINTS", columns, by=by, condition=but_for(far), arguments=far),
        )
