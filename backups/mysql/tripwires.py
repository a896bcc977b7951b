"""Notices, as any user can, that somebody wants a table for himself alone.

A transaction that has looked at a table keeps definitions from being changed, and nothing else: reads
and writes pass. One of ours looks at the tables in question and lets each go as soon as a second one,
asked a few times a second, is made to wait behind somebody: that somebody waits a quarter of a second,
and cannot have passed unseen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.connection import connect, execute, fetch_all
from backups.mysql.names import quote
from backups.mysql.server import MARIADB, Server

_ROUND_SECONDS = 0.25
# A round may take this part of the time at most, however many tables there are.
_SHARE = 0.05
_LONGEST_PAUSE = 2.0
# The server lets go by itself of what we hold, should we be stopped or cut off.
_IDLE_SECONDS = 5
# MySQL's lock_wait_timeout is a second at least.
_PATIENCE_MS = 100
_MOST_TABLES = 300
_QUERY_TIMEOUT = 3024
_REFUSED = frozenset({ER.LOCK_WAIT_TIMEOUT, _QUERY_TIMEOUT, ER.NO_SUCH_TABLE})

# Statements that replace a table without a trace in its CREATE_TIME.
_DEFINING = ("Com_alter_table", "Com_rename_table")
# Statements that want a table alone and do no harm to a dump.
_HARMLESS = ("Com_lock_tables", "Com_flush", "Com_create_trigger", "Com_drop_trigger", "Com_create_table")


class Counted(NamedTuple):
    """How many statements of two kinds the server has begun, whoever sent them and where."""

    defining: tuple[int, ...]
    harmless: tuple[int, ...]

    @classmethod
    def of(cls, connection: Any) -> Counted:
        """As the server counts them now."""
        names = ", ".join(f"'{name}'" for name in (*_DEFINING, *_HARMLESS))
        rows = fetch_all(connection, f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
        told = {str(name).lower(): int(value) for name, value in rows}
        defining, harmless = (
            tuple(told.get(name.lower(), 0) for name in names) for names in (_DEFINING, _HARMLESS)
        )
        return cls(defining, harmless)


class Tripwires:
    """Tables that nobody takes for himself alone without its being noticed."""

    def __init__(self, server: Server, database: str, flavour: str, tables: Sequence[str]) -> None:
        self._server, self._database, self._flavour = server, database, flavour
        self._tables = list(tables)
        self._wanted = set(self._tables[:_MOST_TABLES])
        self._held: set[str] = set()
        self._tripped: set[str] = set()
        # What the server had counted when a table was last known to be what it was.
        self._unguarded: dict[str, tuple[int, ...]] = {}
        self._seen: Counted | None = None
        self._looked_at = 0.0
        self._state = threading.Lock()
        self._over = threading.Event()

    @contextmanager
    def stretched(self, connection: Any) -> Iterator[Tripwires]:
        """Guard the tables for the length of a block."""
        self._seen = Counted.of(connection)
        self._unguarded = dict.fromkeys(self._tables, self._seen.defining)
        if not self._wanted:
            yield self
            return
        first = threading.Event()
        guarding = threading.Thread(target=self._guard, args=[first], daemon=True)
        guarding.start()
        first.wait()
        try:
            yield self
        finally:
            self._over.set()
            guarding.join()

    def has_tripped(self, connection: Any, table: str) -> bool:
        """Whether somebody took the table since the block began, or may have while it was not guarded."""
        with self._state:
            if table in self._tripped:
                return True
            known = self._unguarded.get(table)
            if known is None and self._seen and time.monotonic() > self._looked_at + _IDLE_SECONDS:
                known = self._seen.defining  # the server may have let go meanwhile
        return known is not None and Counted.of(connection).defining != known

    def release(self, table: str) -> None:
        """What becomes of the table matters no more."""
        with self._state:
            self._wanted.discard(table)

    def _guard(self, first: threading.Event) -> None:
        try:
            with ExitStack() as closing:
                holding, asking = (closing.enter_context(self._connection()) for _ in range(2))
                self._round(holding, asking)
                holding, asking = asking, holding
                self._be_impatient(holding, asking)
                first.set()
                pause = _ROUND_SECONDS
                while not self._over.wait(pause) and self._wanted:
                    since = time.monotonic()
                    self._round(holding, asking)
                    holding, asking = asking, holding
                    pause = min(max(_ROUND_SECONDS, (time.monotonic() - since) / _SHARE), _LONGEST_PAUSE)
        except Exception:  # noqa: BLE001  whatever it was, nothing is guarded from now on
            self._lose_all()
        finally:
            first.set()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with connect(self._server, self._database) as connection:
            execute(connection, f"SET SESSION lock_wait_timeout = {0 if self._flavour == MARIADB else 1}")
            yield connection

    def _be_impatient(self, *connections: Any) -> None:
        """From the second look on: for the first one the server may have to read definitions."""
        for connection in connections:
            execute(connection, f"SET SESSION wait_timeout = {_IDLE_SECONDS}")
            if self._flavour != MARIADB:
                execute(connection, f"SET SESSION max_execution_time = {_PATIENCE_MS}")

    def _round(self, holding: Any, asking: Any) -> None:
        """Take the tables over from one connection to the other; those refused have tripped."""
        before = Counted.of(asking)
        execute(asking, "START TRANSACTION")
        with self._state:
            wanted = sorted(self._wanted)
        taken = {table for table in wanted if self._take(asking, table)}
        after = Counted.of(asking)
        with self._state:
            execute(holding, "ROLLBACK")
            self._judge(set(wanted) - taken, after)
            self._welcome(taken, after)
            self._seen, self._looked_at = before, time.monotonic()

    def _take(self, connection: Any, table: str) -> bool:
        try:
            execute(connection, f"SELECT 1 FROM {quote(self._database)}.{quote(table)} LIMIT 0")  # noqa: S608
        except MySQLdb.Error as error:
            if error.args[0] not in _REFUSED:
                raise
            return False
        return True

    def _judge(self, refused: Collection[str], now: Counted) -> None:
        """Somebody waits for what we hold, and gets it: a statement that does no harm, or another one."""
        assert self._seen is not None  # noqa: S101
        is_harmless = now.defining == self._seen.defining and now.harmless != self._seen.harmless
        for table in self._held.intersection(refused):
            self._held.discard(table)
            if is_harmless:
                self._unguarded[table] = self._seen.defining
            else:
                self._trip(table)

    def _welcome(self, taken: Collection[str], now: Counted) -> None:
        self._held = set(taken)
        for table in taken:
            known = self._unguarded.pop(table, None)
            if known is not None and known != now.defining:
                self._trip(table)

    def _trip(self, table: str) -> None:
        self._tripped.add(table)
        self._held.discard(table)
        self._wanted.discard(table)

    def _lose_all(self) -> None:
        """The server has let go of everything, some time since we last looked."""
        assert self._seen is not None  # noqa: S101
        with self._state:
            self._unguarded |= dict.fromkeys(self._held, self._seen.defining)
            self._held.clear()
            self._wanted.clear()
