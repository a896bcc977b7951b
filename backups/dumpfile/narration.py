"""What a dump program says of its own progress under --verbose, on standard error. Pure, no I/O.

Both flavours say it at once, while what they write stays in their buffers until these are full.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_STRUCTURE = "-- Retrieving table structure for table "
_ROWS = "-- Retrieving rows..."
_END = "..."
# Said aloud of what goes wrong.
_COMPLAINTS = ("-- Warning", "-- Error")


class Told(NamedTuple):
    """What a line tells: the table whose rows begin to be read, and whether it is but narration."""

    table: str
    is_narration: bool


class Narrator:
    """Follows a dump program from table to table. `names` are those of tables, views and sequences.

    A name that holds line breaks is told in several lines, which may look like anything.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._broken: dict[str, str] = {}
        self._continued: set[str] = set()
        for name in names:
            first, *others = (f"{name}{_END}").split("\n")
            if others:
                self._broken[first.rstrip("\r")] = name
                self._continued.update(line.rstrip("\r") for line in others)
        self._table = ""

    def told(self, line: str) -> Told:
        """Take in the next line."""
        if line in self._continued:
            return Told("", is_narration=True)
        if line.startswith(_STRUCTURE):
            name = line.removeprefix(_STRUCTURE)
            self._table = self._broken.get(name, name.removesuffix(_END))
        elif line == _ROWS:
            return Told(self._table, is_narration=True)
        return Told("", is_narration=line.startswith("-- ") and not line.startswith(_COMPLAINTS))
