"""Keeps the rows that differ: picked out of both dumps as they stream by, then put side by side in a file."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backups.differences.cutting import Cutter, columns_of, rows_of, written_columns
from backups.differences.kept_rows import (
    AS_SEEN,
    CHANGED,
    GONE,
    NEW,
    VERSION,
    Change,
    KeptTable,
    Values,
    packed,
    unpacked,
)
from backups.differences.rowfile import Digests
from backups.differences.shapes import Layout, Shape
from backups.dumpfile.digesting import Digester
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.ready import Does, Ready
from backups.dumpfile.sections import Kind
from backups.dumpfile.table_text import create_table_of
from backups.errors import Problem
from backups.text.sentences import phrase

# By table and digest of a key, how many rows of it are gone and new.
Picks = dict[str, dict[bytes, tuple[int, int]]]
# Of one file; more is counted as beyond.
MOST_BYTES = 256_000_000
THEN, NOW = 0, 1
_BLOCK = 1 << 20
# What SQLite says where the disk or its folder is the reason; further bits say more.
_OF_THE_DISK = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)  # fmt: skip
_ERROR = 0xFF


@dataclass(frozen=True)
class Aside:
    """What of a table the file says besides its rows: how many differ in all, and its definitions."""

    differing: int
    layout: Layout
    definitions: tuple[bytes, bytes]


class Compared(NamedTuple):
    """How the tables of one side are compared."""

    layouts: Mapping[str, Layout]
    shapes: Mapping[str, Shape]
    digests: Digests


class Store:
    """A file of kept rows that is being written. Raises Problem where there is no room."""

    def __init__(self, path: Path, picks: Picks, most_bytes: int) -> None:
        self._path, self.picks = path, picks
        self._left = most_bytes
        self._building = path.with_name(f"{path.name}.building")
        self._half = path.with_name(f"{path.name}.half")
        for each in (self._building, self._half):
            each.unlink(missing_ok=True)
            _make(each)
        self._connection = sqlite3.connect(self._building, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_BUILDING)
        self._connection.execute("BEGIN")
        self._columns: dict[tuple[str, int], Sequence[bytes]] = {}

    def add(self, side: int, table: str, row: tuple[bytes, bytes, Sequence[bytes]]) -> None:
        """A row of a side, by its key's digest and its own; more of the same are counted."""
        told_by, digest, values = row
        data = packed(values)
        if len(data) > self._left:
            self._drop(table, told_by)
            return
        self._left -= len(data)
        self._connection.execute(
            "INSERT INTO sides VALUES (?, ?, ?, ?, ?, 1) "
            "ON CONFLICT (name, told_by, side, digest) DO UPDATE SET number = number + 1",
            (table, told_by, side, digest, data),
        )

    def _drop(self, table: str, told_by: bytes) -> None:
        """Keep nothing of a row: half of a changed one would pass for a gone one. Its room is free again."""
        self.picks[table].pop(told_by, None)
        ((held,),) = self._connection.execute(
            "SELECT coalesce(sum(length(data) * number), 0) FROM sides WHERE name = ? AND told_by = ?",
            (table, told_by),
        )
        self._connection.execute("DELETE FROM sides WHERE name = ? AND told_by = ?", (table, told_by))
        self._left += held

    def columns(self, side: int, table: str, columns: Sequence[bytes]) -> None:
        """The columns of a table as a side writes them."""
        self._columns.setdefault((table, side), columns)

    def finish(self, tables: Mapping[str, Aside]) -> str:
        """Put both sides together in the file; answers its SHA-256. Raises Problem."""
        with full_disk_told():
            self._connection.execute("COMMIT")
            self._connection.execute("ATTACH ? AS kept", (str(self._half),))
            self._connection.executescript(_KEPT)
            self._connection.execute("BEGIN")
            for table in sorted(self.picks):
                self._write(table, tables[table])
            self._connection.execute("COMMIT")
            self._connection.execute("DETACH kept")
            self._half.replace(self._path)
            return digest_of(self._path)

    def _write(self, table: str, aside: Aside) -> None:
        layout = aside.layout
        written = self._connection.execute(
            'INSERT INTO kept."tables" VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (
                table, json.dumps([unquoted(name) for name in layout.key]),
                *(packed(map(_name, self._columns.get((table, side), ()))) for side in (THEN, NOW)),
                b"", *aside.definitions, 0, layout.is_whole,
            ),
        )  # fmt: skip
        number, kept = written.lastrowid, 0
        for told_by in self._keys(table):
            for then, now, equal in self._pairs(table, told_by, aside.layout):
                kind = NEW if then is None else GONE if now is None else CHANGED
                key = self._key(table, aside.layout, then, now)
                self._connection.execute(
                    'INSERT INTO kept."rows" VALUES (NULL, ?, ?, ?, ?, ?, NULL, ?, ?)',
                    (number, kind, key, then, now, equal, AS_SEEN),
                )
                kept += 1
        self._connection.execute(
            'UPDATE kept."tables" SET beyond = ? WHERE id = ?', (max(aside.differing - kept, 0), number)
        )

    def _keys(self, table: str) -> Iterator[bytes]:
        """In the order of the earlier dump; those that are new come last."""
        found = self._connection.execute(
            "SELECT told_by FROM sides WHERE name = ? GROUP BY told_by ORDER BY min(side), min(rowid)",
            (table,),
        ).fetchall()
        return (told_by for (told_by,) in found)

    def _pairs(
        self, table: str, told_by: bytes, layout: Layout
    ) -> Iterator[tuple[bytes | None, bytes | None, int]]:
        sides: tuple[dict[bytes, tuple[bytes, int]], ...] = ({}, {})
        for side, digest, data, count in self._connection.execute(
            "SELECT side, digest, data, number FROM sides WHERE name = ? AND told_by = ? ORDER BY rowid",
            (table, told_by),
        ):
            sides[side][digest] = (data, count)
        then, now = sides
        if not layout.key:
            gone, new = self.picks[table][told_by]
            equal = sum(count for _, count in now.values())
            yield from [(data, None, equal) for data, _ in list(then.values())[:1] for _ in range(gone)]
            yield from [(None, data, equal) for data, _ in list(now.values())[:1] for _ in range(new)]
            return
        gone_rows = [data for digest, (data, _) in then.items() if digest not in now]
        new_rows = [data for digest, (data, _) in now.items() if digest not in then]
        for at in range(max(len(gone_rows), len(new_rows))):
            yield _at(gone_rows, at), _at(new_rows, at), 0

    def _key(self, table: str, layout: Layout, then: bytes | None, now: bytes | None) -> bytes | None:
        """What is searched: the key's values; nothing where the whole row is one."""
        if not layout.key:
            return None
        data, side = (now, NOW) if now is not None else (then or b"", THEN)
        named = dict(zip(self._columns[table, side], unpacked(data), strict=True))
        return b", ".join(named[name] for name in layout.key)

    def close(self) -> None:
        """Leave nothing behind but the file, if it was finished."""
        with suppress(sqlite3.Error):
            self._connection.close()
        for each in (self._building, self._half):
            each.unlink(missing_ok=True)


