"""Asking for rows back that a comparison kept: first for a proved script, then for its application."""

from __future__ import annotations

from dataclasses import dataclass

from backups.models import Database, Run
from backups.requests.base import DatabaseRequest


@dataclass(frozen=True)
class Choice:
    """Which rows of a table: all of these kinds (gone, changed, new), of which a condition keeps some; or
    those of these numbers in the kept file."""

    table: str
    kinds: tuple[str, ...] = ()
    where: str = ""
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class RowsBackRequest(DatabaseRequest):
    """Write the script that gives rows back, and prove it on a copy. Changes nothing in the live database.

    `source` is the comparison that kept the rows, or the application that is to be undone (then without
    choices: all of it). The run's `result["rows_back"]` holds: `tables`: [{table, gone, changed, new}],
    `rows`, `proved` (a bool), `proved_at`, `left_out`: [{table, number}] (changed again since),
    `already`: rows that are as then, `triggers`: [{trigger, table, event, rows}], `script_sha256`,
    `undo_sha256`.
    """

    source: Run
    choices: tuple[Choice, ...] = ()
    with_changed_again: bool = False
    reason: str = ""


@dataclass(frozen=True)
class ApplyRowsRequest(DatabaseRequest):
    """Apply the script of a `rows_back` run that was proved, in one transaction.

    Its action is ROWS_BACK too, its form `apply_rows`. `result["rows_back"]` holds `state`: "", "committing",
    "applied" or "already"; `tables` as above; `safety_snapshot`.
    """

    proved: Run
    knows_triggers: bool = False
    without_safety: bool = False
    reason: str = ""


__all__ = ["ApplyRowsRequest", "Choice", "Database", "RowsBackRequest"]
