"""Writers that do to a database what applications do, and what few of them do, by a seed.

    work = Workload(server, Names("shop", "other"), seed=7)
    work.set_up()
    work.run(200, writers=3)
    work.define(1)

Each transaction is one of `ACTS`; `without` names those that are left out (`keyless`: the order of rows in a
table without a key is not the log's; `burnt`: numbers that no log holds; `sequence`, `versioned`, `xa`…).
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import MySQLdb

from tests.binlog import tables
from tests.servers import DatabaseServer

LETTERS = "abcXYZ0189'\\\n`\";%_äß☃😀"
# A deadlock, and a lock that was waited for in vain: the transaction is done again by a later one.
BUSY = (1205, 1213)


@dataclass(frozen=True)
class Names:
    """The database that is written to, and one beside it."""

    database: str = "shop"
    other: str = "other"

    def fill(self, text: str, n: int = 0) -> str:
        """A statement of `tables`."""
        filled = text.replace("{db}", self.database).replace("{other}", self.other)
        return filled.replace("{many}", tables.MANY).replace("{n}", str(n))


@dataclass
class Writer:
    """One connection, and what it draws by."""

    cursor: Any
    chance: random.Random
    names: Names
    is_mariadb: bool

    def run(self, sql: str, *values: object) -> None:
        """Run one statement, and read what it answers."""
        self.cursor.execute(sql, values or None)
        while self.cursor.nextset():
            pass

    def one(self, sql: str) -> int:
        """The one number that a statement answers; 1 for NULL."""
        self.cursor.execute(sql)
        return int(self.cursor.fetchone()[0] or 1)

    def word(self, length: int) -> str:
        """A text of letters that have to be escaped somewhere."""
        return "".join(self.chance.choices(LETTERS, k=length))

    def bytes(self, length: int) -> bytes:
        """Any bytes."""
        return self.chance.randbytes(length)

    def some_customer(self) -> int:
        """The number of one of the last customers, who may go meanwhile."""
        count = self.one("SELECT COUNT(*) FROM customer")
        last = self.chance.randint(1, min(count, 40))
        return self.one(f"SELECT MIN(id) FROM (SELECT id FROM customer ORDER BY id DESC LIMIT {last}) c")


Act = Callable[[Writer], None]


@dataclass
class Workload:
    """A database under work. `done` counts the transactions by act, `failed` what the server refused."""

    server: DatabaseServer
    names: Names = field(default_factory=Names)
    seed: int = 1
    without: Collection[str] = ()
    # Statements for each connection before all else, such as `SET SESSION binlog_row_image = MINIMAL`.
    session: tuple[str, ...] = ()
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def is_mariadb(self) -> bool:
        """Whether it is MariaDB's server."""
        return self.server.flavour == "mariadb"

    def set_up(self) -> None:
        """Make both databases, in place of those of their names."""
        for name in (self.names.database, self.names.other):
            self.server.create_database(name)
            self.server.execute(f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4")
        own = tables.OF_MARIADB if self.is_mariadb else tables.OF_MYSQL
        fill = self.names.fill
        self.server.load(
            "SET NAMES utf8mb4;" + fill(tables.TABLES + tables.OBJECTS + own), self.names.database
        )
        self.server.load(tables.BESIDE, self.names.other)

    def run(self, transactions: int, writers: int = 1) -> None:
        """So many transactions by each of the writers, at the same time."""
        threads = [
            threading.Thread(target=self._write, args=[transactions, number], daemon=True)
            for number in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seed += writers

    def each(self) -> None:
        """Each act once, in their order."""
        with closing(self.connect()) as connection:
            for name in self.acts():
                self._act(connection, self._writer(connection, self.seed), name)

    def define(self, n: int) -> None:
        """All definitions of round `n`, each of them as often as needed until nobody is in its way."""
        own = tables.DEFINITIONS_OF_MARIADB if self.is_mariadb else ()
        for statement in (*tables.DEFINITIONS, *own):
            beside = statement.startswith("other: ")
            with closing(self.connect(self.names.other if beside else self.names.database)) as connection:
                self._define(connection, self.names.fill(statement.removeprefix("other: "), n))

    def _define(self, connection: Any, statement: str) -> None:
        for _ in range(20):
            try:
                with connection.cursor() as cursor:
                    if " kinds" in statement:
                        # It has dates of zeros, which are refused otherwise.
                        cursor.execute("SET SESSION sql_mode = ''")
                    cursor.execute(statement)
                connection.commit()
            except MySQLdb.Error as error:
                if error.args[0] not in BUSY:
                    raise
            else:
                return
        raise AssertionError(f"never had its turn: {statement}")

    def acts(self) -> dict[str, tuple[int, Act]]:
        """Those that fit the server and are not left out: how often, and what."""
        from tests.binlog.acts import ACTS, ACTS_OF_MARIADB, ACTS_OF_MYSQL

        own = ACTS_OF_MARIADB if self.is_mariadb else ACTS_OF_MYSQL
        return {name: act for name, act in {**ACTS, **own}.items() if name not in self.without}

    def connect(self, database: str | None = None) -> Any:
        """A connection of its own, in which nothing is committed by itself."""
        server = self.server
        connection = MySQLdb.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=database or self.names.database,
            charset="utf8mb4",
        )
        with connection.cursor() as cursor:
            for statement in self.session:
                cursor.execute(statement)
        return connection

    def _writer(self, connection: Any, seed: int) -> Writer:
        return Writer(connection.cursor(), random.Random(seed), self.names, self.is_mariadb)

    def _write(self, transactions: int, number: int) -> None:
        acts = self.acts()
        with closing(self.connect()) as connection:
            writer = self._writer(connection, self.seed + number)
            weights = [weight for weight, _ in acts.values()]
            for name in writer.chance.choices(list(acts), weights, k=transactions):
                self._act(connection, writer, name)

    def _act(self, connection: Any, writer: Writer, name: str) -> None:
        try:
            self.acts()[name][1](writer)
            connection.commit()
        except MySQLdb.Error as error:
            self.failed[f"{name}: {error.args[0]}"] += 1
            with suppress(MySQLdb.Error):
                connection.rollback()
        else:
            self.done[name] += 1
