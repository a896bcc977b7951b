"""A script's statements, run over one connection that can be cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from backups import mysql, process
from backups.runs.progress import Progress


def run_script(server: mysql.Server, database: str, statements: Sequence[bytes], progress: Progress) -> None:
    """Run them one after the other. Raises mysql.StatementFailed, Problem, Cancelled."""
    done = 0

    def tick() -> None:
        progress.bytes_done(done)
        progress.tick()

    with mysql.script_connection(server, database) as connection:
        connection.refuse_too_long(statements)

        def work() -> None:
            nonlocal done
            for statement in statements:
                connection.run(statement)
                done += 1

        process.run_in_thread(work, tick, lambda: mysql.kill(server, connection.thread))
