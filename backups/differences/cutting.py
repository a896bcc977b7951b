"""A statement that brings rows, cut into what tells each row apart and what it holds. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from backups.differences.shapes import Layout, Shape
from backups.dumpfile.quoted import NAME_BYTES
from backups.dumpfile.ready import Ready
from backups.dumpfile.rows import Rows, rows_head
from backups.dumpfile.values import QUOTED, ROW, VALUE

_NAMES = re.compile(NAME_BYTES, re.S)
_VALUES = re.compile(rb"(?=[^,])" + VALUE + rb"(?:,|\Z)", re.S)
_REST = rb"(?:[^()'\"]++|" + QUOTED + rb"|)*+"
# Between rows, and in MariaDB's dumps; of one row nothing.
_GAPS = (b",\n", b",", b"")
# Of one row of many megabytes there is nothing to divide, and of millions of rows no dump program makes one.
_AT_ONCE_BYTES = 8 << 20
_AT_ONCE_ROWS = 10_000

Row = tuple[bytes, bytes]


class NotCut(Exception):
    """A statement that is not written as the dump programs write rows."""


def rows_of(ready: Ready) -> Rows:
    """The head of a statement that brings rows. Raises NotCut."""
    head = rows_head(ready.text, 0, ready.settings.charset, ready.settings.sql_mode)
    if head is None:
        raise NotCut
    return head


def columns_of(text: bytes, head: Rows) -> list[bytes]:
    """The columns that it names before its values, in backticks; none where it names none."""
    return _NAMES.findall(text, head.own + len(head.table), head.values)


def values_of(row: bytes) -> list[bytes]:
    """The values of a row, which stands in brackets."""
    return [value.removesuffix(b",") for value in _VALUES.findall(row[1:-1])]


def count(text: bytes, head: Rows) -> int:
    """How many rows a statement brings. Raises NotCut."""
    return sum(len(portion) for portion in _portions(ROW, text, head.values))


class Cutter:
    """Cuts the rows of one table, of which a dump writes these `columns`, as a layout wants them compared.

    Raises NotCut for columns that the dump does not write.
    """

    def __init__(self, columns: Sequence[bytes], layout: Layout) -> None:
        place = {name: at for at, name in enumerate(columns)}
        if not place.keys() >= set(layout.key):
            raise NotCut
        self._key = [place[name] for name in layout.key]
        self._columns = [place[name] for name in layout.columns if name in place]
        self._width = len(columns)
        self._pattern = _pattern(self._key) if layout.is_as_written else None
        self._values = None if layout.is_as_written else _all_values(self._width)

    def rows(self, text: bytes, head: Rows) -> Iterator[Sequence[Row]]:
        """The key of each row, and what of it is compared, in portions. Raises NotCut."""
        if self._values is not None:
            row = _joined(self._columns)
            key = _joined(self._key) if self._key else row
            for found in _portions(self._values, text, head.values):
                yield [(key(each), row(each)) for each in found]
            return
        assert self._pattern is not None  # noqa: S101  one of the two is there
        for found in _portions(self._pattern if self._key else ROW, text, head.values):
            if not self._key:
                yield [(row, row) for row in found]
            elif len(self._key) == 1:
                yield [(key, row) for row, key in found]
            else:
                # Values are written as SQL: no comma of theirs can be taken for one between them.
                yield [(b",".join(each[1:]), each[0]) for each in found]

    def whole_rows(self, text: bytes, head: Rows) -> Iterator[Sequence[tuple[bytes, bytes, list[bytes]]]]:
        """The same, and all values of each row beside it. Raises NotCut."""
        for portion in _portions(ROW, text, head.values):
            yield [self._taken_apart(row) for row in portion]

    def _taken_apart(self, whole: bytes) -> tuple[bytes, bytes, list[bytes]]:
        values = values_of(whole)
        if len(values) != self._width:
            raise NotCut
        if self._pattern is None:
            key, row = self._key, b",".join([values[at] for at in self._columns])
        else:
            key, row = sorted(self._key), whole
        return (b",".join([values[at] for at in key]) if key else row), row, values


def written_columns(shape: Shape, named: Sequence[bytes]) -> list[bytes]:
    """The columns that a dump writes of a table: those that its statements name, or all."""
    return list(named) or list(shape.columns)


def _pattern(key: Sequence[int]) -> re.Pattern[bytes]:
    """A whole row as the first group, its values at these places as the others."""
    values = [b"(" + VALUE + b")" if at in key else VALUE for at in range(max(key, default=-1) + 1)]
    return re.compile(rb"(\(" + b",".join(values) + _REST + rb"\))", re.S)


def _all_values(width: int) -> re.Pattern[bytes]:
    """A whole row of so many values as the first group, each value as one of the others."""
    return re.compile(rb"(\(" + b",".join([b"(" + VALUE + b")"] * width) + rb"\))", re.S)


def _joined(places: Sequence[int]) -> Callable[[Sequence[bytes]], bytes]:
    """What tells of a row's groups the values at these places. Nothing of it is a loop of our own."""
    if not places:
        return lambda _: b""
    groups = itemgetter(*(at + 1 for at in places))
    return groups if len(places) == 1 else lambda row: b",".join(groups(row))


def _portions(pattern: re.Pattern[bytes], text: bytes, at: int) -> Iterator[list[Any]]:
    """What a pattern finds of rows, row by row: its groups, or where it has none the row.

    A statement is nearly always of a megabyte, and one portion. Raises NotCut where anything but what
    separates rows stands between two.
    """
    number, covered, first = 0, 0, b""
    for portion in _found(pattern, text, at):
        rows = [each[0] for each in portion] if pattern.groups else portion
        first = first or rows[0]
        number += len(rows)
        covered += sum(map(len, rows))
        yield portion
    between = next(gap for gap in _GAPS if text.startswith(gap, at + len(first)))
    if not number or len(text) - at != covered + len(between) * (number - 1):
        raise NotCut


def _found(pattern: re.Pattern[bytes], text: bytes, at: int) -> Iterator[list[Any]]:
    if len(text) <= _AT_ONCE_BYTES:
        found = pattern.findall(text, at)
        yield from [found] if found else []
        return
    each = (match.groups() if pattern.groups else match[0] for match in pattern.finditer(text, at))
    while portion := list(islice(each, _AT_ONCE_ROWS)):
        yield portion
