"""What a statement in the log is to one database."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backups.binlog import Query

_FRAME = re.compile(rb"(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE\s+SAVEPOINT|XA)\b", re.I)
_CHANGES_ROWS = re.compile(rb"\s*(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|CALL|DO|SELECT|WITH)\b", re.I)
_OF_THE_SERVER = re.compile(
    rb"\s*(?:GRANT|REVOKE|(?:CREATE|ALTER|DROP|RENAME)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE)|SET|FLUSH|ANALYZE)\b",
    re.I,
)


@dataclass(frozen=True)
class Statement:
    """A statement, and which names are the database's."""

    query: Query
    is_ours: Callable[[bytes], bool]

    @property
    def is_frame(self) -> bool:
        """Whether it begins or ends what other events do."""
        return is_frame(self.query.text)


def is_frame(text: bytes) -> bool:
    """Whether a statement begins or ends what other events do."""
    return bool(_FRAME.match(text))


@dataclass(frozen=True)
class Touch:
    """Whether a statement is to be kept for the database, and why no replay goes past it."""

    is_ours: bool
    barrier: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


NOTHING = Touch(is_ours=False)


def judge(database: str, _folds: bool) -> Callable[[Statement], Touch]:
    """What a statement is to this database."""
    name = database.encode()

    def judged(statement: Statement) -> Touch:
        text = statement.query.text
        if not statement.is_ours(statement.query.database) and name.lower() not in text.lower():
            return NOTHING
        if _OF_THE_SERVER.match(text):
            return NOTHING
        if _CHANGES_ROWS.match(text):
            return Touch(is_ours=True, barrier="log.statement")
        return Touch(is_ours=True)

    return judged
