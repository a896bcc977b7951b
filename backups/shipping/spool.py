"""A piece of a database's log while it grows: a valid log file, in a file without a name.

The server's own log is the spool: what is lost with this process is fetched again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from backups.binlog import Format
from backups.binlog.spill import Spill


class Spool:
    """The bytes of one piece, from `start` in the server's file on. Raises NoRoom where they find no room."""

    def __init__(self, log_format: Format, file: str, start: int, folder: str = "") -> None:
        self.format = log_format
        self.file, self.start = file, start
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = Spill(folder)
        self._write(log_format.head())

    @property
    def fd(self) -> int:
        """Where the piece can be read; whoever reads it begins at byte 0 by itself."""
        return self._file.fd

    @property
    def sha256(self) -> str:
        """Of all that is in it."""
        return self._digest.hexdigest()

    def add(self, parts: Iterable[bytes]) -> None:
        """Append what was written for it."""
        for part in parts:
            self._write(part)

    def flush(self) -> None:
        """Have another program see all of it."""
        self._file.flush()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> None:
        """Give its room back."""
        self._file.close()
