"""Rows of two tables on one server, counted against each other by that server.

Where both have the same primary key, each row of the one is looked up in the other, and both are compared
value by value. Else digests of rows are grouped. Neither depends on collations, which say for two values that
they are equal where a letter differs, and in neither way does a memory hold more the more rows there are.
"""
# ruff: noqa: S608 - names are quoted, and all else is written here

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backups.mysql.answers import as_number, as_text, execute, fetch_one, fetch_rows
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
_BINARIES = frozenset({"binary", "varbinary"})
_BYTES = _BINARIES | {"tinyblob", "blob", "mediumblob", "longblob"}
_WORDS = frozenset({"char", "varchar"})
_TEXTS = _WORDS | {"tinytext", "text", "mediumtext", "longtext", "enum", "set"}
# Of one type, what the server says is equal is the same; a YEAR is not a number there.
_COMPARED_DIRECTLY = _INTEGERS | _DECIMALS | _FLOATS | _MOMENTS | {"time"}
_NUMBERS = _INTEGERS - {"year"}
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
# By these names one statement tells both tables apart.
_THEN, _NOW = "t", "n"


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
    return _expression(column, quote(column.name)) is not None


def rows_compared(
    server: Server, pair: TwoTables, *, connected: Callable[[int], None] = lambda _: None
) -> RowCounts:
    """Count what differs, which reads both tables; that of `now` twice where its rows are looked up.

    `connected` is given the connection's number, by which to end it. Raises MySQLProblem.
    """
    with connect(server, pair.now, read_seconds=_READ_SECONDS) as connection:
        connected(connection.thread_id())
        execute(connection, _READ_ALIKE)
        then, now = (_stored(connection, database, pair.table) for database in (pair.then, pair.now))
        if (by_key := _lookup(pair, then, now)) is None:
            answer = fetch_one(connection, _grouped(pair), *[as_number] * 5)
            return RowCounts(*answer)
        (all_now,) = fetch_one(connection, f"SELECT COUNT(*) FROM {_named(pair.now, pair.table)}", as_number)
        all_then, met, changed = fetch_one(connection, _looked_up(pair, then, now, by_key), *[as_number] * 3)
    return RowCounts(all_then, all_now, all_then - met, all_now - met, changed)


def _named(database: str, table: str) -> str:
    return f"{quote(database)}.{quote(table)}"


# ---------------------------------------------------------------- Looked up by a primary key


class _Stored(NamedTuple):
    """How the server has a column; `charset` and `collation` are empty where it holds no text."""

    kind: str
    charset: str
    collation: str


class _Table(NamedTuple):
    """A table's columns, and its primary key, which may be of the beginnings of values."""

    columns: Mapping[str, _Stored]
    key: frozenset[str]
    is_of_beginnings: bool


def _stored(connection: Any, database: str, table: str) -> _Table:
    columns = fetch_rows(
        connection,
        "SELECT COLUMN_NAME, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), COALESCE(COLLATION_NAME, '')"
        " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
        4,
        [database, table],
    )
    key = fetch_rows(
        connection,
        "SELECT COLUMN_NAME, COALESCE(SUB_PART, 0) FROM information_schema.STATISTICS"
        " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY'",
        2,
        [database, table],
    )
    return _Table(
        {as_text(name): _Stored(*map(as_text, stored)) for name, *stored in columns},
        frozenset(as_text(name) for name, _ in key),
        any(as_number(part) for _, part in key),
    )


def _lookup(pair: TwoTables, then: _Table, now: _Table) -> list[str] | None:
    """The conditions by which the later table's primary key finds a row of the earlier one.

    None where that is not certain to find each row that has the same key, and to find it fast.
    """
    key = frozenset(column.name for column in pair.key)
    if not key or not key == then.key == now.key or then.is_of_beginnings or now.is_of_beginnings:
        return None
    found = [_is_found(column.name, then.columns, now.columns) for column in pair.key]
    return [each for each in found if each] if all(found) else None


def _is_found(name: str, then: Mapping[str, _Stored], now: Mapping[str, _Stored]) -> str | None:
    before, after = then.get(name), now.get(name)
    if before is None or after is None:
        return None
    words = {_word(before.kind), _word(after.kind)}
    earlier, later = (f"{side}.{quote(name)}" for side in (_THEN, _NOW))
    is_alike = before == after and words <= _INTEGERS | _DECIMALS | _MOMENTS | {"time"} | _BINARIES
    if is_alike or words <= _NUMBERS or (words <= _WORDS and before[1:] == after[1:]):
        return f"{later} = {earlier}"
    if words <= _WORDS and after.charset.isalnum() and after.collation.replace("_", "").isalnum():
        # Letters that the other character set has not are replaced, and find what is no match then.
        return f"{later} = CONVERT({earlier} USING {after.charset}) COLLATE {after.collation}"
    return None


