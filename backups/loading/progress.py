"""A load that is under way, or was: what it read and what it found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from backups import mysql
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import Found
from backups.dumpfile.tally import Tally
from backups.loading.connection_pool import Look
from backups.text.sentences import phrase
from backups.text.terminal import bounded

# Out of range, truncated, no character, no date or number, ignored because of its key.
_VALUE_CHANGED = (1062, 1264, 1265, 1292, 1366, 1406)
# Unknown, disabled or not allowed, and the default one taken instead.
_NO_ENGINE = (1266, 1286)
_OF_COLUMN = re.compile(r"for column (?:`[^`]*`\.`[^`]*`\.)?['`](.+?)['`] at row")


class End(Enum):
    """How the dump ends: as its program ends one, in the middle, or so that nobody can tell."""

    WHOLE = "whole"
    CUT = "cut"
    UNKNOWN = "unknown"


@dataclass
class Loading:
    """A load that is under way, or was: what it read, what it found."""

    digester: Digester = field(default_factory=Digester)
    found: Found = field(default_factory=Found)
    bytes_read: int = 0
    # Over how many rows are loaded, once the server has given them.
    connections: int = 0
    is_read: bool = False
    # The longest statement that was read through, with the table that it is of.
    longest: tuple[int, str] = (0, "")
    end: End = End.UNKNOWN
    # The reading was ended by us, so that how it ended tells nothing.
    is_broken_off: bool = False
    # Tables whose definition is not what the dump says, though they were made from it.
    altered: list[str] = field(default_factory=list)
    # What the server said of statements that it took and did otherwise, by table and number.
    warned: dict[tuple[str, int], str] = field(default_factory=dict)
    # Generated columns of which the load did not prove that they hold what they did.
    computed_anew: list[mysql.ComputedAnew] = field(default_factory=list)
    # Kept where there will be no manifest to compare with.
    tally: Tally | None = None
    # Who looks at tables as soon as they are loaded, and for how long the load waited for that alone.
    look: Look | None = field(default=None, repr=False)
    looked_seconds: float = 0.0
    # How many tables are to come, 0 where nobody knows or asks.
    tables_wanted: int = 0
    # Whether the server took any statement, so that the target is not as it was.
    has_changed: Callable[[], bool] = field(default=lambda: False, repr=False)
    afterwards: Callable[[], str] = field(default=lambda: "", repr=False)

    @property
    def tables_begun(self) -> int:
        """How many tables came by."""
        return self.digester.tables_begun or len(self.found.definitions)

    def values_changed(self) -> dict[str, str]:
        """The tables in which the server did not keep values as they are in the dump, and its words.

        But for an ENUM or SET that holds what its definition does not list: it warns, and keeps it.
        """
        return {
            table: text
            for (table, code), text in sorted(self.warned.items())
            if code in _VALUE_CHANGED and not self._is_of_list(table, text)
        }

    def of_other_engine(self) -> str:
        """What the server says of tables that it made with another storage engine, none where it did not."""
        said = (
            f"{table}: {text}" for (table, code), text in sorted(self.warned.items()) if code in _NO_ENGINE
        )
        return "; ".join(said)

    def _is_of_list(self, table: str, text: str) -> bool:
        column = _OF_COLUMN.search(bounded(text))
        listed = rf"`{re.escape(column[1].replace('`', '``'))}` (?:enum|set)\(" if column else "$^"
        definition = self.found.definitions.get(table, b"").decode(errors="replace")
        return bool(re.search(listed, definition, re.I))

    @property
    def detail(self) -> str:
        """What is being loaded, and of how many tables it is which."""
        of = (
            phrase(
                "table {tables_begun} of {tables_wanted}: ",
                tables_begun=self.tables_begun,
                tables_wanted=self.tables_wanted,
            )
            if self.tables_wanted
            else ""
        )
        return of + self.doing

    @property
    def doing(self) -> str:
        """What is being loaded, for a person: a section, or what goes on when all is read."""
        if self.is_read and (late := self.afterwards()):
            return late
        section = self.digester.section
        return f"{section.kind} {section.name}".strip()
