"""The portal's side of kept rows: a page of them, or a script, asked from the worker over its socket.

Values of rows go to whoever asks and nowhere else: not into the portal's database, nor into a log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth.models import User

from backups.downloads.asking import ask_for_rows
from backups.errors import Problem
from backups.models import Run
from backups.text.sentences import phrase


@dataclass(frozen=True)
class RowsWanted:
    """A page of the rows of a table that a run keeps; `search` is looked for in the key's values.

    `where` is a condition, as `rows_back.choosing` reads it.

    The run is a comparison that kept rows, or one that wrote a script (its chosen rows). Without `kinds` they
    are gone, changed and new.
    """

    table: str
    offset: int = 0
    limit: int = 50
    kinds: tuple[str, ...] = ()
    search: str = ""
    where: str = ""


@dataclass(frozen=True)
class ShownCell:
    """A value as SQL writes it, cut where it is long. None: there is none on that side.

    `third` is the value that was found as the script was written, in a row that was changed again meanwhile.
    """

    column: str
    then: str | None
    now: str | None
    third: str | None
    differs: bool


@dataclass(frozen=True)
class ShownRow:
    """A row for a page. `kind` is gone, new or changed.

    `state` is empty, "again" (changed again and left out), "again_chosen" or "already" (as it was already);
    `is_there_now` is false for a row that was changed again by being deleted.
    """

    number: int
    kind: str
    state: str
    is_there_now: bool
    cells: Sequence[ShownCell]


@dataclass(frozen=True)
class RowsPage:
    """Some rows of a table. `total` counts all that fit what was wanted, `beyond` those that are not kept."""

    total: int
    beyond: int
    key: Sequence[str]
    rows: Sequence[ShownRow]


def rows_page(person: User, run: Run, wanted: RowsWanted) -> RowsPage:
    """Ask the worker for rows. Raises Problem: NoWorker, `rows.not_kept`, or that this person may not."""
    told = _asked(person, run, {"ask": "page", **asdict(wanted)})
    try:
        rows = [
            ShownRow(**{**each, "cells": [ShownCell(**cell) for cell in each["cells"]]})
            for each in told["rows"]
        ]
        return RowsPage(int(told["total"]), int(told["beyond"]), [str(name) for name in told["key"]], rows)
    except (KeyError, TypeError, ValueError) as error:
        raise _strange() from error


def ranges_where(
    person: User, run: Run, table: str, kinds: Sequence[str], where: str
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """How many rows of these kinds a condition is true of, and their numbers as `Choice.ranges`.

    Raises Problem, also for a condition that cannot be read.
    """
    told = _asked(person, run, {"ask": "where", "table": table, "kinds": list(kinds), "where": where})
    try:
        return int(told["rows"]), tuple((int(first), int(last)) for first, last in told["ranges"])
    except (KeyError, TypeError, ValueError) as error:
        raise _strange() from error


def ranges_found(person: User, run: Run, wanted: RowsWanted) -> tuple[tuple[int, int], ...]:
    """The numbers of all rows that are wanted, on whichever page, as `Choice.ranges`. Raises Problem."""
    told = _asked(person, run, {"ask": "found", **asdict(wanted)})
    try:
        return tuple((int(first), int(last)) for first, last in told["ranges"])
    except (KeyError, TypeError, ValueError) as error:
        raise _strange() from error


def script_text(person: User, run: Run, *, undo: bool = False) -> bytes:
    """The script of a run that proved one, or what undoes it. Raises Problem."""
    return ask_for_rows(person, _snapshot_of(run), run.pk, {"ask": "script", "undo": undo})


def _asked(person: User, run: Run, wanted: Mapping[str, Any]) -> dict[str, Any]:
    try:
        told = json.loads(ask_for_rows(person, _snapshot_of(run), run.pk, wanted))
    except ValueError as error:
        raise _strange() from error
    if not isinstance(told, dict):
        raise _strange()
    return told


def _snapshot_of(run: Run) -> Any:
    if run.snapshot is None:
        raise _strange()
    return run.snapshot


def _strange() -> Problem:
    return Problem(
        phrase("The worker's answer about the rows cannot be read."),
        code="rows.strange_answer",
        do=phrase("See that portal and worker are of the same version."),
    )
