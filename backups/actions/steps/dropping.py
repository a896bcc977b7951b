"""Dropping whole databases, which takes minutes where they are large: the run goes on beating meanwhile."""

from __future__ import annotations

from backups import mysql, process
from backups.runs import notes

_SECONDS = 24 * 3600


def drop_database(server: mysql.Server, name: str, tick: process.Tick = lambda: None) -> None:
    """Drop a database; what `tick` raises is raised once it is dropped. Raises MySQLProblem."""

    def drop() -> None:
        with mysql.connect(server, read_seconds=_SECONDS) as connection:
            mysql.drop_database(connection, name)

    process.run_in_thread(drop, tick, lambda: None)


def drop_scratch(run_id: int, server: mysql.Server, name: str, tick: process.Tick = lambda: None) -> None:
    """Drop a run's scratch database and forget its name. Raises MySQLProblem."""
    drop_database(server, name, tick)
    notes.leftover_cleared(run_id, "scratch")
