"""Tables of a dump that streams by once, kept as a dump of these alone, for who loads them into a server."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO

from backups.differences.rowfile import Room, write
from backups.dumpfile.sections import Kind, Piece, Section
from backups.errors import Problem

# What a server reads rows by, and what their tables may need.
_OF_ALL = frozenset({Kind.HEADER, Kind.SEQUENCE, Kind.TABLE, Kind.FOOTER})
# Of the room of a comparison: digests, without which there is none, need the rest.
_SHARE = 0.5


class Spool:
    """A file without a name. `is_wanted` is asked of the definition of each table whose rows come by.

    It takes half of the room at most, and gives way to digests that need more than the other half. Where
    there is no room for all of them, nothing is kept: `is_whole` says so.
    """

    def __init__(self, room: Room, is_wanted: Callable[[Section], bool]) -> None:
        self._room, self._is_wanted = room, is_wanted
        self._most = int(room.most * _SHARE)
        self.file: IO[bytes] = room.file()
        # Whoever needs the room may be another thread.
        self._one_by_one = threading.Lock()
        room.gives_way(self._give_way)
        self.size = 0
        self.is_whole = True
        self.tables: set[str] = set()
        self._section: Section | None = None
        self._table: Section | None = None
        # None while the section has no name yet, before which nothing but comments comes.
        self._keeps: bool | None = False

    def passing(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The pieces again, after what is wanted of them was kept."""
        for piece in pieces:
            if piece.section is not self._section or self._keeps is None:
                self._section = piece.section
                self._keeps = self._is_kept(piece.section)
            if self._keeps and self.is_whole:
                self._keep(piece.data)
            yield piece

    def _is_kept(self, section: Section) -> bool | None:
        if section.kind == Kind.TABLE:
            self._table = section
        if section.kind != Kind.ROWS:
            return section.kind in _OF_ALL
        if not section.table:
            return None
        is_wanted = self._table is not None and self._is_wanted(self._table)
        if is_wanted:
            self.tables.add(section.table)
        return is_wanted

    def _keep(self, data: bytes | memoryview) -> None:
        with self._one_by_one:
            if not self.is_whole:
                return
            if self.size + len(data) > self._most or not self._room.lend(len(data)):
                self._let_go()
                return
            self.size += len(data)
            try:
                write(self.file, bytes(data))
            except Problem:
                self._let_go()

    def _give_way(self) -> None:
        with self._one_by_one:
            self._let_go()

    def _let_go(self) -> None:
        self.is_whole = False
        self.tables.clear()
        # On a full disk it fails once more to write what it still holds, but for what was let go of first.
        with suppress(OSError):
            os.ftruncate(self.file.fileno(), 0)
            self.file.seek(0)
            self.file.truncate()
        self._room.give(self.size)
        self.size = 0

    def close(self) -> None:
        """Give its room back."""
        self._room.gives_way(None)
        with self._one_by_one:
            self._let_go()
            with suppress(OSError):
                self.file.close()
