"""The portal's side of kept rows: a page of them, or a script, asked from the worker over its socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User

from backups.models import Run


@dataclass(frozen=True)
class RowWanted:
    """A page of the rows of a table that a run keeps; `search` is looked for in the key's values.

    `run` is a comparison that kept rows, or a `rows_back` run (its chosen rows, those changed again too).
    """

    table: str
    offset: int = 0
    limit: int = 50
    kinds: tuple[str, ...] = ()
    search: str = ""


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
    """Ask the worker. Raises Problem: NoWorker, rows.not_kept, one that the ticket's person may not."""
    raise NotImplementedError


def script_text(person: User, run: Run, *, undo: bool = False) -> bytes:
    """The script of a `rows_back` run, or its undo. Raises Problem."""
    raise NotImplementedError
