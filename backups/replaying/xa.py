"""XA transactions that are prepared at one place of the log and end at another one, perhaps never."""

from __future__ import annotations

from dataclasses import dataclass, field

from backups.binlog.transactions import Ending, Transaction, Xid

_ENDED = (Ending.XA_COMMITTED, Ending.XA_ROLLED_BACK)


class NeverPrepared(Exception):
    """What ends was not prepared in what was read."""


@dataclass
class Held:
    """Those that are prepared. Their rows count from their commit on: until then nobody else sees them."""

    by_name: dict[Xid | None, Transaction] = field(default_factory=dict)

    def played(self, transaction: Transaction) -> Transaction | None:
        """What is to be played when the log comes to a transaction: itself, most often.

        Nothing for one that is prepared or rolled back; for a commit what was prepared. Raises NeverPrepared.
        """
        if transaction.kind == Ending.XA_PREPARED:
            self.by_name[transaction.xid] = transaction
            return None
        if transaction.kind not in _ENDED:
            return transaction
        prepared = self.by_name.pop(transaction.xid, None)
        if transaction.kind == Ending.XA_ROLLED_BACK:
            return None
        if prepared is None:
            raise NeverPrepared
        return prepared

    def passed(self, transaction: Transaction) -> None:
        """The same for one that the base of the replay holds already: only what is prepared counts."""
        if transaction.kind == Ending.XA_PREPARED or transaction.xid in self.by_name:
            self.played(transaction)
