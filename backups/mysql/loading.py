"""Connections over which a dump is loaded, several at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.changes import allow_any_foreign_key
from backups.mysql.connection import (
    connect,
    connect_options,
    execute,
    refuse_missing_authority,
    refuse_unencrypted,
)
from backups.mysql.problems import MySQLProblem, NoMoreConnections, translated
from backups.mysql.server import Server

_DEADLOCK_TRIES = 20
# Those that load together take turns, so that one may have nothing to do for long.
_STAY = "SET SESSION wait_timeout = 604800"


def before_load(server: Server) -> bytes:
    """What a client runs ahead of a dump. Raises MySQLProblem like `refuse_plaintext`.

    MySQL from 8.4 on refuses foreign keys to columns that are not unique, of which a database that
    was upgraded from an older version may be full; each session may allow them for itself.
    """
    with connect(server) as connection:
        statements = [_STAY, *allow_any_foreign_key(connection)]
        return b"".join(f"{statement};\n".encode() for statement in statements)


@dataclass(frozen=True)
class LoadingConnection:
    """A connection for loading, used by one thread; `wire` and `thread` are for others to end it."""

    driver: Any
    wire: int
    thread: int

    @classmethod
    def open(cls, server: Server, database: str) -> LoadingConnection:
        """Connect as a client of the server's own would: a dump says itself how it wants to be read."""
        options = connect_options(server, database)
        # Statements may take any time, and wait as long as the server says.
        del options["read_timeout"]
        options["init_command"] = _STAY
        driver = MySQLdb.connect(**options)
        return cls(driver, driver.fileno(), driver.thread_id())

    def run(self, statement: bytes) -> None:
        """Run a statement just as it is written, and drop what it answers.

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


@contextmanager
def loading_connections(server: Server, database: str, wanted: int) -> Iterator[list[LoadingConnection]]:
    """Up to `wanted` connections for the length of a block; fewer where the server is full.

    One is left free for the client that runs the rest of a dump. Raises MySQLProblem.
    """
    refuse_missing_authority(server)
    opened: list[LoadingConnection] = []
    try:
        with suppress(NoMoreConnections), translated(server, database):
            while wanted and len(opened) <= wanted:
                opened.append(LoadingConnection.open(server, database))
        if opened:
            opened.pop().driver.close()
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
