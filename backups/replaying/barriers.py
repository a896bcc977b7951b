"""What no replay goes past, in sentences."""

from __future__ import annotations

from backups.binlog.barriers import Barrier, Code
from backups.replaying.problems import BEFORE_OR_LATER, ReplayProblem, Where
from backups.text.sentences import phrase

WHY = {
    Code.NOT_UNDERSTOOD: phrase("a statement is not understood that may have changed the database"),
    Code.STATEMENT_ROWS: phrase("rows were changed and only the statement was logged, not the rows"),
    Code.DATABASE: phrase("the database was dropped or made anew"),
    Code.MOVED: phrase("a table was moved into the database or out of it, as a restore does"),
    Code.OTHER_DATABASE: phrase("one statement is about this database and another one"),
    Code.OUTSIDE: phrase("a table has its rows outside of the database"),
    Code.TEMPORARY: phrase("a temporary table was logged as a statement"),
    Code.NOT_REPEATABLE: phrase("a statement would give other values if it ran again"),
    Code.CHARSET: phrase("a statement is in a character set that cannot be read for certain"),
}


def problem(barrier: Barrier, where: Where) -> ReplayProblem:
    """A statement of the log that cannot be repeated in a copy."""
    return ReplayProblem(
        phrase("The log cannot be played past {place}: {why}.", place=where.place, why=WHY[barrier.code]),
        code="replay.barrier",
        do=BEFORE_OR_LATER,
        params={
            "file": where.file,
            "position": where.start,
            "barrier": barrier.code.value,
            **barrier.params,
        },
    )