class Keeper:
    """Takes in the statements of one side once more, and has the picked rows kept.

    Without what the server computes on that side.
    """

    def __init__(self, store: Store, side: int, compared: Compared) -> None:
        self._store, self._side, self._picks = store, side, store.picks
        self._layouts, self._shapes = compared.layouts, compared.shapes
        self._digest = compared.digests.of

    def take(self, ready: Ready) -> None:
        """Take in the next statement."""
        picked = self._picks.get(ready.table)
        if ready.does != Does.ROWS or not picked:
            return
        head = rows_of(ready)
        columns = written_columns(self._shapes[ready.table], columns_of(ready.text, head))
        layout = self._layouts[ready.table]
        computed = self._shapes[ready.table].generated.difference(layout.key)
        own = [at for at, name in enumerate(columns) if name not in computed]
        self._store.columns(self._side, ready.table, [columns[at] for at in own])
        with full_disk_told():
            for portion in Cutter(columns, layout).whole_rows(ready.text, head):
                for key, row, values in portion:
                    told_by = self._digest(key)
                    if told_by in picked:
                        kept = [values[at] for at in own]
                        self._store.add(self._side, ready.table, (told_by, self._digest(row), kept))

    def close(self) -> None:
        """All was read."""


@contextmanager
def stored(path: Path, picks: Picks, most_bytes: int = MOST_BYTES) -> Iterator[Store]:
    """A new file of kept rows for the length of a block, in a folder that nobody else may look into.

    Raises Problem where there is no room.
    """
    with full_disk_told():
        make_folder(path.parent)
        store = Store(path, picks, most_bytes)
    with closing(store):
        yield store


