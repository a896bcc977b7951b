"""Events of one transaction: in memory while they are few, and from there on in a file without a name.

One statement may change millions of rows, and this process is not to take the memory that they take.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from backups.binlog import Event

# Of the bytes of events; what Python needs for them beside is a tenth, of small ones as much again.
MOST_IN_MEMORY = 32 << 20
# Position, kind, moment, server, size, end, flags, and how long the body is.
_HEAD = struct.Struct("<QHIIQIHQ")


class Held:
    """What is appended can be read in its order, as often as anybody likes."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._size = 0
        self._file: Any = None

    def append(self, event: Event) -> None:
        """Put one behind the others."""
        self._size += len(event.body)
        if self._file is None and self._size <= MOST_IN_MEMORY:
            self._events.append(event)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as this
        *numbers, body = event
        self._file.write(_HEAD.pack(*numbers, len(body)))
        self._file.write(body)

    def extend(self, events: Iterable[Event]) -> None:
        """Put several behind the others."""
        for event in events:
            self.append(event)

    def __iter__(self) -> Iterator[Event]:
        """From the first to the last; nothing may be appended meanwhile."""
        yield from self._events
        if self._file is None:
            return
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            *numbers, length = _HEAD.unpack(head)
            yield Event._make((*numbers, self._file.read(length)))
