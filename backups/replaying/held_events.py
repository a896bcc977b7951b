"""A transaction's events until it has ended: short ones in memory, the rest of a long one in a file."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from typing import IO

from backups.binlog.events import HEADER, Event

# Of one transaction, in bytes.
IN_MEMORY = 32 << 20
# Where an event stood, how many bytes it had there, and how many it has here.
_RECORD = struct.Struct("<QQQ")


class HeldEvents:
    """Events in their order. The file has no name, so that nothing is left behind whatever ends us."""

    def __init__(self, folder: str = "", in_memory: int = IN_MEMORY) -> None:
        self._folder = folder
        self._in_memory = in_memory
        self._events: list[Event] = []
        self._file: IO[bytes] | None = None
        # In bytes, of all of them.
        self.size = 0
        # Of the last one.
        self.kind = 0

    def append(self, event: Event) -> None:
        """Put one behind the others."""
        self.size += len(event.body) + HEADER.size
        self.kind = event.kind
        if self.size <= self._in_memory:
            self._events.append(event)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder or None)  # noqa: SIM115  as long as this is
        raw = event.raw
        self._file.write(_RECORD.pack(event.position, event.size, len(raw)) + raw)

    def __iter__(self) -> Iterator[Event]:
        """All of them; by one reader at a time."""
        yield from self._events
        if self._file is None:
            return
        self._file.seek(0)
        while head := self._file.read(_RECORD.size):
            position, size, length = _RECORD.unpack(head)
            raw = self._file.read(length)
            when, kind, server_id, _, ends_at, flags = HEADER.unpack_from(raw)
            yield Event(position, kind, when, server_id, size, ends_at, flags, raw[HEADER.size :])
