"""What information_schema tells of one database, and of no neighbour with a name like its own.

It compares names by a collation in which others may be equal: `a`, `A`, `ä` and `a ` are one to
MariaDB there, while they are four databases to the server. So what it answers is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backups.mysql.connection import fetch_all

# Beyond it no name can be, and the servers would complain of the collation.
_LAST_OF_NAMES = "\uffff"


def rows_of(
    connection: Any,
    database: str,
    table: str,
    columns: str,
    *,
    by: str = "TABLE_SCHEMA",
    condition: str = "",
    arguments: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    """Columns of a table of information_schema, in the rows of one database; the column `by` tells of which.

    `condition` goes on with AND, or orders; its %s are the `arguments`.
    """
    if max(database, default="") > _LAST_OF_NAMES:
        return []
    rows = fetch_all(
        connection,
        f"SELECT @@lower_case_table_names, {by}, {columns} FROM information_schema.{table} "  # noqa: S608
        f"WHERE {by} = %s {condition}",
        [database, *arguments],
    )
    return [
        tuple(row)
        for cases, name, *row in rows
        if spelling_for(cases)(str(name)) == spelling_for(cases)(database)
    ]


def spelling(connection: Any) -> Callable[[str], str]:
    """In which form names of databases and tables are equal on this server."""
    ((cases,),) = fetch_all(connection, "SELECT @@lower_case_table_names")
    return spelling_for(cases)


def spelling_for(lower_case_table_names: int) -> Callable[[str], str]:
    """The same by the server's setting: with 0, names of other letters are other names."""
    return str.lower if lower_case_table_names else str


def but_for(tables: Sequence[str]) -> str:
    """What leaves these tables out of a question, and none called alike; their names are arguments."""
    places = ", ".join(["%s"] * len(tables))
    return f" AND CAST(TABLE_NAME AS BINARY) NOT IN ({places})" if tables else ""
