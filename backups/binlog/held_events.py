"""Events of one transaction: in memory while they are few, and from there on in a file without a name.

One statement may change millions of rows, and this process is not to take the memory that they take.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from backups.binlog.events import HEADER, Event
from backups.binlog.spill import Spill

# Of one transaction, in bytes; what Python needs for events beside is a tenth, for small ones as much again.
IN_MEMORY = 32 << 20
# Position, kind, moment, server, size, end, flags, and how long the body is.
_HEAD = struct.Struct("<QHIIQIHQ")


class HeldEvents:
    """What is appended can be read in its order, as often as anybody likes; the file is in `folder`."""

    def __init__(self, folder: str = "", in_memory: int = IN_MEMORY) -> None:
        self._folder = folder
        self._in_memory = in_memory
        self._events: list[Event] = []
        self._file: Spill | None = None
        # In bytes, of all of them.
        self.size = 0
        # Of the last one.
        self.kind = 0

    def append(self, event: Event) -> None:
        """Put one behind the others. Raises NoRoom."""
        self.size += len(event.body) + HEADER.size
        self.kind = event.kind
        if self.size <= self._in_memory:
            self._events.append(event)
            return
        if self._file is None:
            self._file = Spill(self._folder)
        *numbers, body = event
        self._file.write(_HEAD.pack(*numbers, len(body)))
        self._file.write(body)

    def extend(self, events: Iterable[Event]) -> None:
        """Put several behind the others. Raises NoRoom."""
        for event in events:
            self.append(event)

    def __iter__(self) -> Iterator[Event]:
        """From the first to the last, by one reader at a time; nothing may be appended meanwhile."""
        yield from self._events
        if self._file is None:
            return
        file = self._file.from_the_beginning()
        while head := file.read(_HEAD.size):
            *numbers, length = _HEAD.unpack(head)
            yield Event._make((*numbers, file.read(length)))
