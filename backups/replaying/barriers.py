"""What no replay goes past, in sentences."""

from __future__ import annotations

from backups.binlog.barriers import Barrier
from backups.replaying.problems import BEFORE_OR_LATER, ReplayProblem, Where
from backups.text.sentences import phrase


def problem(barrier: Barrier, where: Where) -> ReplayProblem:
    """A statement of the log that cannot be repeated in a copy. Its params name `barrier`, its code."""
    return ReplayProblem(
        phrase("The log cannot be played past {place}. {why}", place=where.place, why=barrier.sentence),
        code="replay.barrier",
        do=BEFORE_OR_LATER,
        params={
            "file": where.file,
            "position": where.start,
            "barrier": barrier.code.value,
            **barrier.params,
        },
    )
