"""What of a database refers to some of its tables, as far as the server shows it to this user."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from backups.mysql.names import quote
from backups.mysql.schemas import Question, rows_of, spelling


class Reader(NamedTuple):
    """A view or a trigger that names the table `names`; `table` is the trigger's own."""

    kind: str
    name: str
    names: str
    table: str = ""


def views_reading(connection: Any, database: str, tables: Collection[str]) -> list[Reader]:
    """The views that read these tables themselves; one whose text we may not see is not among them."""
    spelled = spelling(connection)
    # Both servers write each table with its database there, however the view was made.
    written = {table: spelled(f"{quote(database)}.{quote(table)}") for table in sorted(tables)}
    return [
        Reader("view", str(name), table)
        for name, text in rows_of(connection, database, Question("VIEWS", "TABLE_NAME, VIEW_DEFINITION"))
        for table, place in written.items()
        if place in spelled(str(text or ""))
    ]


def triggers_about(connection: Any, database: str, tables: Collection[str]) -> list[Reader]:
    """The triggers of these tables, and those of others whose statements have a table's name in them."""
    columns = "TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT"
    word = {table: re.compile(rf"(?<![\w$]){re.escape(table)}(?![\w$])", re.I) for table in sorted(tables)}
    rows = rows_of(connection, database, Question("TRIGGERS", columns, by="TRIGGER_SCHEMA"))
    return [
        Reader("trigger", str(name), table, str(of))
        for name, of, text in rows
        for table in word
        if str(of) == table or (str(of) not in word and word[table].search(str(text or "")))
    ]
