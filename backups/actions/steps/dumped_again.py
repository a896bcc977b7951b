"""The scratch database dumped again, with its rows counted meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from backups import mysql, process
from backups.actions.steps.dumped_ahead import source_of
from backups.actions.steps.findings import Findings, RowsAhead, Scratch
from backups.actions.steps.whole import whole_load_options
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.digesting import Digester
from backups.dumpfile.judge import Judge
from backups.dumpfile.sections import Kind
from backups.dumpfile.tally import Tally
from backups.dumping.streaming import Outlet, stream_dump
from backups.loading.definers import dialect_of
from backups.loading.loader import live_tablespaces
from backups.runs.progress import Progress

_COUNT_SECONDS = 24 * 3600


def dump_again(
    scratch: Scratch,
    collations: dict[str, str],
    findings: Findings,
    progress: Progress,
    tally: Tally | None,
) -> list[dict[str, Any]]:
    """Dump the scratch database and count its rows meanwhile; `tally` takes in what the dump makes.

    Of tables whose rows were dumped ahead, all else is; with a `tally` nothing counts as that.
    """
    digester = Digester(scratch.database)

    def tick() -> None:
        progress.bytes_done(dumped.counted)
        progress.detail(f"{digester.section.kind} {digester.section.name}")
        progress.tick()

    with mysql.connect(scratch.server) as connection:
        tables = mysql.inventory(connection, scratch.database).get(Kind.TABLE, [])
        # To count another server's rows would prove nothing of the snapshot, and fail where it is away.
        elsewhere = mysql.tables_without_rows(connection, scratch.database)
        ahead = _ahead(connection, scratch, findings, tables) if tally is None else {}
    findings.tables = len(tables)
    read = sum(each.section["bytes"] for each in ahead.values())
    dumped = _Counter(_tallier(scratch, tally) if tally is not None else None, read)
    with ThreadPoolExecutor(1) as beside:
        rows = _RowCount(scratch, [table for table in tables if table not in {*elsewhere, *ahead}])
        counting = beside.submit(rows.count)
        try:
            source = replace(source_of(scratch), leave_out=list(ahead))
            stream_dump(source, Outlet(digester, dumped.count), tick=tick)
            dumped.close()
            of_ahead = _defined(scratch, list(ahead), tick)
            while not counting.done():
                progress.tick()
                process.sleep_tick()
        finally:
            rows.stop()
        findings.rows = counting.result() + sum(each.count for each in ahead.values())
    sections = [
        section
        for each in (digester, of_ahead)
        for section in each.sections(collations, whatever_state=True, whoever_defines=True)
        if each is digester or section["kind"] not in (Kind.HEADER, Kind.FOOTER)
    ]
    return sections + [each.section for each in ahead.values()]


def _ahead(
    connection: Any, scratch: Scratch, findings: Findings, tables: Collection[str]
) -> dict[str, RowsAhead]:
    """What was dumped ahead and need not be again: none where the dump programs would mix names up."""
    names = [table.name for table in mysql.listed_tables(connection, scratch.database)]
    if len({mysql.loosely(name) for name in names}) < len(names):
        return {}
    return {name: rows for name, rows in findings.ahead.items() if name in tables}


def _defined(scratch: Scratch, tables: Sequence[str], tick: process.Tick) -> Digester:
    """All but the rows of these tables: how they are defined now, and their triggers."""
    digester = Digester(scratch.database)
    if tables:
        source = replace(source_of(scratch), structure_only=True, only=tables)
        stream_dump(source, Outlet(digester), tick=tick)
    return digester


def _tallier(scratch: Scratch, tally: Tally) -> Callable[[bytes | None], None]:
    """What takes a dump of the scratch database in, and None at its end."""
    dialect = dialect_of(scratch.server, scratch.info)
    allowed = Allowed(
        dialect,
        whole_load_options(scratch.database, scratch.database),
        tablespace_of=live_tablespaces(scratch.server, scratch.database, dialect),
    )
    judge = Judge(dialect, allowed)

    def take(data: bytes | None) -> None:
        for ready in judge.close() if data is None else judge.feed(data):
            tally.add(ready)
        for ready in allowed.rest() if data is None else ():
            tally.add(ready)

    return take


@dataclass
class _Counter:
    take: Callable[[bytes | None], None] | None
    counted: int = 0

    def count(self, data: bytes | memoryview) -> None:
        self.counted += len(data)
        if self.take is not None:
            self.take(bytes(data))

    def close(self) -> None:
        if self.take is not None:
            self.take(None)


class _RowCount:
    """Counts rows in a thread of its own; a large table takes its time."""

    def __init__(self, scratch: Scratch, tables: list[str]) -> None:
        self._scratch, self._tables = scratch, tables
        self._stopped = threading.Event()
        self._thread: int | None = None

    def count(self) -> int:
        """The rows of all tables. Raises MySQLProblem, also when it is stopped."""
        counted = 0
        with mysql.connect(self._scratch.server, read_seconds=_COUNT_SECONDS) as connection:
            self._thread = connection.thread_id()
            for table in self._tables:
                if self._stopped.is_set():
                    break
                counted += mysql.count_rows(connection, self._scratch.database, table)
            self._thread = None
        return counted

    def stop(self) -> None:
        """End it, which changes nothing where it is through."""
        self._stopped.set()
        if self._thread is not None:
            mysql.kill(self._scratch.server, self._thread)
