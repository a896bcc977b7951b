"""Where the first column of each table's primary key stands, and what it is: to find rows of it in a log."""

from __future__ import annotations

from typing import Any, NamedTuple

from backups.mysql.answers import as_number, as_text
from backups.mysql.schemas import Question, rows_of


class KeyColumn(NamedTuple):
    """Which column of how many, counted from 0, and its type as SQL names it."""

    place: int
    columns: int
    kind: str
    is_unsigned: bool
    # Empty for what is no text.
    charset: str


def key_columns(connection: Any, database: str) -> dict[str, KeyColumn]:
    """The first column of each primary key in a database, by the table's name, as this user sees them."""
    first = {
        (as_text(table), as_text(column))
        for table, column in rows_of(
            connection,
            database,
            Question(
                "STATISTICS",
                "TABLE_NAME, COLUMN_NAME",
                condition="AND INDEX_NAME = 'PRIMARY' AND SEQ_IN_INDEX = 1",
            ),
        )
    }
    counted = {
        as_text(table): as_number(count)
        for table, count in rows_of(
            connection,
            database,
            Question("COLUMNS", "TABLE_NAME, COUNT(*)", condition="GROUP BY TABLE_SCHEMA, TABLE_NAME"),
        )
    }
    told = "TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME"
    found = {}
    for table, column, place, kind, whole, charset in rows_of(
        connection, database, Question("COLUMNS", told, condition="AND COLUMN_KEY = 'PRI'")
    ):
        name = as_text(table)
        if (name, as_text(column)) in first and name in counted:
            found[name] = KeyColumn(
                as_number(place) - 1,
                counted[name],
                as_text(kind).lower(),
                "unsigned" in as_text(whole).lower(),
                "" if charset is None else as_text(charset).lower(),
            )
    return found
