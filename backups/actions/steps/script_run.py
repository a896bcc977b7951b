"""A script's statements, run over one connection that can be cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backups import mysql, process
from backups.rows_back.script import COMMITS
from backups.runs.progress import Progress

# So many statements are sent without a look at the clock.
_AT_ONCE = 200


def _together(statements: Sequence[bytes], at: int) -> Sequence[bytes]:
    """The next ones, up to the one before which something is to be done."""
    some = statements[at : at + _AT_ONCE]
    return some[: some.index(COMMITS, 1)] if COMMITS in some[1:] else some


def run_script(
    server: mysql.Server,
    database: str,
    statements: Sequence[bytes],
    progress: Progress,
    before_commit: Callable[[], None] = lambda: None,
) -> None:
    """Run them one after the other; what `before_commit` raises has all of it rolled back.

    By then no definition of a table that it has touched can be altered any more, before it ends. Raises
    mysql.StatementFailed, Problem, Cancelled.
    """
    done = 0

    def tick() -> None:
        progress.bytes_done(done)
        progress.tick()

    with mysql.script_connection(server, database) as connection:
        connection.refuse_too_long(statements)

        def work() -> None:
            nonlocal done
            while done < len(statements):
                if statements[done] == COMMITS:
                    before_commit()
                some = _together(statements, done)
                connection.run(some)
                done += len(some)

        process.run_in_thread(work, tick, lambda: mysql.kill(server, connection.thread))
