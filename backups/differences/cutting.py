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
# A comma, and with MariaDB's dumps the end of the line.
_LONGEST_GAP = 2

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
    return sum(1 for _ in _found(ROW, text, head.values))


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

    def rows(self, text: bytes, head: Rows) -> Iterator[Row]:
        """The key of each row, and what of it is compared. Raises NotCut."""
        if self._pattern is None:
            yield from self._chosen(text, head)
        elif not self._key:
            for found in _found(ROW, text, head.values):
                yield found[0], found[0]
        elif len(self._key) == 1:
            for found in _found(self._pattern, text, head.values):
                yield found[1], found[0]
        else:
            for found in _found(self._pattern, text, head.values):
                # Values are written as SQL, so that no comma of theirs can be taken for one between them.
                yield b",".join(found.groups()), found[0]

    def whole_rows(self, text: bytes, head: Rows) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
        """The same, and all values of each row beside it. Raises NotCut."""
        if self._pattern is None:
            key, columns = self._key, self._columns
        else:
            key, columns = sorted(self._key), None
        for found in _found(ROW, text, head.values):
            values = values_of(found[0])
            if len(values) != self._width:
                raise NotCut
            row = found[0] if columns is None else b",".join([values[at] for at in columns])
            yield (b",".join([values[at] for at in key]) if key else row), row, values

    def _chosen(self, text: bytes, head: Rows) -> Iterator[Row]:
        for key, row, _ in self.whole_rows(text, head):
            yield key, row


def written_columns(shape: Shape, named: Sequence[bytes]) -> list[bytes]:
    """The columns that a dump writes of a table: those that its statements name, or all."""
    return list(named) or list(shape.columns)


def _pattern(key: Sequence[int]) -> re.Pattern[bytes]:
    """A row whose values at these places are groups."""
    values = [b"(" + VALUE + b")" if at in key else VALUE for at in range(max(key, default=-1) + 1)]
    return re.compile(rb"\(" + b",".join(values) + _REST + rb"\)", re.S)


def _found(pattern: re.Pattern[bytes], text: bytes, at: int) -> Iterator[re.Match[bytes]]:
    """One row after the other. Raises NotCut where something stands between two that is none."""
    end = at
    for found in pattern.finditer(text, at):
        if found.start() - end > _LONGEST_GAP:
            raise NotCut
        end = found.end()
        yield found
    if text[end:].strip():
        raise NotCut
