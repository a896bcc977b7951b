"""What a statement in the log is to one database: kept or not, and whether a replay goes past it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backups.binlog import Query
from backups.binlog.barriers import Barrier
from backups.binlog.logged import Logged
from backups.binlog.statements import Ours, judged, may_lead_to
from backups.dumpfile.dialect import Dialect
from backups.replaying.settings import Collations
from backups.shipping.live_tables import LiveTables
from backups.shipping.neighbours import Reach


@dataclass(frozen=True)
class Touch:
    """Whether a statement is to be kept for the database, what it defines, and why no replay goes past it.

    `is_in_log` says that whoever reads the log alone finds the same. `is_neighbours` says that the statement
    is, or may be, of another database as well, so that its text is not this one's to keep.
    """

    is_ours: bool
    changed: tuple[str, ...] = ()
    barrier: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    is_in_log: bool = True
    is_neighbours: bool = False


NOTHING = Touch(is_ours=False)
Judge = Callable[[Query], Touch]


@dataclass(frozen=True)
class Speech:
    """How statements in a server's log are read: its dialect, its collations by their numbers, and whether
    names of databases are alike there in any case."""

    dialect: Dialect
    collations: Collations
    folds_case: bool

    def logged(self, query: Query) -> Logged:
        """A statement as it is judged."""
        if query.charsets is None:
            # By the server itself, which speaks UTF-8.
            return Logged.of(query, "utf8mb4", self.dialect)
        # A number that nobody knows has no name, and is a barrier where that matters.
        _, charset = self.collations.by_number.get(query.charsets[0], ("", ""))
        return Logged.of(query, charset, self.dialect)


class Judging:
    """Judges what statements are to a database. What only the server itself can tell, `live` is asked, and
    `reach` whether other databases' statements may change it."""

    def __init__(self, database: str, speech: Speech, live: LiveTables, reach: Reach) -> None:
        self._database, self._speech, self._live, self._reach = database, speech, live, reach

    def __call__(self, query: Query) -> Touch:
        """What a statement is. Raises MySQLProblem."""
        logged = self._speech.logged(query)
        database, folds_case = self._database, self._speech.folds_case
        found = judged(logged, database, folds_case=folds_case, is_reached=self._reach.is_there)
        if isinstance(found, Ours):
            unclear = self._live.unclear(found, query.text)
            if unclear is None:
                return Touch(is_ours=True, changed=found.changed)
            return _barrier(unclear, is_in_log=False)
        if may_lead_to(logged, database, folds_case=folds_case):
            self._reach.hear()
        return _barrier(found) if isinstance(found, Barrier) else NOTHING


def _barrier(found: Barrier, *, is_in_log: bool = True) -> Touch:
    return Touch(
        is_ours=True,
        barrier=found.code.value,
        params=dict(found.params),
        is_in_log=is_in_log and not found.is_neighbours,
        is_neighbours=found.is_neighbours,
    )
