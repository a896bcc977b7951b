"""The portal's side of kept rows: pages of them, and scripts, asked from the worker over its socket.

The values pass through this process to whoever may see them, and stay nowhere in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth.models import User

from backups.downloads.asking import Download, begin_asking
from backups.errors import Problem
from backups.models import Run
from backups.text.sentences import phrase

# What the worker answers by at most: a page of rows that are cut, or the numbers of all.
_MOST_BYTES = 32_000_000


@dataclass(frozen=True)
class RowWanted:
    """A page of the rows of a table that a run keeps.

    `search` is looked for in the key's values, `where` is a condition on all. `run` is a comparison that kept
    rows, or a `rows_back` run (its chosen rows, those changed again too).
    """

    table: str
    offset: int = 0
    limit: int = 50
    kinds: tuple[str, ...] = ()
    search: str = ""
    where: str = ""


@dataclass(frozen=True)
class ShownCell:
    """A value as SQL writes it, cut where it is long. None: there is none on that side."""

    column: str
    then: str | None
    now: str | None
    # As it is by the dump of the proof, where the row was changed again since.
    third: str | None
    differs: bool


@dataclass(frozen=True)
class ShownRow:
    """A row for a page. `kind` is gone, new or changed."""

    number: int
    kind: str
    changed_again: bool
    cells: Sequence[ShownCell]


@dataclass(frozen=True)
class RowsPage:
    """Some rows of a table. `total` counts all that fit what was wanted, `beyond` those that are not kept."""

    total: int
    beyond: int
    key: Sequence[str]
    rows: Sequence[ShownRow]


def rows_page(person: User, run: Run, wanted: RowWanted) -> RowsPage:
    """Ask the worker. Raises Problem: NoWorker, rows.not_kept, a condition that cannot be understood."""
    told = _told(person, run, {"asks": "rows", **asdict(wanted)})
    try:
        rows = [
            ShownRow(
                int(each["number"]), str(each["kind"]), each["changed_again"] is True,
                [ShownCell(*cell) for cell in each["cells"]],
            )
            for each in told["rows"]
        ]  # fmt: skip
        return RowsPage(int(told["total"]), int(told["beyond"]), list(map(str, told["key"])), rows)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown_answer() from error


def row_numbers(person: User, run: Run, wanted: RowWanted) -> list[tuple[int, int]]:
    """The numbers of all rows that fit, as ranges: the first and the last of each. Raises Problem."""
    told = _told(person, run, {"asks": "numbers", **asdict(wanted)})
    try:
        return [(int(first), int(last)) for first, last in told["ranges"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown_answer() from error


def script(person: User, run: Run, *, undo: bool = False) -> Download:
    """The script of a `rows_back` run, or its undo; to be closed in any case. Raises Problem."""
    return begin_asking(person, run, {"asks": "script", "undo": undo})


def script_beginning(person: User, run: Run, most: int, *, undo: bool = False) -> bytes:
    """As much of it as a page shows, and one byte more where there is more. Raises Problem."""
    found = bytearray()
    with closing(script(person, run, undo=undo)) as pieces:
        for piece in pieces:
            found += piece
            if len(found) > most:
                break
    return bytes(found[: most + 1])


def _told(person: User, run: Run, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    found = bytearray()
    with closing(begin_asking(person, run, asked)) as pieces:
        for piece in pieces:
            found += piece
            if len(found) > _MOST_BYTES:
                raise _unknown_answer()
    try:
        told = json.loads(bytes(found))
    except ValueError as error:
        raise _unknown_answer() from error
    if not isinstance(told, dict):
        raise _unknown_answer()
    return told


def _unknown_answer() -> Problem:
    return Problem(
        phrase("The worker answered in a way that this page does not know."),
        code="downloads.unknown_answer",
        do=phrase("See that portal and worker are of the same version, then try again."),
    )
