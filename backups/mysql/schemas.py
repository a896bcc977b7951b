"""What information_schema tells of one database, and of no neighbour with a name like its own.

It compares names by a collation in which others may be equal: `a`, `A`, `ä` and `a ` are one to
MariaDB there, while they are four databases to the server. So what it answers is looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from backups.mysql.answers import as_number, fetch_one, fetch_rows

# Beyond it no name can be, and the servers would complain of the collation.
_LAST_OF_NAMES = "\uffff"
# The columns whose values are computed and stored. Those of versions are given by whoever loads a history,
# and are new otherwise.
STORED_COLUMNS = (
    "(EXTRA LIKE '%%STORED GENERATED%%' OR EXTRA LIKE '%%PERSISTENT%%') "
    "AND GENERATION_EXPRESSION NOT IN ('ROW START', 'ROW END')"
)


class Question(NamedTuple):
    """What is asked of one database: columns of a table of information_schema.

    The column `by` tells of which database a row is. `condition` goes on with AND, or orders; its %s are the
    `arguments`.
    """

    table: str
    columns: str
    by: str = "TABLE_SCHEMA"
    condition: str = ""
    arguments: Sequence[Any] = ()


def rows_of(connection: Any, database: str, question: Question) -> list[tuple[Any, ...]]:
    """What a table of information_schema tells of one database, a tuple of the columns for each row."""
    if max(database, default="") > _LAST_OF_NAMES:
        return []
    table, columns, by, condition, arguments = question
    rows = fetch_rows(
        connection,
        f"SELECT @@lower_case_table_names, {by}, {columns} FROM information_schema.{table} "  # noqa: S608
        f"WHERE {by} = %s {condition}",
        2 + _count(columns),
        [database, *arguments],
    )

    def is_ours(cases: Any, name: Any) -> bool:
        spelled = spelling_for(as_number(cases))
        return spelled(str(name)) == spelled(database)

    return [tuple(row) for cases, name, *row in rows if is_ours(cases, name)]


def _count(columns: str) -> int:
    """How many columns are asked for: a comma within brackets or a text is of one of them."""
    count, depth = 1, 0
    for letter in _TEXT.sub("", columns):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        count += letter == "," and not depth
    return count


_TEXT = re.compile(r"'[^']*+'")


def spelling(connection: Any) -> Callable[[str], str]:
    """In which form names of databases and tables are equal on this server."""
    return spelling_for(name_cases(connection))


def name_cases(connection: Any) -> int:
    """The server's lower_case_table_names, for `spelling_for`."""
    (cases,) = fetch_one(connection, "SELECT @@lower_case_table_names", as_number)
    return int(cases)


def spelling_for(lower_case_table_names: int) -> Callable[[str], str]:
    """The same by the server's setting: with 0, names of other letters are other names."""
    return str.lower if lower_case_table_names else str


def but_for(tables: Sequence[str]) -> str:
    """What leaves these tables out of a question, and none called alike; their names are arguments."""
    places = ", ".join(["%s"] * len(tables))
    return f" AND CAST(TABLE_NAME AS BINARY) NOT IN ({places})" if tables else ""
