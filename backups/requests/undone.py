"""Which transactions a run of rows back undoes, or has done again: by the runs that it goes back to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backups.choices import APPLY_ROWS, Action
from backups.models import Run
from backups.requests.undo_transactions import transactions_of
from backups.text.sentences import phrase

# So often an undo may have been undone; beyond, nobody follows it.
_MOST_RUNS = 40


class Undone(NamedTuple):
    """Transactions of the stored log, by name, and whether what they did is made again instead: an undo of
    their undo."""

    transactions: Sequence[str] = ()
    is_done_again: bool = False


def undone_by(run: Run | None) -> Undone:
    """What the script of a run undoes, or the script that a run applies; nothing of rows of a comparison."""
    is_done_again = False
    for _ in range(_MOST_RUNS):
        if run is None:
            break
        if named := transactions_of(run):
            return Undone(named, is_done_again)
        asked = run.request if isinstance(run.request, dict) else {}
        source = _run(asked.get("proved" if asked.get("form") == APPLY_ROWS else "source"))
        if asked.get("form") != APPLY_ROWS and source is not None and source.action == Action.ROWS_BACK:
            is_done_again = not is_done_again
        run = source
    return Undone()


def undone_words(transactions: Sequence[str], *, is_done_again: bool) -> str:
    """The same in a sentence."""
    names = ", ".join(transactions)
    if is_done_again:
        return phrase("What these transactions did is done again: {names}.", names=names)
    return phrase("What these transactions did is undone: {names}.", names=names)


def _run(number: object) -> Run | None:
    return Run.objects.filter(pk=number).first() if isinstance(number, int) else None
