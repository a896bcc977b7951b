"""What rows tell of the transactions in a piece: as it is cut, and once more as it is read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backups.binlog import Transaction
from backups.models import LogTransaction
from backups.moments import large_rows
from backups.shipping.cutting import Barrier, Cut

# From so many rows on a transaction is listed, to be found again.
LISTED_ROWS = 20
_AT_ONCE = 500


@dataclass
class Contents:
    """How many transactions, of which times, what no replay goes past, and what is listed of them."""

    transactions: int = 0
    first: datetime | None = None
    last: datetime | None = None
    barriers: list[dict[str, Any]] = field(default_factory=list)
    # Its bytes, and what is told of it.
    largest: tuple[int, dict[str, Any]] = (large_rows.NOTED_BYTES, {})
    # Since they were listed last.
    news: list[LogTransaction] = field(default_factory=list)

    def take(self, item: Transaction, cut: Cut, seen: datetime) -> None:
        """The next one, which was seen then."""
        moment = moment_of(item)
        self.transactions += 1
        self.first = min(self.first or moment, moment)
        self.last = max(self.last or moment, moment)
        for barrier in cut.barriers:
            self.block(item.start, moment.timestamp(), barrier, seen)
        if cut.largest > self.largest[0]:
            large = Barrier(large_rows.CODE, {"bytes": cut.largest})
            self.largest = cut.largest, _told(item.start, moment, large, seen)
        if cut.is_definition or cut.rows >= LISTED_ROWS:
            self.news.append(_listed(item, cut, moment))

    def block(self, position: int, seconds: float, barrier: Barrier, seen: datetime) -> None:
        """What no replay goes past."""
        self.barriers.append(_told(position, datetime.fromtimestamp(seconds, UTC), barrier, seen))

    @property
    def told(self) -> list[dict[str, Any]]:
        """What a piece's row tells of what stands in a replay's way, or may."""
        return [*self.barriers, *([self.largest[1]] if self.largest[1] else [])]

    def list_news(self, piece: int) -> None:
        """Write down what is listed, with the key of the piece's row."""
        for each in self.news:
            each.piece_id = piece
        LogTransaction.objects.bulk_create(self.news, batch_size=_AT_ONCE)


def _told(position: int, moment: datetime, barrier: Barrier, seen: datetime) -> dict[str, Any]:
    return {
        "position": position,
        "moment": moment.isoformat(),
        "code": barrier.code,
        "params": barrier.params,
        "seen": seen.isoformat(),
    }


def moment_of(item: Transaction) -> datetime:
    """When a transaction was committed, as far as the log tells."""
    if item.committed_us:
        return datetime.fromtimestamp(item.committed_us / 1_000_000, UTC)
    return datetime.fromtimestamp(item.moment, UTC)


def _listed(item: Transaction, cut: Cut, moment: datetime) -> LogTransaction:
    return LogTransaction(
        position=item.start,
        end=item.end,
        moment=moment,
        gtid=item.gtid,
        connection=item.connection,
        tables=cut.tables,
        rows=cut.rows,
        is_definition=cut.is_definition,
    )
