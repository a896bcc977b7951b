"""Rows that differ, for the terminal of who plays the comparison: picked out of both dumps once more.

They are handed over in memory, to whoever asked for them around the run, and are written nowhere else. Of the
live database there is no second dump of the same moment, so its statements are kept meanwhile, in a file
without a name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from backups.differences.cutting import Cutter, columns_of, rows_of, written_columns
from backups.differences.rowfile import Digests, write
from backups.differences.shapes import Layout, Shape
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.ready import Does, Ready

# Of each table.
MOST_SHOWN = 50
# By table and digest of a key, how many rows of it are gone and new.
Picked = Mapping[str, Mapping[bytes, tuple[int, int]]]
# Characters of a value. One has four bytes at most.
_LONGEST_SHOWN = 200
_LONGEST_READ = 4 * (_LONGEST_SHOWN + 1)


class Value(NamedTuple):
    """A value as it is written in SQL, cut where it is long, and a digest of the whole."""

    text: str
    digest: bytes


# A row's values by their columns.
Values = Mapping[str, Value]


class ShownRow(NamedTuple):
    """A row that differs: as it was and as it is, each None where it is not there."""

    table: str
    before: Values | None
    after: Values | None
    # The columns that are of the same type on both sides.
    compared: Collection[str]

    @property
    def differing(self) -> list[str]:
        """The compared columns in which both differ: of another type, all would."""
        then, now = self.before or {}, self.after or {}
        both = [name for name in now if name in then and name in self.compared]
        return [name for name in both if then[name].digest != now[name].digest]


@dataclass
class RowsAsked:
    """Who wants to see rows, and those that differ, at most so many of each table."""

    by: str
    rows: list[ShownRow] = field(default_factory=list)


_ASKED: ContextVar[RowsAsked | None] = ContextVar("rows_asked", default=None)


@contextmanager
def asked(by: str) -> Iterator[RowsAsked]:
    """Have a comparison that is played here, for the length of a block, hand over rows that differ."""
    wanted = RowsAsked(by)
    token = _ASKED.set(wanted)
    try:
        yield wanted
    finally:
        _ASKED.reset(token)


def rows_asked() -> RowsAsked | None:
    """Who asked for rows around this run; None where nobody did."""
    return _ASKED.get()


class Kept:
    """The statements of one dump that bring rows, table by table, in a file without a name."""

    def __init__(self, folder: str) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder or None)  # noqa: SIM115  closed by `close`
        self._begins: dict[str, int] = {}
        self._sizes: dict[str, list[tuple[int, Ready]]] = {}

    def add(self, ready: Ready) -> None:
        """Keep a statement; those of a table come one after the other."""
        self._begins.setdefault(ready.table, self._file.seek(0, 2))
        write(self._file, ready.text)
        self._sizes.setdefault(ready.table, []).append((len(ready.text), ready._replace(text=b"")))

    def drop(self, table: str) -> None:
        """Let go of the table that was read last."""
        begin = self._begins.pop(table, None)
        if begin is not None:
            self._sizes.pop(table)
            self._file.seek(begin)
            self._file.truncate()

    def statements(self, table: str) -> Iterator[Ready]:
        """Those of one table again."""
        at = self._begins.get(table, 0)
        for size, ready in self._sizes.get(table, []):
            self._file.seek(at)
            yield ready._replace(text=self._file.read(size))
            at += size

    def close(self) -> None:
        """Give its room back."""
        self._file.close()


class Picker:
    """Takes in the statements of a dump once more, and keeps the rows of the picked keys."""

    def __init__(
        self, picked: Picked, layouts: Mapping[str, Layout], shapes: Mapping[str, Shape], digests: Digests
    ) -> None:
        self._picked, self._layouts, self._shapes = picked, layouts, shapes
        self._digest = digests.of
        # By table and key, each different row once.
        self.found: dict[tuple[str, bytes], dict[bytes, Values]] = {}

    def take(self, ready: Ready) -> None:
        """Take in the next statement."""
        picked = self._picked.get(ready.table)
        if ready.does != Does.ROWS or not picked:
            return
        head = rows_of(ready)
        layout = self._layouts[ready.table]
        columns = written_columns(self._shapes[ready.table], columns_of(ready.text, head))
        for portion in Cutter(columns, layout).whole_rows(ready.text, head):
            for key, row, values in portion:
                told_by = self._digest(key)
                if told_by in picked:
                    named = self._named(columns, values)
                    self.found.setdefault((ready.table, told_by), {})[self._digest(row)] = named

    def close(self) -> None:
        """All was read."""

    def compared(self, table: str) -> frozenset[str]:
        """The columns of a table whose values are compared."""
        return frozenset(map(unquoted, self._layouts[table].columns))

    def _named(self, columns: Sequence[bytes], values: Sequence[bytes]) -> Values:
        """Of long values only what is shown of them: they may be of many megabytes."""
        named = zip(columns, values, strict=False)
        return {unquoted(name): Value(_cut(value), self._digest(value)) for name, value in named}


def _cut(value: bytes) -> str:
    text = value[:_LONGEST_READ].decode(errors="backslashreplace")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def side_by_side(picked: Picked, before: Picker, after: Picker) -> list[ShownRow]:
    """The picked rows of both sides, those of one key together; what both have is left out."""
    shown = []
    for table, keys in picked.items():
        compared = before.compared(table)
        for key, (is_gone, _) in keys.items():
            then, now = before.found.get((table, key), {}), after.found.get((table, key), {})
            gone = [values for digest, values in then.items() if digest not in now]
            new = [values for digest, values in now.items() if digest not in then]
            if not gone and not new:
                # How often an equal row is there differs.
                gone, new = (list(then.values()), []) if is_gone else ([], list(now.values()))
            for at in range(max(len(gone), len(new))):
                shown.append(ShownRow(table, _at(gone, at), _at(new, at), compared))
    return shown


def _at(rows: Sequence[Values], at: int) -> Values | None:
    return rows[at] if at < len(rows) else None
