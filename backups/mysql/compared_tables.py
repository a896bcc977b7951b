"""Rows of two tables on one server, counted against each other by that server.

What is compared of a row are digests, so that neither the server's memory nor ours holds rows. Each row is
told once for either side, and sorted by its key's digest: no index decides how long that takes, and nothing
depends on collations, which say for two values that they are equal where a letter differs.
"""
# ruff: noqa: S608 - names are quoted, and all else is written here

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from backups.mysql.answers import as_number, execute, fetch_one
from backups.mysql.connection import connect
from backups.mysql.names import quote
from backups.mysql.server import Server

_READ_SECONDS = 24 * 3600
# Values as they are stored, whatever the server's own settings are: times of one zone, no value refused.
_READ_ALIKE = "SET SESSION sql_mode = '', time_zone = '+00:00'"
_INTEGERS = frozenset({"integer", "tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_DECIMALS = frozenset({"decimal", "numeric"})
_FLOATS = frozenset({"float", "double", "real"})
_MOMENTS = frozenset({"date", "datetime", "timestamp"})
_SHAPES = frozenset(
    {
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geometrycollection", "geomcollection", "vector",
    }
)  # fmt: skip
# The widest number there is: more digits than this before the point are cut off.
_WIDEST = "DECIMAL(65,30)"
_DIGITS_BEFORE_POINT, _DIGITS_BEHIND = 35, 30
# One more is out of range, which ends a statement whatever the SQL mode is.
_LARGEST = 9223372036854775807


class ComparedColumn(NamedTuple):
    """A column of two tables, with what its type is in each: a word, its size and what follows it."""

    name: str
    then: str
    now: str


class TwoTables(NamedTuple):
    """A table of this name in two databases, and by what their rows are compared.

    Without a `key` rows are told apart by all that is compared of them.
    """

    then: str
    now: str
    table: str
    key: Sequence[ComparedColumn]
    columns: Sequence[ComparedColumn]


class RowCounts(NamedTuple):
    """How many rows there are then and now, and how many are gone, new and changed."""

    then: int
    now: int
    gone: int
    new: int
    changed: int


def may_be_compared(column: ComparedColumn) -> bool:
    """Whether a server can tell for values of both types whether they are the same."""
    return _expression(column) is not None


def rows_compared(
    server: Server, pair: TwoTables, *, connected: Callable[[int], None] = lambda _: None
) -> RowCounts:
    """Count what differs, which reads both tables once.

    `connected` is given the connection's number, by which to end it. Raises MySQLProblem.
    """
    with connect(server, pair.now, read_seconds=_READ_SECONDS) as connection:
        connected(connection.thread_id())
        execute(connection, _READ_ALIKE)
        answer = fetch_one(connection, _statement(pair), *[as_number] * 5)
    then, now, gone, new, changed = map(int, answer)
    return RowCounts(then, now, gone, new, changed)


def _statement(pair: TwoTables) -> str:
    """One SELECT: digests of both sides, the same ones together, then what is left over by key."""
    row = _digest(pair.columns)
    key = _digest(pair.key) if pair.key else row
    told = " UNION ALL ".join(
        f"SELECT {key} AS k, {row} AS r, {then} AS t, {1 - then} AS n"
        f" FROM {quote(database)}.{quote(pair.table)}"
        for database, then in ((pair.then, 1), (pair.now, 0))
    )
    by_row = f"SELECT k, SUM(t) AS t, SUM(n) AS n FROM ({told}) AS each_row GROUP BY k, r"
    by_key = (
        "SELECT SUM(t) AS t, SUM(n) AS n, SUM(GREATEST(t - n, 0)) AS gone, SUM(GREATEST(n - t, 0)) AS came"
        f" FROM ({by_row}) AS same_rows GROUP BY k"
    )
    changed = "LEAST(gone, came)" if pair.key else "0"
    sums = ("t", "n", f"gone - {changed}", f"came - {changed}", changed)
    return f"SELECT {', '.join(f'COALESCE(SUM({each}), 0)' for each in sums)} FROM ({by_key}) AS same_keys"


def _digest(columns: Sequence[ComparedColumn]) -> str:
    """Of some columns of a row. A value that has no digest ends the statement, rather than pass for NULL."""
    parts = []
    for column in columns:
        value, name = _expression(column), quote(column.name)
        digest = f"COALESCE(SHA2({value}, 256), {_LARGEST} + LENGTH({name}))"
        parts.append(f"IF({name} IS NULL, 'NULL', {digest})")
    return f"LEFT(UNHEX(SHA2(CONCAT_WS(' ', {', '.join(parts)}), 256)), 16)"


def _expression(column: ComparedColumn) -> str | None:
    """What is the same for equal values of both types; None where nothing is."""
    name, words = quote(column.name), {_word(column.then), _word(column.now)}
    if words <= {"text"}:
        return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
    if words <= {"bytes"}:
        return name
    if column.then == column.now:
        return _of_one_type(name, *words)
    if words <= _INTEGERS | _DECIMALS | {"bit"} and all(map(_fits, (column.then, column.now))):
        return f"CAST(CAST({name} + 0 AS {_WIDEST}) AS CHAR)"
    if words <= _FLOATS:
        return f"CAST({name} + 0E0 AS CHAR)"
    if words <= _MOMENTS:
        return f"CAST(CAST({name} AS DATETIME(6)) AS CHAR)"
    if words <= {"time"}:
        return f"CAST(CAST({name} AS TIME(6)) AS CHAR)"
    return None


def _of_one_type(name: str, word: str) -> str | None:
    if word == "generated":
        return None  # what it holds follows from the others, and it was computed when it was loaded
    if word in _SHAPES:
        return f"HEX({name})"
    if word == "bit":
        return f"CAST({name} + 0 AS CHAR)"
    if word in ("binary", "varbinary"):
        return name
    if word in _FLOATS:
        return f"CAST({name} + 0E0 AS CHAR)"
    return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"


def _word(kind: str) -> str:
    return kind.partition("(")[0].partition(" ")[0]


def _fits(kind: str) -> bool:
    if _word(kind) not in _DECIMALS:
        return True
    digits, _, behind = kind.partition("(")[2].partition(")")[0].partition(",")
    return int(digits) - int(behind or 0) <= _DIGITS_BEFORE_POINT and int(behind or 0) <= _DIGITS_BEHIND
