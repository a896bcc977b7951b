"""A connection over which definitions are made, and how its server reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from backups import mysql, process
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.ready import Ready
from backups.loading.connection_pool import Hand
from backups.loading.problems import of_the_dump
from backups.mysql import MARIADB


class Definers:
    """A connection over which definitions are made, watched."""

    def __init__(
        self,
        server: mysql.Server,
        connection: mysql.LoadingConnection,
        sql_mode: str,
        tick: process.Tick,
    ) -> None:
        self._server, self._tick = server, tick
        self._connection = connection
        self._hand = Hand(connection, sql_mode)

    @property
    def past_events(self) -> set[str]:
        """Events that were to be made and are not, because their time has passed."""
        return self._hand.past_events

    def run(self, ready: Iterable[Ready]) -> None:
        """Run statements one after the other. Raises LoadProblem, what `tick` raises."""

        def work() -> None:
            for each in ready:
                self._hand.run(each)

        try:
            process.run_in_thread(work, self._tick, lambda: mysql.break_off(self._server, [self._connection]))
        except mysql.MySQLProblem as problem:
            raise of_the_dump(problem, self._server) from problem


@contextmanager
def definers_at(
    server: mysql.Server, info: mysql.ServerInfo, database: str, tick: process.Tick
) -> Iterator[Definers]:
    """A connection for definitions, for the length of a block. Raises MySQLProblem."""
    sql_mode = dialect_of(server, info).sql_mode
    with mysql.loading_connections(server, database, 1) as (connection,):
        yield Definers(server, connection, sql_mode, tick)


def dialect_of(server: mysql.Server, info: mysql.ServerInfo) -> Dialect:
    """How a server reads what is sent to it. Raises MySQLProblem."""
    with mysql.connect(server) as connection:
        return Dialect.of(
            is_mariadb=info.flavour == MARIADB,
            number=info.number,
            sql_mode=mysql.session_mode(connection),
            folds_names=mysql.folds_names(connection),
        )
