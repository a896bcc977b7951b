"""Notices, as any user can, that somebody wants a table for himself alone.

A transaction that has looked at a table keeps definitions from being changed, and nothing else: reads
and writes pass. One of ours looks at the tables in question and lets each go as soon as a second one,
asked a few times a second, is made to wait behind somebody: that somebody waits a quarter of a second,
and cannot have passed unseen.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.answers import as_number, execute, fetch_rows
from backups.mysql.connection import connect
from backups.mysql.names import quote
from backups.mysql.server import MARIADB, Server
from backups.mysql.table_status import made_at
from backups.text.sentences import phrase

_ROUND_SECONDS = 0.2
# A round may take this part of the time at most, however many tables there are.
_SHARE = 0.1
_LONGEST_PAUSE = 1.0
# How long it is waited for what a statement that passes leaves behind.
_SETTLING_SECONDS = 2.0
# A statement that wants several tables waits for one after the other.
_RECENT_SECONDS = 10.0
# The server lets go by itself of what we hold, should we be stopped or cut off.
_IDLE_SECONDS = 5
# MySQL's lock_wait_timeout is a second at least. Asked again, a server that was only slow for a moment
# answers; where somebody waits for what we hold, it cannot.
_PATIENCE_MS = 100
_MORE_PATIENCE_MS = (200, 400)
_MOST_TABLES = 300
_QUERY_TIMEOUT = 3024
_REFUSED = frozenset({ER.LOCK_WAIT_TIMEOUT, _QUERY_TIMEOUT, ER.NO_SUCH_TABLE})

# Statements that replace a table without a trace in its CREATE_TIME.
_DEFINING = ("Com_alter_table", "Com_rename_table")
# Statements that want a table alone and do no harm to a dump.
_HARMLESS = ("Com_lock_tables", "Com_flush", "Com_create_trigger", "Com_drop_trigger", "Com_create_table")
# MySQL's wants all tables of its database, one after the other, and may wait for a dump at each.
_OF_DATABASES = ("Com_alter_db",)


class Counted(NamedTuple):
    """How many statements of three kinds the server has begun, whoever sent them and where."""

    defining: tuple[int, ...]
    harmless: tuple[int, ...]
    of_databases: tuple[int, ...]

    @classmethod
    def of(cls, connection: Any) -> Counted:
        """As the server counts them now."""
        kinds = (_DEFINING, _HARMLESS, _OF_DATABASES)
        names = ", ".join(f"'{name}'" for kind in kinds for name in kind)
        rows = fetch_rows(connection, f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})", 2)
        counters = {str(name).lower(): as_number(value) for name, value in rows}
        return cls(*(tuple(counters.get(name.lower(), 0) for name in kind) for kind in kinds))


class Tripwires:
    """Tables that nobody takes for himself alone without its being noticed."""

    CONNECTIONS = 2

    def __init__(
        self, server: Server, database: str, flavour: str, made_at: Mapping[str, datetime | None]
    ) -> None:
        self._server, self._database, self._flavour = server, database, flavour
        self._made_at = dict(made_at)
        self._wanted = set(sorted(made_at)[:_MOST_TABLES])
        self._held: set[str] = set()
        self._tripped: set[str] = set()
        # Tripped, but perhaps by a statement that shows.
        self._suspected: dict[str, Counted] = {}
        # What the server had counted when a table was last known to be what it was.
        self._unguarded: dict[str, tuple[int, ...]] = {}
        self._begun: Counted | None = None
        self._seen: Counted | None = None
        # Those of the last seconds, oldest first.
        self._recent: deque[tuple[float, Counted]] = deque()
        self._looked_at = 0.0
        self._state = threading.Lock()
        self._over = threading.Event()

    def do_without_guards(self) -> None:
        """Go by the server's counters alone, with no connection of our own."""
        self._wanted.clear()

    @contextmanager
    def stretched(self, connection: Any) -> Iterator[Tripwires]:
        """Guard the tables for the length of a block."""
        self._begun = self._seen = Counted.of(connection)
        self._unguarded = dict.fromkeys(self._made_at, self._seen.defining)
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

    def was_taken(self, connection: Any, table: str, mates: Collection[str] = ()) -> bool:
        """Whether somebody took the table since the block began, or may have while it was not guarded.

        Where `mates` are given, he has to take one of them too for any harm to come of it.
        """
        with self._state:
            if table in self._held and not self._is_stale():
                return False
        self._settle({table, *mates})
        now = Counted.of(connection)
        with self._state:
            others = [mate for mate in mates if mate != table]
            return self._may_be_taken(table, now) and (
                not others or any(self._may_be_taken(mate, now) for mate in others)
            )

    def who_took(self, connection: Any) -> str:
        """What it most likely was that took a table, in words."""
        assert self._begun  # noqa: S101
        likely = phrase("most likely by an EXCHANGE PARTITION or a RENAME TABLE")
        if Counted.of(connection).of_databases == self._begun.of_databases:
            return likely
        return phrase("{likely}; an ALTER DATABASE, which does no harm, was run too", likely=likely)

    def _settle(self, tables: Collection[str]) -> None:
        until = time.monotonic() + _SETTLING_SECONDS
        while time.monotonic() < until:
            with self._state:
                if self._suspected.keys().isdisjoint(tables):
                    return
            time.sleep(_ROUND_SECONDS / 4)

    def _may_be_taken(self, table: str, now: Counted) -> bool:
        if table in self._tripped or table in self._suspected:
            return True
        known = self._unguarded.get(table)
        if known is None and self._seen and self._is_stale():
            known = self._seen.defining
        return known is not None and now.defining != known

    def _is_stale(self) -> bool:
        """Whether the server may have let go of what we hold without our knowing it yet."""
        return time.monotonic() > self._looked_at + _IDLE_SECONDS

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
                    has_tripped = self._round(holding, asking)
                    holding, asking = asking, holding
                    took = 0 if has_tripped else time.monotonic() - since
                    pause = min(max(_ROUND_SECONDS, took / _SHARE), _LONGEST_PAUSE)
        except Exception:  # noqa: BLE001  whatever it was, nothing is guarded from now on
            self._lose_all()
        finally:
            first.set()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with connect(self._server, self._database) as connection:
            wait = 0 if self._flavour == MARIADB else 1
            execute(connection, f"SET SESSION lock_wait_timeout = {wait}, time_zone = '+00:00'")
            yield connection

    def _be_impatient(self, *connections: Any) -> None:
        """From the second look on: for the first one the server may have to read definitions."""
        for connection in connections:
            execute(connection, f"SET SESSION wait_timeout = {_IDLE_SECONDS}")
            if self._flavour != MARIADB:
                execute(connection, f"SET SESSION max_execution_time = {_PATIENCE_MS}")

    def _round(self, holding: Any, asking: Any) -> bool:
        """Take the tables over from one connection to the other; answers whether one has tripped."""
        before = Counted.of(asking)
        execute(asking, "START TRANSACTION")
        wanted = self._wanted - (self._in_use(asking) - self._held)
        more_patience = [] if self._flavour == MARIADB else [*_MORE_PATIENCE_MS]
        taken = {table for table in sorted(wanted) if self._take(asking, table, more_patience)}
        after = before if taken == self._held else Counted.of(asking)
        with self._state:
            execute(holding, "ROLLBACK")
            tripped = self._held - taken
            self._remember(before)
            self._judge(tripped, after)
            self._welcome(asking, taken, after)
            self._looked_at = time.monotonic()
            self._seen = before
        return bool(tripped)

    def _remember(self, counted: Counted) -> None:
        now = time.monotonic()
        self._recent.append((now, counted))
        while len(self._recent) > 2 and self._recent[1][0] < now - _RECENT_SECONDS:
            self._recent.popleft()

    def _in_use(self, connection: Any) -> set[str]:
        """Tables to which we would have to wait for whoever locked them; MariaDB need not be waited for."""
        if self._flavour == MARIADB or self._held >= self._wanted:
            return set()
        statement = f"SHOW OPEN TABLES FROM {quote(self._database)} WHERE In_use > 0"
        rows = fetch_rows(connection, statement, 2, or_more=True)
        return {str(name) for _, name, *_ in rows}

    def _take(self, connection: Any, table: str, more_patience: list[int]) -> bool:
        """Whether a table is had. What is left of the round's patience is used up by those that are not."""
        if self._is_had(connection, table):
            return True
        while more_patience and table in self._held:
            if self._is_had(connection, table, f"/*+ MAX_EXECUTION_TIME({more_patience[0]}) */"):
                return True
            del more_patience[0]
        return False

    def _is_had(self, connection: Any, table: str, hint: str = "") -> bool:
        place = f"{quote(self._database)}.{quote(table)}"
        try:
            execute(connection, f"SELECT {hint} 1 FROM {place} LIMIT 0")  # noqa: S608
        except MySQLdb.Error as error:
            if error.args[0] not in _REFUSED:
                raise
            return False
        return True

    def _judge(self, tripped: Collection[str], now: Counted) -> None:
        """Somebody waits for what we held, and gets it: a statement that does no harm, or another one.

        That may have begun long before it came to want the table.
        """
        assert self._begun and self._seen  # noqa: S101, PT018
        came_by = now.harmless != self._recent[0][1].harmless or now.of_databases != self._begun.of_databases
        is_harmless = now.defining == self._begun.defining and came_by
        for table in tripped:
            if is_harmless:
                self._unguarded[table] = self._begun.defining
            else:
                self._suspected[table] = self._seen

    def _welcome(self, asking: Any, taken: Collection[str], now: Counted) -> None:
        """What we hold again is what it was, if no statement passed meanwhile, or one that shows.

        What we hold at the first look is what the dump will find.
        """
        is_first = len(self._recent) == 1
        self._held = set(taken)
        for table in taken:
            known = self._unguarded.pop(table, now.defining)
            if since := self._suspected.pop(table, None):
                at, passed = made_at(asking, self._database, table), sum(now.defining) - sum(since.defining)
                if passed != 1 or at is None or at == self._made_at[table]:
                    self._trip(table)
                self._made_at[table] = at
            elif known != now.defining and not is_first:
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
