"""A file for what of a log is too long for memory, as far as its disk has room.

It has no name, so that nothing is left behind whatever ends us.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from backups.errors import Problem
from backups.text.sentences import phrase

# How often it is looked at what is left on the disk, in bytes that were written.
_LOOK_BYTES = 16 << 20
# What is left to others: a ninth of what lies here, so that a tenth of what was free stays free.
_SPARED = 9


class NoRoom(Problem):
    """The folder has no room for what is long, or cannot be written to."""

    code = "log.no_room"


class Spill:
    """Bytes that are written once, in their order, and read as often as anybody likes.

    In `folder`, which is made where it is not there; an empty name is the system's for temporary files. What
    it does raises NoRoom.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder or tempfile.gettempdir()
        self._size = 0
        self._looked = 0
        try:
            Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  as long as this is
        except OSError as error:
            raise self._no_room(os.strerror(error.errno) if error.errno else str(error)) from error

    def write(self, data: bytes) -> None:
        """Put it behind the others."""
        self._size += len(data)
        try:
            if self._size - self._looked > _LOOK_BYTES:
                self._looked = self._size
                self._refuse_full()
            self._file.write(data)
        except OSError as error:
            raise self._no_room(error.strerror or str(error)) from error

    def _refuse_full(self) -> None:
        if shutil.disk_usage(self._folder).free < self._size // _SPARED:
            raise self._no_room(phrase("less than a tenth of it would be left free"))

    def flush(self) -> None:
        """Have another program see all of it."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._no_room(error.strerror or str(error)) from error

    def from_the_beginning(self) -> IO[bytes]:
        """To read all of it; nothing may be written meanwhile."""
        self.flush()
        self._file.seek(0)
        return self._file

    @property
    def fd(self) -> int:
        """Where another program can read it; whoever reads begins at byte 0 by itself."""
        return self._file.fileno()

    def close(self) -> None:
        """Give its room back."""
        self._file.close()

    def _no_room(self, why: str) -> NoRoom:
        return NoRoom(
            phrase(
                "A part of the binary log that is too long for memory does not go into {folder} ({why}).",
                folder=self._folder,
                why=why,
            ),
            do=phrase("Make room there, or set DUMP_SPOOL_DIR to a folder on a larger disk, then try again."),
        )
