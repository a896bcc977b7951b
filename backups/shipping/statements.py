"""What a statement in the log is to one database: kept or not, and whether a replay goes past it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backups.binlog import Query
from backups.binlog.barriers import Barrier
from backups.binlog.logged import Logged
from backups.binlog.statements import Ours, judged
from backups.dumpfile.dialect import Dialect
from backups.replaying.settings import Collations

_FRAME = re.compile(rb"(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE\s+SAVEPOINT|XA)\b", re.I)


@dataclass(frozen=True)
class Touch:
    """Whether a statement is to be kept for the database, what it defines, and why no replay goes past it."""

    is_ours: bool
    changed: tuple[str, ...] = ()
    barrier: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


NOTHING = Touch(is_ours=False)
Judge = Callable[[Query], Touch]


@dataclass(frozen=True)
class Speech:
    """How statements in a server's log are read: its dialect, and its collations by their numbers."""

    dialect: Dialect
    collations: Collations

    def logged(self, query: Query) -> Logged:
        """A statement as it is judged."""
        if query.charsets is None:
            # By the server itself, which speaks UTF-8.
            return Logged.of(query, "utf8mb4", self.dialect)
        # A number that nobody knows has no name, and is a barrier where that matters.
        _, charset = self.collations.by_number.get(query.charsets[0], ("", ""))
        return Logged.of(query, charset, self.dialect)


def is_frame(text: bytes) -> bool:
    """Whether a statement begins or ends what other events do."""
    return bool(_FRAME.match(text))


def judge(database: str, speech: Speech, *, folds_case: bool) -> Judge:
    """What statements are to a database."""

    def judge_one(query: Query) -> Touch:
        found = judged(speech.logged(query), database, folds_case=folds_case)
        if isinstance(found, Ours):
            return Touch(is_ours=True, changed=found.changed)
        if isinstance(found, Barrier):
            return Touch(is_ours=True, barrier=found.code.value, params=dict(found.params))
        return NOTHING

    return judge_one
