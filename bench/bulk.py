"""The most that the server itself can do: its own files loaded over two connections, keys afterwards."""

from __future__ import annotations

import queue
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.peers import Cost, measured, with_connection
from tests.backups.worlds import Shop

CONNECTIONS = 2
_SESSION = "SET foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
_KEY = re.compile(r"\s*(?:UNIQUE |FULLTEXT |SPATIAL )?KEY ")
_CONSTRAINT = re.compile(r"\s*CONSTRAINT ")


def without_keys(statement: str) -> tuple[str, list[str], list[str]]:
    """A CREATE TABLE without secondary keys and constraints, then these, as ALTER TABLE … ADD wants them."""
    first, *lines, last = statement.splitlines()
    lines = [line.removesuffix(",") for line in lines]
    keys = [line.strip() for line in lines if _KEY.match(line)]
    constraints = [line.strip() for line in lines if _CONSTRAINT.match(line)]
    kept = [line for line in lines if line.strip() not in {*keys, *constraints}]
    return "\n".join([first, ",\n".join(kept), last]), keys, constraints


class Bulk:
    """The shop's rows in files, one for each table, the largest table first."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self._shop = shop
        self._folder = folder
        folder.mkdir()
        tables = shop.query(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY data_length DESC"
        )
        self._tables = [str(name) for (name,) in tables]
        self._columns = {table: self._columns_of(table) for table in self._tables}
        for table in self._tables:
            shop.execute(
                f"SELECT {self._columns[table]} INTO OUTFILE '{folder / table}' CHARACTER SET binary"
                f" FROM `{table}`"
            )

    def load(self, database: str) -> Cost:
        """Load all of it into a new database."""
        self._shop.server.create_database(database)
        made = {
            table: without_keys(str(self._shop.query(f"SHOW CREATE TABLE `{table}`")[0][1]))
            for table in self._tables
        }
        waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        for table in self._tables:
            waiting.put(table)

        def work(connection: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(f"USE `{database}`")
            cursor.execute(_SESSION)
            while (table := _next(waiting)) is not None:
                create, keys, _ = made[table]
                cursor.execute(create)
                cursor.execute(
                    f"LOAD DATA INFILE '{self._folder / table}' INTO TABLE `{table}` CHARACTER SET binary"
                    f" ({self._columns[table]})"
                )
                connection.commit()
                _add(cursor, table, keys)

        def constrain(connection: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(f"USE `{database}`")
            cursor.execute(_SESSION)
            for table, (_, _, constraints) in made.items():
                _add(cursor, table, constraints)

        with measured(self._shop, self._folder) as cost:
            _at_once(lambda: with_connection(self._shop, work))
            with_connection(self._shop, constrain)
        return cost

    def _columns_of(self, table: str) -> str:
        """Those that hold what was written, in their order: what is generated the server makes again."""
        names = self._shop.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            " AND table_name = %s AND COALESCE(generation_expression, '') = '' ORDER BY ordinal_position",
            [table],
        )
        return ", ".join(f"`{name}`" for (name,) in names)


def _next(waiting: queue.SimpleQueue[str]) -> str | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def _add(cursor: Any, table: str, what: list[str]) -> None:
    if what:
        cursor.execute(f"ALTER TABLE `{table}` {', '.join(f'ADD {each}' for each in what)}")


def _at_once(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for ended in [pool.submit(work) for _ in range(CONNECTIONS)]:
            ended.result()
