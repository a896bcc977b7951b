"""Which rows of a comparison somebody has ticked, as the form of their page brings it and takes it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from backups.choices import Action
from backups.models import Run
from backups.requests import Choice

KINDS = ("gone", "changed", "new")
# Of a form's field: 50,000 numbers, none of which follows another, are shorter.
_LONGEST, _MOST_NUMBERS = 1_000_000, 500_000
_RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12}))?")
_LONGEST_TEXT = 2000


@dataclass(frozen=True)
class KeptTable:
    """A table of which a comparison keeps rows: how many of each kind, and how many it could not keep."""

    name: str
    counts: Mapping[str, int]
    beyond: int
    # In which of its columns changed rows differ.
    columns: Sequence[str] = ()

    @property
    def total(self) -> int:
        """How many are kept."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Kept:
    """What a comparison keeps, and until when."""

    until: datetime
    tables: Sequence[KeptTable]
    # How many rows of each table at most; 0 of a comparison by the version before.
    limit: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it was removed since."""
        return self.until <= timezone.now()


def kept_by(run: Run) -> Kept | None:
    """What a run's row says of the rows that it keeps; None where it keeps none."""
    result = run.result if run.action == Action.DIFF and isinstance(run.result, dict) else {}
    try:
        told = result["kept"]
        tables = [
            KeptTable(
                str(each["table"]),
                {kind: int(each[kind]) for kind in KINDS},
                int(each["beyond"]),
                # Of a comparison by the version before nobody knows.
                tuple(map(str, each.get("columns", ()))),
            )
            for each in told["tables"]
        ]
        until = timezone.localtime(datetime.fromisoformat(told["until"]))
        return Kept(until, tables, int(told.get("limit", 0)))
    except (KeyError, TypeError, ValueError):
        return None  # it is not over, or is of a row that we did not write


@dataclass
class Ticks:
    """What of one table is ticked: all of some kinds, and single rows by their numbers.

    Of `columns` changed rows are to get back those alone, of all without any.
    """

    table: KeptTable
    kinds: set[str] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)
    columns: tuple[str, ...] = ()

    @property
    def by_hand(self) -> str:
        """The single rows, for a field of the form."""
        return in_ranges(self.numbers)

    @property
    def choice(self) -> Choice:
        """What is asked for."""
        kinds = tuple(kind for kind in KINDS if kind in self.kinds)
        ranges = Choice.of_numbers(self.table.name, self.numbers).ranges
        return Choice(self.table.name, kinds, ranges, self.columns)


@dataclass
class Looked:
    """Which rows of which table are looked at; `offset` counts those before the first one that is shown."""

    table: int
    kinds: tuple[str, ...] = ()
    search: str = ""
    where: str = ""
    offset: int = 0


class Chosen:
    """The ticks of all tables, and what is looked at, from what was sent."""

    def __init__(self, kept: Kept, sent: QueryDict) -> None:
        self.ticks = [Ticks(table) for table in kept.tables]
        whole = set(sent.getlist("all"))
        for number, ticks in enumerate(self.ticks):
            ticks.kinds = {kind for kind in KINDS if f"{number}.{kind}" in whole and ticks.table.counts[kind]}
            ticks.numbers = of_ranges(sent.get(f"hand-{number}", ""))
            of_table = set(sent.getlist(f"column-{number}"))
            ticks.columns = tuple(each for each in ticks.table.columns if each in of_table)
        self.looked = self._looked(sent)
        if self.looked is not None:
            seen = of_ranges(sent.get("seen", ""))
            ticked = {int(each) for each in sent.getlist("row") if _RANGE.fullmatch(each) and "-" not in each}
            ticks = self.ticks[self.looked.table]
            ticks.numbers = (ticks.numbers - seen) | (ticked & seen)

    def _looked(self, sent: QueryDict) -> Looked | None:
        told = sent.get("table", "")
        if not (told.isascii() and told.isdigit() and len(told) < 6 and int(told) < len(self.ticks)):
            return None
        offset = sent.get("offset", "")
        return Looked(
            int(told),
            tuple(kind for kind in KINDS if kind in sent.getlist("kind")),
            sent.get("search", "")[:_LONGEST_TEXT],
            sent.get("where", "")[:_LONGEST_TEXT],
            int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 9 else 0,
        )

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What is asked for, of the tables of which something is."""
        return tuple(each.choice for each in self.ticks if each.kinds or each.numbers)


def in_ranges(numbers: Iterable[int]) -> str:
    """Numbers in a text, as in 1-5,9."""
    ranges = Choice.of_numbers("", numbers).ranges
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)


def of_ranges(text: str) -> set[int]:
    """The numbers again; what is none, and more than a file of rows can have, is left out."""
    found: set[int] = set()
    for part in text[:_LONGEST].split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            continue
        first, last = int(match[1]), int(match[2] or match[1])
        if 0 <= last - first < _MOST_NUMBERS - len(found):
            found.update(range(first, last + 1))
    return found


def told_by(run: Run, name: str) -> Mapping[str, Any]:
    """A part of what a run tells of itself; nothing where it tells none, or a row that we did not write."""
    told = run.result.get(name) if isinstance(run.result, dict) else None
    return told if isinstance(told, dict) else {}
