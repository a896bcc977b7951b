"""What a command writes to whoever reads it, who may have gone."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class _OutlivesReader(io.TextIOWrapper):
    """Once its reader is gone, as `head` is after ten lines, what is written goes nowhere."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._speak_to_nobody()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._speak_to_nobody()

    def _speak_to_nobody(self) -> None:
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, self.fileno())
        os.close(nobody)


def outlive_readers() -> None:
    """A backup does not end because nobody reads any more how it goes. For a process's very start."""
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return _OutlivesReader(
        stream.buffer, encoding=stream.encoding, errors=stream.errors,
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
