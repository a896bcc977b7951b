"""A statement that brings rows, cut into what tells each row apart and what it holds. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backups.differences.shapes import Layout, Shape
from backups.dumpfile.quoted import NAME_BYTES
from backups.dumpfile.ready import Ready
from backups.dumpfile.rows import Rows, rows_head
from backups.dumpfile.values import QUOTED, ROW, VALUE

_NAMES = re.compile(NAME_BYTES, re.S)
_VALUES = re.compile(rb"(?=[^,])" + VALUE + rb"(?:,|\Z)", re.S)
_REST = rb"(?:[^()'\"]++|" + QUOTED + rb")*+"
# Between rows, and in MariaDB's dumps; of one row nothing.
_GAPS = (b",\n", b",", b"")

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
    return len(_all_rows(text, head.values))


class Cutter:
    """Cuts the rows of one table, of which a dump writes these `columns`, as a layout wants them compared.

    Raises NotCut for columns that the dump does not write.
    """

    def __init__(self, columns: Sequence[bytes], layout: Layout) -> None:
        place = {name: at for at, name in enumerate(columns)}
        if not place.keys() >= set(layout.key):
            raise NotCut
        self._key = [place[name] for name in layout.key]
        # Of generated columns a dump may hold nothing.
        self._columns = [place[name] for name in layout.columns if name in place]
        self._width = len(columns)
        self._pattern = _pattern(self._key) if layout.is_whole else None

    def rows(self, text: bytes, head: Rows) -> Sequence[Row]:
        """The key of each row, and what of it is compared. Raises NotCut."""
        if self._pattern is None:
            return [(key, row) for key, row, _ in self.whole_rows(text, head)]
        if not self._key:
            return [(row, row) for row in _all_rows(text, head.values)]
        found = self._pattern.findall(text, head.values)
        _refuse_gaps([each[0] for each in found], text, head.values)
        if len(self._key) == 1:
            return [(key, row) for row, key in found]
        # Values are written as SQL, so that no comma of theirs can be taken for one between them.
        return [(b",".join(each[1:]), each[0]) for each in found]

    def whole_rows(self, text: bytes, head: Rows) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
        """The same, and all values of each row beside it. Raises NotCut."""
        if self._pattern is None:
            key, columns = self._key, self._columns
        else:
            key, columns = sorted(self._key), None
        for whole in _all_rows(text, head.values):
            values = values_of(whole)
            if len(values) != self._width:
                raise NotCut
            row = whole if columns is None else b",".join([values[at] for at in columns])
            yield (b",".join([values[at] for at in key]) if key else row), row, values


def written_columns(shape: Shape, named: Sequence[bytes]) -> list[bytes]:
    """The columns that a dump writes of a table: those that its statements name, or all."""
    return list(named) or list(shape.columns)


def _pattern(key: Sequence[int]) -> re.Pattern[bytes]:
    """A whole row as the first group, its values at these places as the others."""
    values = [b"(" + VALUE + b")" if at in key else VALUE for at in range(max(key, default=-1) + 1)]
    return re.compile(rb"(\(" + b",".join(values) + _REST + rb"\))", re.S)


def _all_rows(text: bytes, at: int) -> list[bytes]:
    """All rows, each in its brackets. Raises NotCut."""
    rows = ROW.findall(text, at)
    _refuse_gaps(rows, text, at)
    return rows


def _refuse_gaps(rows: Sequence[bytes], text: bytes, at: int) -> None:
    """Raise NotCut unless nothing but what separates rows stands between them."""
    if not rows:
        raise NotCut
    between = next(gap for gap in _GAPS if text.startswith(gap, at + len(rows[0])))
    if len(text) - at != sum(map(len, rows)) + len(between) * (len(rows) - 1):
        raise NotCut