def make_folder(folder: Path) -> None:
    """A folder that nobody else may look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_chosen(path: Path, tables: Iterable[KeptTable], changes: Sequence[Change]) -> str:
    """A file of rows that were chosen, under the numbers that they have; answers its SHA-256.

    Raises Problem where there is no room.
    """
    half = path.with_name(f"{path.name}.half")
    with full_disk_told():
        make_folder(path.parent)
        half.unlink(missing_ok=True)
        _make(half)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            connection.execute("ATTACH ? AS kept", (str(half),))
            connection.executescript(_KEPT)
            connection.execute("BEGIN")
            _write_chosen(connection, {table.name: table for table in tables}, changes)
            connection.execute("COMMIT")
        half.replace(path)
        return digest_of(path)


def _write_chosen(
    connection: sqlite3.Connection, tables: Mapping[str, KeptTable], changes: Sequence[Change]
) -> None:
    numbers = {name: number for number, name in enumerate(sorted(tables), 1)}
    columns: dict[str, list[Sequence[bytes]]] = {name: [(), (), ()] for name in tables}
    for each in changes:
        sides = (each.then, each.now, each.third)
        for at, values in enumerate(sides):
            if values is not None and len(values) > len(columns[each.table][at]):
                columns[each.table][at] = tuple(values)
    for each in changes:
        sides = (each.then, each.now, each.third)
        # A row that was seen before a column came has none there.
        then, now, third = (
            None if values is None else packed(values.get(name, b"NULL") for name in names)
            for values, names in zip(sides, columns[each.table], strict=True)
        )
        key = _key_of(tables[each.table], each.now or each.then or {})
        connection.execute(
            'INSERT INTO kept."rows" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (each.number, numbers[each.table], each.kind, key, then, now, third, each.equal_now, each.state),
        )
    for name, table in tables.items():
        connection.execute(
            'INSERT INTO kept."tables" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (
                numbers[name], name, json.dumps(list(table.key)), *map(packed, columns[name]),
                table.definition_then, table.definition_now, table.beyond, table.is_as_then,
            ),
        )  # fmt: skip


def _key_of(table: KeptTable, values: Values) -> bytes | None:
    return b", ".join(values[name.encode()] for name in table.key) if table.key else None


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Turn what the disk says into a sentence."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & _ERROR not in _OF_THE_DISK:
            raise
        raise Problem(
            phrase("The rows that differ cannot be kept: {error}.", error=error),
            code="rows.not_writable",
            do=phrase("Make room in RESTIC_CACHE_DIR, or see that it can be written to; then try again."),
        ) from error


def definitions_of(digester: Digester) -> dict[str, bytes]:
    """Each table's CREATE TABLE, of a dump that was read to its end."""
    tables = (section for section in digester.tables_and_events() if section.kind == Kind.TABLE)
    return {section.name: create_table_of(section.definition) for section in tables}


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _make(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def _name(name: bytes) -> bytes:
    return unquoted(name).encode(errors="surrogateescape")


def _at(rows: Sequence[bytes], at: int) -> bytes | None:
    return rows[at] if at < len(rows) else None


_BUILDING = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = OFF;
CREATE TABLE sides (name TEXT, told_by BLOB, side INT, digest BLOB, data BLOB, number INT,
  UNIQUE (name, told_by, side, digest));
"""
_KEPT = f"""
PRAGMA kept.journal_mode = OFF;
PRAGMA kept.user_version = {VERSION};
CREATE TABLE kept."tables" (id INTEGER PRIMARY KEY, name TEXT UNIQUE, key TEXT, columns_then BLOB,
  columns_now BLOB, columns_third BLOB, definition_then BLOB, definition_now BLOB, beyond INT,
  is_as_then INT);
CREATE TABLE kept."rows" (number INTEGER PRIMARY KEY, table_id INT, kind TEXT, key BLOB,
  "then" BLOB, now BLOB,
  third BLOB, equal_now INT, state TEXT);
CREATE INDEX kept.of_table ON "rows" (table_id, kind);
"""
