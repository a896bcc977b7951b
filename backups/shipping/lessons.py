"""What rows do not tell of a piece any more, learned as it is read back: the portal was lost, not the piece.

A row that was made of a piece's name alone knows neither its transactions nor its barriers. One that came
back with the portal's copy lacks its list of transactions, which is in no copy.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from backups.binlog import Event, Kind, Transaction
from backups.models import LogPiece, LogTransaction
from backups.shipping.contents import Contents
from backups.shipping.cutting import Cut, Cutter, told_by

if TYPE_CHECKING:
    from backups.shipping.program import Item

# What is stored is read back within the hour, unless it came back from a copy.
_LONG_UNREAD = timedelta(days=1)
# Events tell of positions the low 32 bits.
_TURN = 1 << 32


def lacks_any(row: LogPiece) -> bool:
    """Whether reading a piece may teach something. Then it is cut once more, which takes its time."""
    is_back = row.read_back_at is None and row.stored_at < timezone.now() - _LONG_UNREAD
    return is_a_name_alone(row) or (is_back and not row.listed.exists())


def is_a_name_alone(row: LogPiece) -> bool:
    """Whether nothing is known of what is in it."""
    return not row.sha256


class Lesson:
    """All that is in one piece, as `cutter` cuts it: once more, since it was cut when it was stored."""

    def __init__(self, row: LogPiece, cutter: Cutter) -> None:
        self._row = row
        self._cutter = cutter
        self._contents = Contents()
        # What no replay goes past, until it is known whether it is a transaction's, which follows it then.
        self._wall: Event | None = None

    def learn(self, item: Item) -> None:
        """The next one in the piece. Raises Unreadable."""
        if isinstance(item, Transaction):
            wall = self._wall if self._wall is not None and _place_of(self._wall) == item.start else None
            if wall is None:
                self._block_alone()
            self._wall = None
            self._take(item, wall)
        elif item.event.kind == Kind.INCIDENT or not item.is_known:
            self._block_alone()
            self._wall = item.event

    def _take(self, item: Transaction, wall: Event | None) -> None:
        cut = self._cutter.cut(item)
        if wall is not None:
            # Of a statement that may be another database's as well, nothing else is in the piece.
            cut = cut or Cut()
            cut.barriers = cut.barriers or [told_by(wall)]
        if cut is not None:
            self._contents.take(item, cut, self._row.stored_at)

    def _block_alone(self) -> None:
        if (event := self._wall) is not None:
            self._contents.block(_place_of(event), event.when, told_by(event), self._row.stored_at)

    def note(self, sha256: str) -> None:
        """Write down what the row does not tell yet, unless another piece took its place meanwhile."""
        self._block_alone()
        same = LogPiece.objects.filter(pk=self._row.pk, snapshot_id=self._row.snapshot_id)
        with transaction.atomic():
            if is_a_name_alone(self._row):
                same.update(
                    sha256=sha256,
                    transactions=self._contents.transactions,
                    first_moment=self._contents.first,
                    last_moment=self._contents.last,
                    barriers=self._contents.told,
                )
            if same.exists() and not LogTransaction.objects.filter(piece=self._row).exists():
                self._contents.list_news(self._row.pk)


def _place_of(event: Event) -> int:
    """Where in the server's file an incident in a piece is: before what it says that it ends at."""
    return event.position + (event.ends_at - event.position) % _TURN
