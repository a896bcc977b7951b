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
from backups.mysql.names import name_pattern, quote
from backups.mysql.problems import MySQLProblem, text_of
from backups.mysql.server import Server
from backups.text.sentences import phrase

_SHORT_WAIT_SECONDS = 1
_LONGEST_LOCK_SECONDS = 2


class NotLocked(MySQLProblem):
    """Tables could not be locked, or not for long enough."""

    code = "mysql.not_locked"


@dataclass
class ReadLock:
    """Tables that nobody may write to. `seconds` is how long they were, once they no longer are."""

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
                raise NotLocked(_why_not_locked(error, server, database)) from error
            yield ReadLock(connection, since)
        finally:
            ending.cancel()


def _why_not_locked(error: MySQLdb.Error, server: Server, database: str) -> str:
    code = error.args[0]
    if code in (ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR):
        return phrase(
            "user {user} lacks LOCK TABLES on {names}", user=server.user, names=f"{name_pattern(database)}.*"
        )
    if code in (ER.LOCK_WAIT_TIMEOUT, CR.SERVER_LOST, CR.SERVER_GONE_ERROR):
        return phrase("a table was in use by a transaction that writes to it")
    return phrase("the tables could not be locked ({text_of})", text_of=text_of(error))
