"""Many small transactions as one: each by itself waits three times for the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from backups.replaying.rows import MOST_BYTES, Group
from backups.replaying.steps import Begin, End, Step

MOST_TRANSACTIONS = 100


@dataclass
class Batch:
    """Transactions of rows alone, one after the other, which `send` makes one of."""

    send: Callable[[Begin, Sequence[Group]], None]
    _groups: list[Group] = field(default_factory=list)
    _begin: Begin | None = None
    _count: int = 0
    _size: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to play."""
        return self._begin is None

    def add(self, steps: Iterable[Step], groups: Sequence[Group]) -> bool:
        """Take in a transaction with its `groups`; False for one that has to be played by itself."""
        begins = [step for step in steps if isinstance(step, Begin)]
        is_plain = all(isinstance(step, Begin | Group) or step is End.COMMIT for step in steps)
        if not is_plain or not begins:
            return False
        if not groups:
            return True
        size = sum(group.size for group in groups)
        if (
            self._count >= MOST_TRANSACTIONS
            or self._size + size > MOST_BYTES
            or not self._is_alike(begins[-1])
        ):
            self.flush()
        self._begin = self._begin or begins[-1]
        self._groups += groups
        self._count += 1
        self._size += size
        return True

    def flush(self) -> None:
        """Play what was taken in."""
        begin, groups = self._begin, self._groups
        self._begin, self._groups, self._count, self._size = None, [], 0, 0
        if begin is not None:
            self.send(begin, groups)

    def _is_alike(self, begin: Begin) -> bool:
        """Whether its session was like that of those before, but for the time."""
        before = self._begin
        if before is None or before.query is None or begin.query is None:
            return True
        one, other = before.query, begin.query
        return (one.sql_mode, one.time_zone, one.flags2) == (other.sql_mode, other.time_zone, other.flags2)
