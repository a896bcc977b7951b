"""Asking which rows chosen transactions of the stored log changed, so that these can be given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import UNDO_TRANSACTIONS, Action
from backups.errors import Problem
from backups.models import Database, Run, Snapshot
from backups.moments.rows import drafts_of
from backups.moments.until import Until, before_transaction
from backups.requests.base import NOTHING_DONE, About, DatabaseRequest, database_of
from backups.text.sentences import phrase

# Each is replayed alone, with two dumps of what it may have touched.
MOST_TRANSACTIONS = 20


@dataclass(frozen=True)
class UndoTransactionsRequest(DatabaseRequest):
    """Replay transactions on a copy, and keep the rows that each changed, as they were before and after it.

    Changes nothing in the live database: `RowsBackRequest` goes on from its run as from a comparison's.
    `transactions` are each FILE:POSITION or a GTID, `snapshot` is the dump that the replay begins with.
    """

    action = Action.DIFF
    form = UNDO_TRANSACTIONS

    snapshot: Snapshot
    transactions: tuple[str, ...]

    @classmethod
    def of(cls, database: Database, transactions: Sequence[str]) -> Self:
        """The request for these, from the dump that leads to all of them. Raises Problem."""
        untils = _untils(transactions)
        base = drafts_of(database, untils)[0].base
        snapshot = Snapshot.objects.select_related("repository").get(pk=base.key)
        return cls(database, snapshot, tuple(until.before for until in untils))

    @property
    def about(self) -> About:
        """The database and the dump."""
        return About(database=self.database, snapshot=self.snapshot)

    @property
    def untils(self) -> list[Until]:
        """The moments just before them."""
        return [before_transaction(each) for each in self.transactions]

    def parameters(self) -> dict[str, Any]:
        """Which transactions."""
        return {"transactions": list(self.transactions)}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where its dump is not known any more."""
        if run.snapshot is None:
            raise Problem(
                phrase("The backup from which the transactions were to be replayed is not known any more."),
                code="snapshot.gone",
                safe=NOTHING_DONE,
                do=phrase("Start it again: it takes another one, if there is one."),
            )
        return cls(database_of(run), run.snapshot, tuple(map(str, payload["transactions"])))

    def refuse_unfit(self) -> None:
        """Raise Problem for transactions that are not stored, or to which the dump does not lead."""
        for draft in drafts_of(self.database, _untils(self.transactions)):
            draft.from_base(self.snapshot.pk)


def transactions_of(run: Run | None) -> list[str]:
    """Which transactions a run was to find out about; none of any other run."""
    asked = run.request if run is not None and isinstance(run.request, dict) else {}
    named = asked.get("transactions") if asked.get("form") == UNDO_TRANSACTIONS else None
    return [str(each) for each in named] if isinstance(named, list) else []


def _untils(transactions: Sequence[str]) -> list[Until]:
    """Each once. Raises Problem for none, too many, and what is no transaction."""
    if not transactions:
        raise Problem(
            phrase("No transaction was chosen."),
            code="undo_transactions.none_chosen",
            safe=NOTHING_DONE,
            do=phrase("Choose some in the list of transactions."),
        )
    if len(transactions) > MOST_TRANSACTIONS:
        raise Problem(
            phrase(
                "{n} transactions are too many to undo at once: {most} at most.",
                n=len(transactions),
                most=MOST_TRANSACTIONS,
            ),
            code="undo_transactions.too_many",
            safe=NOTHING_DONE,
            do=phrase("Undo the newest ones first, or restore the moment just before the oldest."),
        )
    found = {until.before: until for until in map(before_transaction, transactions)}
    return list(found.values())
