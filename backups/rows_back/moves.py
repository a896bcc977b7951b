"""Rows on their way from one state to another, and the values by which they are in each other's way. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from backups.rows_back.literals import Value
from backups.rows_back.tables import Column, Of, Reference, Table, Unique

Row = Mapping[bytes, Value]
# The values of some columns, as the server takes them for equal; None where one is NULL or not known.
Folded = tuple[object, ...] | None


@dataclass(frozen=True)
class Followed:
    """Rows that a foreign key changes with their parent: those that refer to `values`, so many as chosen."""

    table: Table
    values: Row
    count: int


@dataclass(frozen=True)
class Move:
    """A row and what becomes of it: `before` is None where it is not there yet, `after` where it goes.

    `alike` is how many rows just like it a table without a key has when its turn comes; None where a key or
    nothing tells. `followed` are the rows that follow it.
    """

    number: int
    table: Table
    before: Row | None
    after: Row | None
    alike: int | None = None
    followed: Sequence[Followed] = ()

    @property
    def phase(self) -> int:
        """What goes makes room, so it goes first, and what comes is last, unless something is against it."""
        return 0 if self.after is None else 2 if self.before is None else 1

    def by_way_of(self, between: Row | None) -> tuple[Move, Move]:
        """The same in two steps."""
        whole = replace(self, alike=None)
        return replace(whole, after=between), replace(whole, before=between)


def with_null(row: Row, columns: Sequence[bytes], table: Table) -> Row | None:
    """A row with NULL in one of these columns; None where each must have a value."""
    for name in columns:
        if name in row and row[name] is not None and table.columns[name].may_be_null:
            return {**row, name: None}
    return None


def differing(move: Move) -> list[bytes]:
    """The columns that an UPDATE sets: generated ones follow by themselves."""
    before, after, columns = move.before or {}, move.after or {}, move.table.columns
    differ = [name for name in after if name not in before or before[name] != after[name]]
    return [name for name in differ if not columns[name].is_generated]


def of_key(row: Row | None, unique: Unique, table: Table) -> Folded:
    """The values of a unique key, which no other row may have."""
    return _folded(row, list(zip(unique.columns, unique.lengths, strict=True)), table)


def of_child(row: Row | None, reference: Reference, table: Table) -> Folded:
    """What a row refers to."""
    return _folded(row, [(name, 0) for name in reference.columns], table)


def of_parent(row: Row | None, reference: Reference, parent: Table) -> Folded:
    """By what others refer to a row."""
    return _folded(row, [(name, 0) for name in reference.parent_columns], parent)


def _folded(row: Row | None, parts: Sequence[tuple[bytes, int]], table: Table) -> Folded:
    if row is None:
        return None
    found = []
    for name, length in parts:
        value, column = row.get(name), table.columns.get(name)
        if value is None or column is None:
            return None
        found.append(folded(value, column, length))
    return tuple(found)


def folded(value: bytes, column: Column, length: int = 0) -> object:
    """What is the same for all values that the server may take for equal, and sometimes for more of them."""
    if column.of == Of.NUMBER:
        try:
            return Decimal(value.decode())
        except (InvalidOperation, UnicodeDecodeError):
            return value
    if column.of != Of.TEXT:
        return value[:length] if length else value
    text = value.decode(errors="surrogateescape")
    text = text[:length] if length else text
    if not column.is_exact:
        text = "".join(
            each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each)
        )
    return text.rstrip(" ")


def parent_of(reference: Reference, tables: Mapping[str, Table]) -> Table | None:
    """The table that is referred to, whatever letters its name is written in."""
    if reference.database:
        return None
    return tables.get(reference.parent) or next(
        (each for name, each in tables.items() if name.casefold() == reference.parent.casefold()), None
    )


def references_to(table: Table, tables: Mapping[str, Table]) -> Iterator[tuple[Table, Reference]]:
    """The foreign keys of all tables that refer to this one."""
    for child in tables.values():
        for reference in child.references:
            if parent_of(reference, tables) is table:
                yield child, reference
