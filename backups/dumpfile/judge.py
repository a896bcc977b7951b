"""A dump in, piece by piece; out what of it is to be sent."""

from __future__ import annotations

from collections.abc import Iterator

from backups.dumpfile.allowed import Allowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.ready import Ready
from backups.dumpfile.statements import Reader, Statement


class Judge:
    """Reads the statements of one dump and lets through what is allowed.

    The next piece may be fed when what the last one gave was taken. Raises NotAllowed, NoStatement.
    """

    def __init__(self, dialect: Dialect, allowed: Allowed) -> None:
        self._allowed = allowed
        self._reader = Reader(dialect, allowed.settings)

    @property
    def statements(self) -> int:
        """How many came by."""
        return self._reader.statements

    def feed(self, data: bytes) -> Iterator[Ready]:
        """What is to be sent now."""
        return self._taken(self._reader.feed(data))

    def close(self) -> Iterator[Ready]:
        """The same for what only the end of the dump ends."""
        return self._taken(self._reader.close())

    def _taken(self, statements: Iterator[Statement]) -> Iterator[Ready]:
        for statement in statements:
            yield from self._allowed.taken(statement)
            # What a statement sets decides how the next is read.
            self._reader.settings = self._allowed.settings
