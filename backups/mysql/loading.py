"""Connections over which a dump is loaded, one or several at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.changes import allow_any_foreign_key
from backups.mysql.connection import (
    Connection,
    connect,
    connect_options,
    execute,
    fetch_all,
    refuse_missing_authority,
    refuse_unencrypted,
)
from backups.mysql.names import quote_text
from backups.mysql.problems import MySQLProblem, NoMoreConnections, translated
from backups.mysql.server import Server

_DEADLOCK_TRIES = 20
# Those that load together take turns, so that one may have nothing to do for long. A dump's tables may
# refer to what comes later.
_BEGIN = {"wait_timeout": "604800", "foreign_key_checks": "0"}
# What a session begins with that is not the server's own default.
_OWN_BEGINNING = {
    "character_set_client": "'utf8mb4'",
    "character_set_connection": "'utf8mb4'",
    "foreign_key_checks": "0",
}
_COLLATIONS = ("character_set_connection", "collation_connection")


@dataclass(frozen=True)
class LoadingConnection:
    """A connection for loading, used by one thread; `wire` and `thread` are for others to end it.

    It takes one statement at a time and never a file of this machine, whatever the statement says.
    """

    driver: Any
    wire: int
    thread: int
    _known: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, server: Server, database: str) -> LoadingConnection:
        """Connect as a client of the server's own would: a dump says itself how it wants to be read."""
        options = connect_options(server, database)
        # Statements may take any time, and wait as long as the server says.
        del options["read_timeout"]
        options["init_command"] = "SET SESSION " + ", ".join(f"{name} = {v}" for name, v in _BEGIN.items())
        driver = Connection(**options)
        return cls(driver, driver.fileno(), driver.thread_id())

    def set(self, changes: Mapping[str, str | None]) -> None:
        """Change settings of the session; None is as it began. One that the server does not know is left."""
        self._learn()
        changed = {name: self._literal(name, value) for name, value in changes.items() if name in self._known}
        if _COLLATIONS[0] in changed and _COLLATIONS[1] in changed and changes[_COLLATIONS[1]] is None:
            del changed[_COLLATIONS[1]]  # that of the character set, which comes with it
        # A character set brings a collation with it, so it comes first.
        parts = [f"{name} = {changed[name]}" for name in sorted(changed)]
        if parts:
            execute(self.driver, "SET SESSION " + ", ".join(parts))

    @staticmethod
    def _literal(name: str, value: str | None) -> str:
        if value is None:
            return _OWN_BEGINNING.get(name, "DEFAULT")
        # Numbers as such: some settings take no text.
        return value if value.isdigit() else quote_text(value)

    def _learn(self) -> None:
        if not self._known:
            told = fetch_all(self.driver, "SHOW SESSION VARIABLES")
            self._known.update(str(name).lower() for name, _ in told)

    def run(self, statement: bytes) -> None:
        """Run one statement just as it is written, and drop what it answers.

        Once more where a deadlock with another connection rolled it back: MariaDB lets one alone
        insert into a table that is empty, and ends who does so at the same time.
        """
        for tries_left in reversed(range(_DEADLOCK_TRIES)):
            try:
                self.driver.query(statement)
                break
            except MySQLdb.OperationalError as error:
                if error.args[0] != ER.LOCK_DEADLOCK or not tries_left:
                    raise
        self.driver.store_result()
        while self.driver.next_result() == 0:
            self.driver.store_result()

    def noted(self) -> frozenset[int]:
        """The numbers of the server's remarks on the statement that ran last."""
        if not self.driver.warning_count():
            return frozenset()
        self.driver.query(b"SHOW WARNINGS")
        told = self.driver.store_result()
        return frozenset(number for _ in range(told.num_rows()) if (number := _number_in(told)))


def _number_in(told: Any) -> int:
    """The number of the next remark; 0 where it quotes a name that is not in the dump's character set."""
    try:
        ((_, number, _),) = told.fetch_row(1)
    except UnicodeDecodeError:
        return 0
    return int(number)


@contextmanager
def loading_connections(server: Server, database: str, wanted: int) -> Iterator[list[LoadingConnection]]:
    """Up to `wanted` connections for the length of a block, one at least; fewer where the server is full.

    Raises MySQLProblem.
    """
    refuse_missing_authority(server)
    opened: list[LoadingConnection] = []
    try:
        with translated(server, database):
            try:
                while len(opened) < wanted:
                    opened.append(_opened(server, database))
            except NoMoreConnections:
                if not opened:
                    raise
        with translated(server, database):
            for connection in opened:
                refuse_unencrypted(server, connection.driver)
                for statement in allow_any_foreign_key(connection.driver):
                    execute(connection.driver, statement)
        yield opened
    finally:
        for connection in opened:
            with suppress(MySQLdb.Error):
                connection.driver.close()


def _opened(server: Server, database: str) -> LoadingConnection:
    with translated(server, database):
        return LoadingConnection.open(server, database)


def session_mode(connection: Any) -> str:
    """The sql_mode with which a session begins."""
    ((mode,),) = fetch_all(connection, "SELECT @@GLOBAL.sql_mode")
    return str(mode)


def break_off(server: Server, connections: Sequence[LoadingConnection]) -> None:
    """End connections whose statements are still running in other threads."""
    for connection in connections:
        with suppress(OSError), socket.socket(fileno=os.dup(connection.wire)) as wire:
            wire.shutdown(socket.SHUT_RDWR)
    # The server would go on with a long statement to its end before it notices.
    with suppress(MySQLProblem), connect(server) as other:
        for connection in connections:
            with suppress(MySQLdb.Error):  # it has ended meanwhile
                execute(other, f"KILL {connection.thread}")
