"""How many rows tables have and what they take on disk, for whoever reads of it: nothing depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import MySQLdb

from backups.mysql.answers import as_number, execute
from backups.mysql.introspection import count_rows
from backups.mysql.problems import MySQLProblem
from backups.mysql.table_status import of_tables

# Whoever waits for a restore waits for this as well, and a run is to be heard of meanwhile.
_MOST_SECONDS_A_TABLE = 5.0
_KINDS = ("BASE TABLE", "SYSTEM VERSIONED")


def space_by_table(connection: Any, database: str) -> dict[str, int]:
    """The server's own estimate of what each table with rows of its own takes on disk, in bytes."""
    with suppress(MySQLdb.Error):  # MySQL's own: what it remembers may be a day old
        execute(connection, "SET SESSION information_schema_stats_expiry = 0")
    rows = of_tables(connection, "TABLE_NAME, TABLE_TYPE, COALESCE(DATA_LENGTH + INDEX_LENGTH, 0)", database)
    return {str(name): as_number(size) for name, kind, size in rows if kind in _KINDS}


def rows_within(
    connection: Any, database: str, tables: Sequence[str], *, seconds: float, tick: Callable[[], None]
) -> dict[str, int | None]:
    """How many rows these tables have, None where that takes too long or cannot be told.

    All of them have `seconds`, each at most five. Raises what `tick` raises, and nothing of the server's.
    """
    until = time.monotonic() + seconds
    counted: dict[str, int | None] = dict.fromkeys(tables)
    for table in tables:
        tick()
        left = min(_MOST_SECONDS_A_TABLE, until - time.monotonic())
        if left <= 0:
            break
        try:
            execute(connection, _at_most(left))
            counted[table] = count_rows(connection, database, table)
        except (MySQLdb.Error, MySQLProblem):
            continue
    return counted


def _at_most(seconds: float) -> str:
    """Each flavour reads its own comments only, see `session`."""
    return (
        f"SET SESSION lock_wait_timeout = 1 /*!50720 , max_execution_time = {max(1, int(seconds * 1000))} */"
        f"/*M!100101 , max_statement_time = {seconds:.3f} */"
    )
