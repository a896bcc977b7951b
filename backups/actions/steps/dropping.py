"""Dropping whole databases, which takes minutes where they are large: the run goes on beating meanwhile."""

from __future__ import annotations

from dataclasses import replace

from backups import mysql, process
from backups.actions.steps import scratch_log
from backups.runs import notes

_SECONDS = 24 * 3600


def drop_database(server: mysql.Server, name: str, tick: process.Tick = lambda: None) -> None:
    """Drop a database; what `tick` raises is raised once it is dropped. Raises MySQLProblem."""

    def drop() -> None:
        with mysql.connect(server, read_seconds=_SECONDS) as connection:
            mysql.drop_database(connection, name)

    process.run_in_thread(drop, tick, lambda: None)


def drop_scratch(
    run_id: int,
    server: mysql.Server,
    name: str,
    tick: process.Tick = lambda: None,
    *,
    noted_as: str = notes.SCRATCH,
) -> str:
    """Drop a run's scratch database and forget its name. Raises MySQLProblem.

    Where it can no longer be left out of the binary log, it is dropped all the same; answers what to tell.
    """
    told = ""
    try:
        drop_database(server, name, tick)
    except mysql.IntoBinaryLog:
        in_log = scratch_log.only_dropped(server, name)
        drop_database(replace(server, skips_binary_log=False), name, tick)
        notes.run_update(run_id, result=in_log.noted)
        told = in_log.words
    notes.leftover_cleared(run_id, noted_as)
    return told
