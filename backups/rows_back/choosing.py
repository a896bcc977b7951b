"""Conditions that choose rows: read here, and tried on the values of a difference. Never sent to a server."""

from __future__ import annotations

from collections.abc import Callable

from backups.rows_back.script import RowChange
from backups.rows_back.tables import Table


def condition(text: str, table: Table) -> Callable[[RowChange], bool]:
    """Whether a row is chosen by a condition as in `status = 'paid' and (price < 5 or note is null)`.

    A name is of the value as it was, or where the row was not there yet as it is; `then.price` and
    `now.price` name one of both. Text is compared letter by letter. Raises Problem.
    """
    raise NotImplementedError
