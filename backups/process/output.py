"""What a program writes, cut into lines and kept within bounds."""

from __future__ import annotations

import ctypes
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

TAIL_LINES = 25
READ_BYTES = 1 << 16
# No program that we start writes a longer line; what goes on is not kept.
_LONGEST_LINE = 1 << 20


class Lines:
    """Cuts a byte stream into lines of text."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Tell the lines that end in the next bytes."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._begin(line)
            self._tell(self._rest.decode(errors="replace").rstrip("\r"))
            self._rest.clear()
        self._begin(rest)

    def close(self) -> None:
        """Tell what stands after the last newline."""
        if self._rest:
            self._tell(self._rest.decode(errors="replace"))
            self._rest.clear()

    def _begin(self, part: bytes) -> None:
        """Take up a part of a line, as far as there is room for it."""
        self._rest += part[: _LONGEST_LINE - len(self._rest)]


class Heeded:
    """Standard error, read in a thread as it comes. The program waits with its next word until the one
    before was heeded, where the kernel has pipes that hold a single one (see `man 2 pipe`, O_DIRECT).
    """

    def __init__(self, heed: Callable[[str], bool]) -> None:
        self._heed = heed
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        try:
            self._end, self.for_program = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
        except OSError:
            self._end, self.for_program = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self.for_program, fcntl.F_SETPIPE_SZ, 1)
        self._reading = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """Read, now that the program has its end of the pipe."""
        os.close(self.for_program)
        self._reading.start()

    def tail(self, *, wait: float) -> tuple[str, ...]:
        """The last lines that were not taken, after so many seconds at most for the last of them."""
        self._reading.join(wait)
        is_cut = wait and self._reading.is_alive()
        return (*self._tail, "error: what it said last could not be read") if is_cut else tuple(self._tail)

    def _read(self) -> None:
        lines = Lines(self._line)
        copy_out, copy_in = os.pipe2(os.O_CLOEXEC)
        tee = ctypes.CDLL(None, use_errno=True).tee
        try:
            while True:
                copied = tee(self._end, copy_in, READ_BYTES, 0)
                if copied > 0:
                    lines.feed(os.read(copy_out, copied))
                    os.read(self._end, copied)
                elif data := os.read(self._end, READ_BYTES):
                    lines.feed(data)
                else:
                    break
            lines.close()
        finally:
            for fd in (self._end, copy_out, copy_in):
                os.close(fd)

    def _line(self, line: str) -> None:
        if not self._heed(line):
            self._tail.append(line)
