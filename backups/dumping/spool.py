"""What a dump program has written before anyone wants it: bytes that go in and come out in order."""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, NamedTuple

from backups.errors import Problem
from backups.text.sentences import phrase

# Of a disk's free space, what is left to others.
_SPARED = 0.1
# A server ends who does not read for net_write_timeout, by default a minute, and MariaDB's dump program
# leaves that as it is.
_BREATH_SECONDS = 25.0
# Less, and the two ends of the connection to the server would not notice.
_BREATH_BYTES = 1 << 20
BREATHS = 36


class Room:
    """A folder in which bytes may wait on disk, and how many; no folder, no bytes.

    The files in it have no names, so that nothing is left behind whatever ends us.
    Raises Problem where the folder cannot be written to.
    """

    def __init__(self, folder: str, most: int) -> None:
        self._folder = folder
        self.bytes = 0
        if folder and most:
            self.file().close()
            self.bytes = min(most, int(shutil.disk_usage(folder).free * (1 - _SPARED)))

    def file(self) -> IO[bytes]:
        """A new file without a name."""
        import tempfile

        try:
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise _unusable(error) from error


class _OnDisk(NamedTuple):
    at: int
    size: int


class Spool:
    """For one thread that puts and one that takes.

    Up to `memory` bytes wait in memory, and up to `on_disk` in `file`; then the one who puts does, but
    takes `breaths` now and then, each of a megabyte more in memory: 36 last for a quarter of an hour.
    """

    def __init__(
        self, memory: int, file: IO[bytes] | None = None, on_disk: int = 0, *, breaths: int = BREATHS
    ) -> None:
        self._memory, self._file, self._on_disk = memory, file, on_disk
        self._waiting: deque[bytes | _OnDisk] = deque()
        self._in_memory = self._in_file = self._file_end = 0
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._most_breaths, self._breaths = breaths, 0
        self._problem: BaseException | None = None

    def put(self, data: bytes) -> None:
        """Add bytes, waiting for room. Raises Problem where the disk does not take them."""
        with self._changed:
            place = self._wait_for_place(len(data))
            if place == _DROPPED:
                return
            if place == _MEMORY:
                self._in_memory += len(data)
                self._waiting.append(data)
                self._changed.notify_all()
                return
            at = self._file_end
            self._file_end += len(data)
            self._in_file += 1
        # The taker may go on meanwhile: what is in the file lies behind all that it can see.
        self._write(data, at)
        with self._changed:
            self._waiting.append(_OnDisk(at, len(data)))
            self._changed.notify_all()

    def end(self, problem: BaseException | None = None) -> None:
        """Nothing more comes; with `problem`, because of it."""
        with self._changed:
            self._ended, self._problem = True, problem
            self._changed.notify_all()

    def taken(self) -> Iterator[bytes]:
        """All bytes to the end. Raises what ended the other side."""
        while data := self.take():
            yield data

    def take(self) -> bytes:
        """The next bytes, as they were put; none at the end. Raises what ended the other side."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            self._refuse_failure()
            if not self._waiting:
                return b""
            found = self._waiting.popleft()
            if isinstance(found, bytes):
                self._in_memory -= len(found)
                if self._in_memory <= self._memory:
                    self._breaths = 0
                self._changed.notify_all()
                return found
        data = self._read(found)
        with self._changed:
            self._in_file -= 1
            if not self._in_file:
                self._file_end = 0
            self._changed.notify_all()
        return data

    def refuse_failure(self) -> None:
        """Raise what ended the other side, though what it has put before is not taken yet."""
        with self._changed:
            self._refuse_failure()

    def close(self) -> None:
        """Let the one who puts go, whose bytes nobody wants any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _refuse_failure(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _wait_for_place(self, size: int) -> str:
        while not (place := self._changed.wait_for(lambda: self._place(size), _BREATH_SECONDS)):
            if self._breaths < self._most_breaths:
                self._breaths += 1
        return place

    def _place(self, size: int) -> str:
        """Where so many bytes can go; nowhere as yet where it is empty."""
        if self._closed:
            return _DROPPED
        if self._in_memory + size <= self._memory:
            return _MEMORY
        if self._file_end + size <= self._on_disk:
            return _DISK
        return _MEMORY if self._in_memory + size <= self._memory + self._breaths * _BREATH_BYTES else ""

    def _read(self, found: _OnDisk) -> bytes:
        assert self._file is not None  # noqa: S101
        with suppress(OSError):
            data = os.pread(self._file.fileno(), found.size, found.at)
            if len(data) == found.size:
                return data
        raise Problem(
            phrase("The tables that were dumped ahead could not be read back from DUMP_SPOOL_DIR."),
            code="spool.not_readable",
            do=_WITHOUT,
        )

    def _write(self, data: bytes, at: int) -> None:
        assert self._file is not None  # noqa: S101
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(self._file.fileno(), view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise _unusable(error) from error


_MEMORY, _DISK, _DROPPED = "memory", "disk", "dropped"
_WITHOUT = phrase("Mend it, or leave DUMP_SPOOL_DIR empty, then back up again.")


def _unusable(error: OSError) -> Problem:
    return Problem(
        phrase(
            "The folder for tables that are dumped ahead (DUMP_SPOOL_DIR) cannot be written to: {error}.",
            error=error.strerror,
        ),
        code="spool.not_writable",
        do=_WITHOUT,
    )
