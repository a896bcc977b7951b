"""One statement for each move of a row, and the guard behind it. Pure.

A statement hits its row only in the state that was seen, and only while `@vedetta_row` says that all before
it hit theirs: in a new session, or after a deadlock took the transaction away, no further one does anything.
The guard fails where nothing was hit. It calculates beyond the largest number, as any client stops for that
(https://dev.mysql.com/doc/refman/8.4/en/out-of-range-and-overflow.html), while DO would swallow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from backups.rows_back.literals import is_found, is_same, name_of, stored
from backups.rows_back.moves import Followed, Move, Row, differing, references_to
from backups.rows_back.tables import Table

TOO_LARGE = b"9223372036854775807"
# Rules by which rows that refer to one go or change with it.
_MOVING = ("CASCADE", "SET NULL", "SET DEFAULT")


class Guarded(NamedTuple):
    """A statement that moves a row, or counts it where a foreign key has moved it already, and the one that
    stops the script unless it was one row. Of the guard a server may say all, and it holds no value."""

    statement: bytes
    guard: bytes


def guarded(move: Move, place: int, tables: Mapping[str, Table]) -> Guarded:
    """The statements of the move at this place, from 0; `tables` are all that foreign keys connect."""
    before, after, table = move.before, move.after, move.table
    in_turn = b"@vedetta_row = %d" % place
    if before is None:
        statement = _insert(table, after or {}, _alike(move) + in_turn)
    elif after is None:
        unreferred = b"".join(_unreferred(before, table, tables))
        statement = b"DELETE FROM %b WHERE %b" % (
            _name(table),
            _exactly(table, before, _alike(move) + unreferred + in_turn),
        )
    elif changes := differing(move):
        alone = b"".join(map(_alone, move.followed))
        statement = _update(table, before, {name: after[name] for name in changes}, alone + in_turn)
    else:
        where = _exactly(table, after, in_turn)
        statement = b"SET @vedetta_found = (SELECT COUNT(*) FROM %b WHERE %b)" % (_name(table), where)
        return Guarded(statement, _guard(b"@vedetta_found", place))
    return Guarded(statement, _guard(b"ROW_COUNT()", place))


def _guard(count: bytes, place: int) -> bytes:
    return b"SET @vedetta_check = %b + (%b <> 1), @vedetta_row = %d" % (TOO_LARGE, count, place + 1)


def _insert(table: Table, row: Row, in_turn: bytes) -> bytes:
    columns = [column for name, column in table.columns.items() if name in row and not column.is_generated]
    return b"INSERT INTO %b (%b) SELECT %b FROM DUAL WHERE %b" % (
        _name(table),
        b", ".join(name_of(column.name) for column in columns),
        b", ".join(stored(row[column.name], column) for column in columns),
        in_turn,
    )


def _update(table: Table, before: Row, changes: Row, in_turn: bytes) -> bytes:
    sets = [name_of(name) + b" = " + stored(changes[name], table.columns[name]) for name in changes]
    # Else the server sets them to the time of the UPDATE.
    sets += [
        name_of(name) + b" = " + name_of(name)
        for name, column in table.columns.items()
        if column.keeps_time and name not in changes
    ]
    where = _exactly(table, before, in_turn)
    return b"UPDATE %b SET %b WHERE %b" % (_name(table), b", ".join(sets), where)


def _exactly(table: Table, row: Row, in_turn: bytes) -> bytes:
    """The condition that holds for this row alone; of several that are the same without a key, for one."""
    key = next((key for key in table.keys if all(row.get(name) is not None for name in key)), None)
    first: Sequence[bytes] = key or ()
    names = [*first, *(name for name, column in table.columns.items() if name in row and name not in first)]
    parts = []
    for name in names:
        column = table.columns[name]
        if name in first and (found := is_found(row[name], column)):
            parts.append(found)
        if name in first or not column.is_generated:
            parts.append(is_same(row[name], column))
    return b" AND ".join([*parts, in_turn]) + (b"" if key else b" LIMIT 1")


def _unreferred(row: Row, table: Table, tables: Mapping[str, Table]) -> Iterator[bytes]:
    """That no row refers to this one, which a foreign key would delete or change with it.

    The chosen ones were moved before. Another one came after the proof. What may be the table itself is read
    behind a LIMIT: else MySQL refuses it (https://dev.mysql.com/doc/refman/8.4/en/delete.html).
    """
    for child, reference in references_to(table, tables):
        if reference.on_delete not in _MOVING:
            continue
        pairs = list(zip(reference.columns, reference.parent_columns, strict=True))
        if any(row.get(theirs) is None for _, theirs in pairs):
            continue
        own = child is table and all(row.get(mine) == row[theirs] for mine, theirs in pairs)
        refers = b" AND ".join(
            name_of(mine) + b" = " + stored(row[theirs], child.columns[mine]) for mine, theirs in pairs
        )
        yield b"(SELECT COUNT(*) FROM (SELECT 1 FROM %b WHERE %b LIMIT 2) AS vedetta_refers) = %d AND " % (
            _name(child),
            refers,
            own,
        )


def _alike(move: Move) -> bytes:
    """That there are as many rows like it as were seen: nothing else tells that one came or went meanwhile.

    They are counted behind a LIMIT, as MySQL reads no table that it changes otherwise.
    """
    row = move.after if move.before is None else move.before
    if move.alike is None or row is None:
        return b""
    columns = (column for name, column in move.table.columns.items() if name in row)
    same = b" AND ".join(is_same(row[column.name], column) for column in columns if not column.is_generated)
    return b"(SELECT COUNT(*) FROM (SELECT 1 FROM %b WHERE %b LIMIT %d) AS vedetta_alike) = %d AND " % (
        _name(move.table), same, move.alike + 1, move.alike,
    )  # fmt: skip


def _alone(followed: Followed) -> bytes:
    """That no other row follows: one that came meanwhile would be changed, and nobody has seen it."""
    table, count = followed.table, followed.count
    refers = b" AND ".join(
        name_of(name) + b" = " + stored(value, table.columns[name]) for name, value in followed.values.items()
    )
    return b"(SELECT COUNT(*) FROM (SELECT 1 FROM %b WHERE %b LIMIT %d) AS vedetta_follow) = %d AND " % (
        _name(table), refers, count + 1, count,
    )  # fmt: skip


def _name(table: Table) -> bytes:
    return name_of(table.name.encode(errors="surrogateescape"))
