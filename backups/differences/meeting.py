"""Two dumps that are read at once, each in a thread: table by table, they meet and settle equal rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from backups.differences.settling import ENOUGH_BYTES, Settling
from backups.differences.shapes import Layout, Shape, layout_of, shape_of
from backups.dumpfile.sections import Section

BEFORE, AFTER = 0, 1
# As far as one side may be ahead of the other.
_MOST_WAITING = 2 * ENOUGH_BYTES
_OVER = 1 << 60


class NotMet(Exception):
    """Both dumps cannot be read side by side: one is too slow for the other, or has its tables in another
    order."""


class Meeting:
    """Where the sides of a comparison wait for each other.

    `order` has the tables of the earlier dump, as they come there, that are to be compared. A side that is
    not `patient` raises NotMet after so many seconds: a server ends who does not read on.
    """

    def __init__(self, order: Sequence[str], collations: Mapping[str, str], patience: float | None) -> None:
        self._places = {name: at for at, name in enumerate(order)}
        self._collations = collations
        self._patience = (None, patience)
        self._changed = threading.Condition()
        self._at = [-1, -1]
        self._shapes: tuple[dict[str, Shape], dict[str, Shape]] = ({}, {})
        self._settlings: dict[str, tuple[tuple[bytes, ...], Settling]] = {}
        self._is_off = False
        # What both have come to, and how many rows were settled of it.
        self.met: set[str] = set()
        self.settled: dict[str, int] = {}

    def call_off(self) -> None:
        """One side came to an end before its time: the other one waits no more, and ends as well."""
        with self._changed:
            self._is_off = True
            self._changed.notify_all()

    def enter(self, side: int, section: Section) -> None:
        """A side has come to a table, and waits until it is known whether the other has it. Raises NotMet."""
        place = self._places.get(section.name)
        if place is None:
            return
        with self._changed:
            if place <= self._at[side]:
                raise NotMet
            if shape := shape_of(section.definition, self._collations):
                self._shapes[side][section.name] = shape
            self._at[side] = place
            self._changed.notify_all()
            self._wait(side, lambda: self._at[1 - side] >= place)
            if self._at[1 - side] == place or section.name in self.met:
                self.met.add(section.name)

    def has_begun(self) -> bool:
        """Whether the earlier side has come to its first table, or has none."""
        return self._at[BEFORE] >= 0

    def finish(self, side: int) -> None:
        """A side was read to its end."""
        with self._changed:
            self._at[side] = _OVER
            self._changed.notify_all()

    def layout(self, table: str) -> Layout | None:
        """How rows of a table are compared that both have come to."""
        then, now = self.shapes(table)
        return None if then is None or now is None or table not in self.met else layout_of(then, now)

    def shapes(self, table: str) -> tuple[Shape | None, Shape | None]:
        """How each side defines a table, as far as it has come to it."""
        then, now = self._shapes
        return then.get(table), now.get(table)

    # ------------------------------------------------------------ Rows

    def settle(self, side: int, table: str, head: tuple[bytes, bytes], rows: bytes) -> list[bytes]:
        """Rows that a side brings, under a head and with what stands between them; answers what is left over.

        Waits while the other side is far behind. Raises NotMet.
        """
        with self._changed:
            known, settling = self._settlings.setdefault(table, (head, Settling(head[1])))
            if known != head:
                return [rows]
            settling.add(side, rows)
            self._changed.notify_all()
            self._wait(side, lambda: settling.waiting(side) <= _MOST_WAITING)
            return settling.take_left(side)

    def end(self, side: int, table: str) -> list[bytes]:
        """There are no more rows of a table on this side; answers what is left over. Raises NotMet."""
        with self._changed:
            if table not in self._settlings:
                self._settlings[table] = (), Settling(b"")
            settling = self._settlings[table][1]
            settling.end(side)
            self._changed.notify_all()
            self._wait(side, lambda: not settling.waiting(side))
            self.settled[table] = settling.settled
            return settling.take_left(side)

    def _wait(self, side: int, is_there: Callable[[], bool]) -> None:
        patience = self._patience[side]
        until = None if patience is None else time.monotonic() + patience
        while not self._is_off and not is_there():
            if not self._changed.wait(None if until is None else until - time.monotonic()):
                raise NotMet
        if self._is_off:
            raise NotMet
