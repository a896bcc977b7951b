"""What of other databases on a server may change rows of one: what runs there by itself and names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.answers import fetch_rows
from backups.mysql.schemas import spelling

# Of each kind its table in information_schema, and there the columns of database, name and text.
_KINDS = {
    "trigger": ("TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_NAME", "ACTION_STATEMENT"),
    "routine": ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_NAME", "ROUTINE_DEFINITION"),
    "event": ("EVENTS", "EVENT_SCHEMA", "EVENT_NAME", "EVENT_DEFINITION"),
    "view": ("VIEWS", "TABLE_SCHEMA", "TABLE_NAME", "VIEW_DEFINITION"),
}
# What the server itself has in them changes nobody's rows.
_OF_THE_SERVER = frozenset({"mysql", "sys", "information_schema", "performance_schema"})


class Neighbours(NamedTuple):
    """Things of other databases that name the one asked about, as "shop.noted"; of which kinds the text of
    some was not shown to this user, and of which the server gave no answer."""

    naming: tuple[str, ...]
    hidden: tuple[str, ...]
    unanswered: tuple[str, ...] = ()


def neighbours_naming(connection: Any, database: str) -> Neighbours:
    """Triggers, routines, events and views of other databases in whose text a database's name stands.

    Of those that this user is not shown at all nothing is known; see `grants.sees_all`. On a server of very
    many tables this takes seconds.
    """
    spelled = spelling(connection)
    naming: set[str] = set()
    hidden, unanswered = [], []
    for kind in _KINDS:
        try:
            found = list(_texts(connection, kind, database))
        except MySQLdb.Error:
            unanswered.append(kind)
            continue
        others = [row for row in found if _is_of_another(spelled(row[0]), spelled(database))]
        naming.update(f"{schema}.{name}" for schema, name, text in others if is_named_in(text, database))
        if any(not text for _, _, text in others):
            hidden.append(kind)
    return Neighbours(tuple(sorted(naming)), tuple(hidden), tuple(unanswered))


def _is_of_another(schema: str, database: str) -> bool:
    return schema != database and schema.lower() not in _OF_THE_SERVER


def _texts(connection: Any, kind: str, database: str) -> Iterator[tuple[str, str, str]]:
    """Database, name and text of those whose text may hold the name, or is not shown."""
    table, schema, name, text = _KINDS[kind]
    condition, arguments = "", []
    if database.isascii() and "`" not in database:
        condition, arguments = f"WHERE {text} IS NULL OR {text} = '' OR INSTR({text}, %s) > 0", [database]
    asked = f"SELECT {schema}, {name}, {text} FROM information_schema.{table} {condition}"  # noqa: S608
    for row in fetch_rows(connection, asked, 3, arguments):
        of, called, said = ("" if each is None else str(each) for each in row)
        yield of, called, said


def is_named_in(text: str, name: str) -> bool:
    """Whether a name stands in a text, in any case, and as no part of a longer one in plain letters."""
    spellings = {name, *(name.replace(quote, 2 * quote) for quote in ("`", '"'))}
    either = "|".join(re.escape(each) for each in sorted(spellings))
    return re.search(rf"(?<![\w$])(?:{either})(?![\w$])", text, re.IGNORECASE) is not None
