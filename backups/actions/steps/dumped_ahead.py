"""Tables of a scratch database that are dumped again, and counted, while others still load.

What fails here is left: the table is dumped with the rest then, which tells what is wrong with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backups import mysql, process
from backups.actions.steps.findings import RowsAhead, Scratch
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Kind
from backups.dumping.streaming import Outlet, stream_dump
from backups.errors import Problem
from backups.loading.loader import ended_by_number

_COUNT_SECONDS = 24 * 3600
# Each is named on the command lines of the dump of the rest.
_MOST = 500


@dataclass
class DumpAhead:
    """Dumps tables, each by a program of its own, as those ask for it who load."""

    scratch: Scratch

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, RowsAhead] = {}
        self._is_over = False

    @property
    def found(self) -> Mapping[str, RowsAhead]:
        """What was read of which tables."""
        with self._lock:
            return dict(self._found)

    def look(self, table: str, tick: process.Tick) -> None:
        """Dump the rows of a table that is loaded, and count them. Raises what `tick` raises."""
        if self._is_over or len(self.found) >= _MOST:
            return
        try:
            rows = self._counted(table, tick)
            sections = self._dumped(table, tick)
        except mysql.NoMoreConnections:
            # Each try takes seconds, in which nothing is loaded.
            self._is_over = True
            return
        except Problem:
            return
        # The dump programs look for a name as for a pattern, and may find another table.
        if len(sections) == 1 and sections[0]["name"] == table:
            with self._lock:
                self._found[table] = RowsAhead(sections[0], rows)

    def _dumped(self, table: str, tick: process.Tick) -> list[dict[str, Any]]:
        digester = Digester(self.scratch.database)
        stream_dump(replace(source_of(self.scratch), only=[table]), Outlet(digester), tick=tick)
        if not digester.is_complete:
            return []
        return [section for section in digester.sections({}) if section["kind"] == Kind.ROWS]

    def _counted(self, table: str, tick: process.Tick) -> int:
        counted = 0

        def count(connected: Callable[[int], None]) -> None:
            nonlocal counted
            with mysql.connect(self.scratch.server, read_seconds=_COUNT_SECONDS) as connection:
                connected(connection.thread_id())
                counted = mysql.count_rows(connection, self.scratch.database, table)

        ended_by_number(self.scratch.server, tick, count)
        return counted


def source_of(scratch: Scratch) -> mysql.DumpSource:
    """The scratch database as what is dumped."""
    return mysql.DumpSource(scratch.server, scratch.info, scratch.programs, scratch.database)
