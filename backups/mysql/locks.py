"""Tables that are locked for a moment, so that several dumps begin at the same one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import MySQLdb
from MySQLdb.constants import CR, ER

from backups.mysql.answers import execute
from backups.mysql.connection import connect, kill
from backups.mysql.error_numbers import translated
from backups.mysql.log_states import LogState, log_state
from backups.mysql.names import name_pattern, quote
from backups.mysql.problems import MySQLProblem, text_of
from backups.mysql.server import Server, ServerInfo
from backups.text.sentences import phrase

_SHORT_WAIT_SECONDS = 1
_LONGEST_LOCK_SECONDS = 2
# A statement that locks more would be long, and take its time.
MOST_LOCKED = 1000


class NotLocked(MySQLProblem):
    """Tables could not be locked, or not for long enough."""

    code = "mysql.not_locked"


class LacksLock(NotLocked):
    """The user may not lock them."""


class TablesInUse(NotLocked):
    """A transaction did not let go of them in time."""


@dataclass
class ReadLock:
    """Tables that nobody may write to. `seconds` is how long they were, once they no longer are."""

    _server: Server
    _connection: Any
    _since: float
    seconds: float = 0

    def release(self) -> None:
        """Let the tables go. Raises NotLocked where the server has done so before."""
        try:
            execute(self._connection, "UNLOCK TABLES")
        except MySQLdb.Error as error:
            raise NotLocked(phrase("the server let the locked tables go too early")) from error
        self.seconds = time.monotonic() - self._since

    def log_state(self, info: ServerInfo) -> LogState:
        """Where the binary log stands while nobody writes to the tables. Raises NotExact, MySQLProblem."""
        with translated(self._server):
            return log_state(self._connection, info)


@contextmanager
def locked_for_reading(server: Server, database: str, tables: Sequence[str]) -> Iterator[ReadLock]:
    """Keep everyone from writing to tables, and see all that was written committed. Raises NotLocked.

    Writers wait behind us while we wait for others: for a second, and two seconds after we began
    the server ends it all, whatever became of us.
    """
    with connect(server, database) as connection:
        seconds = f"lock_wait_timeout = {_SHORT_WAIT_SECONDS}, wait_timeout = {_LONGEST_LOCK_SECONDS}"
        execute(connection, f"SET SESSION {seconds}")
        # The wait is for each table, and there may be many.
        ending = threading.Timer(_LONGEST_LOCK_SECONDS, kill, [server, connection.thread_id()])
        ending.daemon = True
        ending.start()
        since = time.monotonic()
        try:
            names = ", ".join(f"{quote(table)} READ" for table in tables)
            try:
                execute(connection, f"LOCK TABLES {names}")
            except MySQLdb.Error as error:
                raise _not_locked(error, server, database) from error
            yield ReadLock(server, connection, since)
        finally:
            ending.cancel()


def lacks_lock(server: Server, database: str) -> str:
    """What is said of a user who may not lock the tables of a database."""
    return phrase(
        "user {user} lacks LOCK TABLES on {tables}", user=server.user, tables=f"{name_pattern(database)}.*"
    )


def _not_locked(error: MySQLdb.Error, server: Server, database: str) -> NotLocked:
    code = error.args[0]
    if code in (ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR):
        return LacksLock(lacks_lock(server, database))
    if code in (ER.LOCK_WAIT_TIMEOUT, CR.SERVER_LOST, CR.SERVER_GONE_ERROR):
        return TablesInUse(phrase("a table was in use by a transaction that writes to it"))
    return NotLocked(phrase("the tables could not be locked ({text_of})", text_of=text_of(error)))