def _looked_up(pair: TwoTables, then: _Table, now: _Table, by_key: Sequence[str]) -> str:
    """How many rows there are then, of how many there is one now with the same key, to the byte, and how many
    of these hold something else."""
    key = [column.name for column in pair.key]
    is_met = _all(_same(column, then, now) for column in pair.key)
    is_same = _all(_same(column, then, now) for column in pair.columns if column.name not in key)
    return (
        f"SELECT COUNT(*), COALESCE(SUM({is_met}), 0), COALESCE(SUM({is_met} AND NOT {is_same}), 0)"
        f" FROM {_named(pair.then, pair.table)} AS {_THEN} LEFT JOIN {_named(pair.now, pair.table)} AS {_NOW}"
        f" FORCE INDEX (PRIMARY) ON {' AND '.join(by_key)}"
    )


def _all(conditions: Iterable[str]) -> str:
    return f"({' AND '.join(conditions) or '1'})"


def _same(column: ComparedColumn, then: _Table, now: _Table) -> str:
    """Whether a column holds the same in both rows: NULL is the same as NULL and as nothing else."""
    before, after = (table.columns.get(column.name) for table in (then, now))
    names = [f"{side}.{quote(column.name)}" for side in (_THEN, _NOW)]
    if before is not None and after is not None:
        words = {_word(before.kind), _word(after.kind)}
        if words <= _NUMBERS or words <= _BYTES or (before == after and words <= _COMPARED_DIRECTLY):
            return " <=> ".join(names)
        if words <= _TEXTS and before.charset and before.charset == after.charset:
            return " <=> ".join(_or_end(f"CAST({name} AS BINARY)", name) for name in names)
    return " <=> ".join(_or_end(str(_expression(column, name)), name) for name in names)


def _or_end(value: str, name: str) -> str:
    """A value that cannot be told ends the statement, rather than pass for NULL."""
    return f"COALESCE({value}, IF({name} IS NULL, NULL, {_LARGEST} + LENGTH({name})))"


# ---------------------------------------------------------------- Grouped by digests


def _grouped(pair: TwoTables) -> str:
    """One SELECT: digests of both sides, the same ones together, then what is left over by key.

    The server is told that groups are many: it sorts them, rather than look for each in a table of them.
    """
    by_row = _same_together(pair, [_digest(columns) for columns in (pair.key, pair.columns) if columns])
    gone, came, changed = "GREATEST(t - n, 0)", "GREATEST(n - t, 0)", "0"
    if pair.key:
        by_row = (
            f"SELECT SQL_BIG_RESULT SUM(t) AS t, SUM(n) AS n, SUM({gone}) AS gone, SUM({came}) AS came"
            f" FROM ({by_row}) AS same_rows GROUP BY d0"
        )
        gone, came, changed = "gone", "came", "LEAST(gone, came)"
    sums = ("t", "n", f"{gone} - {changed}", f"{came} - {changed}", changed)
    return f"SELECT {', '.join(f'COALESCE(SUM({each}), 0)' for each in sums)} FROM ({by_row}) AS counted"


def _same_together(pair: TwoTables, digests: Sequence[str]) -> str:
    """Rows of both sides with the same digests as one, and how many of them each side has."""
    names = [f"d{at}" for at in range(len(digests))]
    told = ", ".join(f"{digest} AS {name}" for digest, name in zip(digests, names, strict=True))
    each_row = " UNION ALL ".join(
        f"SELECT {told}, {then} AS t, {1 - then} AS n FROM {_named(database, pair.table)}"
        for database, then in ((pair.then, 1), (pair.now, 0))
    )
    return (
        f"SELECT SQL_BIG_RESULT {', '.join(names)}, SUM(t) AS t, SUM(n) AS n FROM ({each_row}) AS each_row"
        f" GROUP BY {', '.join(names)}"
    )


def _digest(columns: Sequence[ComparedColumn]) -> str:
    """Of some columns of a row, each with its length before it.

    Where all together are longer than the server makes a text, digests of the values are digested.
    """
    whole, apart = [], []
    for column in columns:
        name = quote(column.name)
        value = str(_expression(column, name))
        whole.append(f"COALESCE(CONCAT(LENGTH({value}), ':', {value}), IF({name} IS NULL, 'N', NULL))")
        apart.append(f"IF({name} IS NULL, 'N', {_or_end(f'SHA2({value}, 256)', name)})")
    digests = [f"SHA2(CONCAT({', '.join(each)}), 256)" for each in (whole, ["' '", *apart])]
    return f"LEFT(UNHEX(COALESCE({', '.join(digests)})), 16)"


def _expression(column: ComparedColumn, name: str) -> str | None:
    """What is the same for equal values of both types; None where nothing is."""
    words = {_word(column.then), _word(column.now)}
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
