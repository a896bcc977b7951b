"""Of which databases' rows a statement writes, as far as its text and its parameters tell.

What is understood are the statements that Django makes for the writes that happen all the time: rows that are
added, and rows that are changed by their keys. Of any other it is said that it may be of all databases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

# What is told of a database lies in these tables: with the column that names, in a row that is added, the row
# of another one (or of the same) that is of the same database.
_OF_DATABASES = {
    "backups_database": None,
    "backups_logarchive": ("database_id", "backups_database"),
    "backups_run": ("database_id", "backups_database"),
    "backups_snapshot": ("database_id", "backups_database"),
    "backups_standdown": ("database_id", "backups_database"),
    "backups_suspicion": ("database_id", "backups_database"),
    "backups_verification": ("snapshot_id", "backups_snapshot"),
}
TABLES = frozenset(_OF_DATABASES)


class Row(NamedTuple):
    """A row of one of TABLES: its database is meant."""

    table: str
    key: int


_QUOTE = r'[`"]'
_INSERT = re.compile(
    r"INSERT (?:OR IGNORE |IGNORE )?INTO [`\"](\w+)[`\"] \(([^()%]*)\) VALUES "
    r"((?:\((?:%s(?:, )?)+\)(?:, )?)+)"
    r"(?: ON CONFLICT DO NOTHING)?(?: RETURNING [\w`\"., ]+)?\s*"
)
_UPDATE = re.compile(r"UPDATE [`\"](\w+)[`\"] SET (.*?) WHERE (.*)", re.DOTALL)
# Where one of these stands, a row may be meant in another way than by its key.
_NOT_ONLY_THESE = re.compile(r"\b(?:OR|NOT|XOR|SELECT|UNION)\b|\|\||%%", re.IGNORECASE)
_MOST_KEYS = 100


def rows(sql: str, params: Any) -> frozenset[Row] | None:
    """Rows by whose databases all is named whose rows the statement writes; None where that is not known."""
    if not isinstance(params, list | tuple):
        return None
    found = None
    if sql.startswith("INSERT"):
        found = _inserted(sql, params)
    elif sql.startswith("UPDATE"):
        found = _updated(sql, params)
    return None if found is None or len(found) > _MOST_KEYS else found


def _inserted(sql: str, params: Sequence[Any]) -> frozenset[Row] | None:
    parts = _INSERT.fullmatch(sql)
    named = _OF_DATABASES.get(parts[1]) if parts else None
    if parts is None or named is None:
        return None
    column, table = named
    columns = [each.strip().strip('`"') for each in parts[2].split(",")]
    if column not in columns or len(params) % len(columns) or parts[3].count("%s") != len(params):
        return None
    keys = params[columns.index(column) :: len(columns)]
    # A run of no database tells something of its repository alone.
    return _of(table, [key for key in keys if key is not None or parts[1] != "backups_run"])


def _updated(sql: str, params: Sequence[Any]) -> frozenset[Row] | None:
    parts = _UPDATE.fullmatch(sql)
    if parts is None or parts[1] not in TABLES or _NOT_ONLY_THESE.search(sql):
        return None
    table, sets, where = parts.groups()
    # A row that is given to another database is of two.
    if re.search(rf"{_QUOTE}(?:id|database_id){_QUOTE} =", re.sub(r"CASE .*? END", "", sets)):
        return None
    keys = re.search(rf"{_QUOTE}{table}{_QUOTE}\.{_QUOTE}id{_QUOTE} (?:= %s|IN \((%s(?:, %s)*)\))", where)
    if keys is None or sql.count("%s") != len(params):
        return None
    before = sets.count("%s") + where[: keys.start()].count("%s")
    count = keys[0].count("%s")
    return _of(table, params[before : before + count])


def _of(table: str, keys: Sequence[Any]) -> frozenset[Row] | None:
    """None where one is no key: a snapshot of no database tells something of those that are there."""
    if not all(type(key) is int for key in keys):
        return None
    return frozenset(Row(table, key) for key in keys)
