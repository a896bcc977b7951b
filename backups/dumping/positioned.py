"""One dump program alone, begun so that its place in the binary log can be had."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from backups import mysql
from backups.dumpfile.log_positions import WhyNot
from backups.dumping import mysqldump
from backups.dumping.log_position import LogPosition
from backups.dumping.mysqldump import Listener
from backups.dumping.spool import Spool
from backups.errors import Problem

# What may wait in memory for restic.
_AHEAD_BYTES = 4 << 20
_BEGIN_SECONDS = 1.5
_LOOK_SECONDS = 0.05


class PositionedDump:
    """A dump program and what it writes. `listener` hears of it as of any other."""

    def __init__(self, source: mysql.DumpSource, listener: Listener, position: LogPosition) -> None:
        self._source, self._position = source, position
        self._listener, self._wants_to_know = Listener(listener.names, self._reads), listener
        self._begun = threading.Event()
        self._spool = Spool(_AHEAD_BYTES)
        self._closing = ExitStack()
        # How long nobody could write to the tables, if they were locked.
        self.locked_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[Iterator[bytes] | None]:
        """Its bytes as they are to be stored; None where it has to be begun in the usual way.

        Nothing was dumped then. Raises Problem.
        """
        with self._closing:
            try:
                chunks = self._chunks()
            except Problem:
                if self._begun.is_set():
                    raise
                # Whatever it is, the usual way says it as well, if it is not of this one.
                self._position.cannot(WhyNot.NOT_ASKED)
                chunks = None
            yield chunks

    def _chunks(self) -> Iterator[bytes] | None:
        if self._position.is_told_by_program():
            source = replace(self._source, tells_position=True)
            running = self._closing.enter_context(mysqldump.let_in(source, listener=self._listener))
            self._closing.enter_context(mysqldump.read_into(self._spool, source, running))
            chunks = self._spool.taken()
            return self._position.rest(self._position.head(chunks), chunks)
        if tables := self._position.to_lock():
            return self._begun_under_lock(tables)
        return None

    def _begun_under_lock(self, tables: Sequence[str]) -> Iterator[bytes] | None:
        source, position = self._source, self._position
        is_started = False
        try:
            with mysql.locked_for_reading(source.server, source.database, tables) as lock:
                running = self._closing.enter_context(mysqldump.started(source, listener=self._listener))
                self._closing.enter_context(mysqldump.read_into(self._spool, source, running))
                is_started = True
                if self._has_begun():
                    position.ask(lock)
                else:
                    position.cannot(WhyNot.NOT_BEGUN)
                lock.release()
                self.locked_seconds = lock.seconds
        except mysql.NotLocked as problem:
            position.forget()
            position.cannot(WhyNot.NOT_BEGUN if is_started else _why_not_locked(problem))
        return self._spool.taken() if is_started else None

    def _reads(self, table: str) -> None:
        self._begun.set()
        self._wants_to_know.is_read(table)

    def _has_begun(self) -> bool:
        """Wait for the rows of the first table to be read. Raises what ended the program."""
        until = time.monotonic() + _BEGIN_SECONDS
        while not (has_begun := self._begun.wait(_LOOK_SECONDS)) and time.monotonic() < until:
            self._spool.refuse_failure()
        return has_begun


def _why_not_locked(problem: mysql.NotLocked) -> WhyNot:
    if isinstance(problem, mysql.LacksLock):
        return WhyNot.NO_LOCK_RIGHT
    return WhyNot.TABLES_IN_USE if isinstance(problem, mysql.TablesInUse) else WhyNot.NOT_ASKED
