"""The rows that differ, kept in one file on the worker's host: as they were and as they are, in SQL.

The file is SQLite's, so that a page of rows is read without the others. It holds what people store, so only
its owner may read it, and it is removed a day after it was written. `keeping` writes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Any, Literal

from backups.errors import Problem
from backups.text.sentences import phrase

# A row's values as the dump writes them in SQL, by the name of their column: UTF-8, without backticks.
Values = Mapping[bytes, bytes]
Kind = Literal["gone", "new", "changed"]
GONE, NEW, CHANGED = "gone", "new", "changed"
KINDS = (GONE, CHANGED, NEW)
# What became of a chosen row meanwhile: nothing, it was changed again and is left out, or is not, or it is
# as it was already.
AS_SEEN, AGAIN, AGAIN_CHOSEN, ALREADY = "", "again", "again_chosen", "already"
# Of the form of the file.
VERSION = 1
_LENGTH = Struct("!I")
# SQLite takes so many arguments at once, and more.
_AT_ONCE = 500


@dataclass(frozen=True)
class Change:
    """A row that differs: gone has no `now`, new has no `then`, changed has both.

    `number` is its place within the file, from 1. `equal_now` counts, in a table without a key, the rows on
    the later side that are just like this one. The rest is of rows that were chosen: `state`, and as what
    the row was found meanwhile where that is AGAIN or AGAIN_CHOSEN (`third`, None where it was not there).
    """

    table: str
    number: int
    then: Values | None
    now: Values | None
    equal_now: int = 0
    state: str = ""
    third: Values | None = None

    @property
    def found(self) -> Values | None:
        """As it was found last."""
        return self.third if self.state in (AGAIN, AGAIN_CHOSEN) else self.now

    @property
    def kind(self) -> Kind:
        """What became of it."""
        return "new" if self.then is None else "gone" if self.now is None else "changed"


@dataclass(frozen=True)
class KeptTable:
    """A table of which rows are kept: how many of each kind, and how many more differ (`beyond`).

    `key` are the columns that tell its rows apart, none where whole rows are counted. The definitions are
    the CREATE TABLE of either side, as the dump has it; `is_as_then` says that both have the same columns.
    """

    name: str
    key: Sequence[str]
    gone: int
    new: int
    changed: int
    beyond: int
    definition_then: bytes
    definition_now: bytes
    is_as_then: bool = True


class KeptRows:
    """The rows of one file, to be read. See `kept_rows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._columns: dict[int, Sequence[Sequence[bytes]]] = {}
        self._names: dict[int, str] = {}
        for number, name, *columns in connection.execute(
            'SELECT id, name, columns_then, columns_now, columns_third FROM "tables"'
        ):
            self._names[number] = name
            self._columns[number] = [unpacked(each) for each in columns]

    def tables(self) -> list[KeptTable]:
        """The tables of which rows are kept, by name."""
        found = self._connection.execute(
            'SELECT id, name, key, beyond, definition_then, definition_now, is_as_then FROM "tables" '
            "ORDER BY name"
        ).fetchall()
        return [
            KeptTable(name, json.loads(key), *self._counts(number), beyond, then, now, bool(same))
            for number, name, key, beyond, then, now, same in found
        ]

    def _counts(self, table: int) -> tuple[int, int, int]:
        counted = dict(
            self._connection.execute(
                'SELECT kind, count(*) FROM "rows" WHERE table_id = ? GROUP BY kind', (table,)
            )
        )
        return counted.get(GONE, 0), counted.get(NEW, 0), counted.get(CHANGED, 0)

    def page(
        self, table: str, offset: int = 0, limit: int = 50, kinds: Collection[str] = (), search: str = ""
    ) -> tuple[int, list[Change]]:
        """How many rows there are of these kinds (all without any) whose key holds `search`, and some."""
        where, arguments = self._where(table, kinds)
        if search:
            where += ' AND instr(coalesce(key, "then", now), ?)'
            arguments.append(_as_written(search))
        ((total,),) = self._connection.execute(f'SELECT count(*) FROM "rows" WHERE {where}', arguments)  # noqa: S608
        rows = self._connection.execute(
            f"{_SELECT} WHERE {where} ORDER BY number LIMIT ? OFFSET ?", [*arguments, limit, offset]
        )
        return total, [self._change(row) for row in rows]

    def changes(self, table: str, kinds: Collection[str] = ()) -> Iterator[Change]:
        """All rows of a table of these kinds, in the order of their numbers."""
        where, arguments = self._where(table, kinds)
        for row in self._connection.execute(f"{_SELECT} WHERE {where} ORDER BY number", arguments):
            yield self._change(row)

    def numbered(self, numbers: Iterable[int]) -> Iterator[Change]:
        """The rows of these numbers, in their order; unknown ones are passed over."""
        wanted = iter(sorted(set(numbers)))
        while some := list(islice(wanted, _AT_ONCE)):
            marks = ", ".join("?" * len(some))
            for row in self._connection.execute(f"{_SELECT} WHERE number IN ({marks}) ORDER BY number", some):
                yield self._change(row)

    def _where(self, table: str, kinds: Collection[str]) -> tuple[str, list[Any]]:
        wanted = list(kinds) or list(KINDS)
        number = next((number for number, name in self._names.items() if name == table), 0)
        return f"table_id = ? AND kind IN ({', '.join('?' * len(wanted))})", [number, *wanted]

    def _change(self, row: tuple[Any, ...]) -> Change:
        number, table, *sides, equal_now, state = row
        then, now, third = map(_values, self._columns[table], sides)
        return Change(self._names[table], number, then, now, equal_now, state, third)


_SELECT = 'SELECT number, table_id, "then", now, third, equal_now, state FROM "rows"'


@contextmanager
def kept_rows(path: Path) -> Iterator[KeptRows]:
    """The rows of a file for the length of a block. Raises Problem where it is not there any more."""
    if not path.is_file():
        raise not_kept()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            ((version,),) = connection.execute("PRAGMA user_version")
            if version != VERSION:
                raise not_kept()
            yield KeptRows(connection)
        except sqlite3.DatabaseError as error:
            raise not_kept() from error


def not_kept() -> Problem:
    """That the rows are not there any more."""
    return Problem(
        phrase("The rows of this comparison are not kept here any more."),
        code="rows.not_kept",
        safe=phrase("Nothing was changed."),
        do=phrase("Compare again and keep the rows: they stay for a day, where the worker runs."),
    )


def packed(values: Iterable[bytes]) -> bytes:
    """Texts of any bytes as one."""
    return b"".join(part for value in values for part in (_LENGTH.pack(len(value)), value))


def unpacked(data: bytes) -> list[bytes]:
    """The texts that `packed` took."""
    found, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        found.append(data[at - length : at])
    return found


def _values(columns: Sequence[bytes], data: bytes | None) -> Values | None:
    return None if data is None else dict(zip(columns, unpacked(data), strict=True))


def _as_written(search: str) -> bytes:
    """As the dump programs write it within quotes."""
    return search.replace("\\", "\\\\").replace("'", "\\'").encode(errors="replace")
