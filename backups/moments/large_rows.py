"""Rows that are so large that not every server takes them in one statement: whether a replay goes past them
is a matter of where it is done.

Of each piece the largest is noted, among what no replay goes past (`LogPiece.barriers`), under a code of its
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from backups.dumpfile.log_positions import Place
from backups.models import LogPiece
from backups.moments.timeline import rank

CODE = "log.large_row"
# Each server takes four times as much in one statement, unless somebody set less.
NOTED_BYTES = 1 << 20


class LargeRow(NamedTuple):
    """An event of a row: which transaction's, by where that begins, and how many bytes it has."""

    place: Place
    bytes: int


def is_one(told: Any) -> bool:
    """Whether an entry of a piece is of a large row, and so no barrier for every server."""
    return isinstance(told, dict) and told.get("code") == CODE


def of_piece(row: LogPiece) -> LargeRow | None:
    """The largest of a piece; None where none is noted."""
    for told in filter(is_one, row.barriers):
        params = told.get("params") or {}
        if isinstance(size := params.get("bytes"), int) and isinstance(told.get("position"), int):
            return LargeRow(Place(row.file, told["position"]), size)
    return None


def largest(
    rows: Iterable[LogPiece], after: Place | None = None, until: Place | None = None
) -> LargeRow | None:
    """The largest of several pieces, of what lies between two places of the log."""
    found = [each for row in rows if (each := of_piece(row)) is not None]
    between = [
        each
        for each in found
        if (after is None or rank(each.place) >= rank(after))
        and (until is None or rank(each.place) < rank(until))
    ]
    return max(between, key=lambda each: each.bytes, default=None)
