"""What a comparison found, as its run's row keeps it: counts and names, and no value of any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backups.differences.held import Change

# Why rows are not compared: the dump holds none of the table, writes them as no dump program does, or no
# column is the same on both sides.
NOT_READ, NOT_CUT, NO_COLUMN = "not_read", "not_cut", "no_column"
# What a row of the portal's keeps of each list. How many there are beyond is told.
MOST_KEPT = 500


@dataclass(frozen=True)
class TableDifference:
    """What differs between the rows of a table then and now.

    `change` is empty for a table that both sides have. `key` are the columns that tell its rows apart;
    without any, whole rows are counted. `is_key_new` says that only the later side has this key. Of columns
    that only one side has, or that are of another type, no value is compared. `why_not` says why its rows are
    not compared at all; then their counts are None. `by_server` says that a server compared them in its
    scratch databases: of another type are then only columns of which it cannot tell whether values are the
    same, and the others of such are among `columns_converted`. Of `columns_computed`, which the server makes
    of the others, no value is compared, and of FLOAT columns (`columns_rounded`) the digits that dumps have.
    """

    table: str
    change: str = ""
    gone: int | None = None
    new: int | None = None
    changed: int | None = None
    rows_before: int | None = None
    rows_after: int | None = None
    key: Sequence[str] = ()
    is_key_new: bool = False
    columns_came: Sequence[str] = ()
    columns_gone: Sequence[str] = ()
    columns_retyped: Sequence[str] = ()
    why_not: str = ""
    by_server: bool = False
    columns_converted: Sequence[str] = ()
    columns_computed: Sequence[str] = ()
    columns_rounded: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """How many differ, as far as they were compared."""
        return (self.gone or 0) + (self.new or 0) + (self.changed or 0)


@dataclass
class Differences:
    """All that a comparison found. `same_tables` have the same rows on both sides."""

    tables: list[TableDifference] = field(default_factory=list)
    objects: list[Change] = field(default_factory=list)
    same_tables: int = 0
    left_out: list[str] = field(default_factory=list)

    def as_json(self) -> Mapping[str, Any]:
        """For a run's row, bounded."""
        objects = [{**each.object._asdict(), "change": each.change} for each in self.objects]
        return {
            "tables": [asdict(each) for each in self.tables[:MOST_KEPT]],
            "tables_beyond": max(0, len(self.tables) - MOST_KEPT),
            "objects": objects[:MOST_KEPT],
            "objects_beyond": max(0, len(objects) - MOST_KEPT),
            "same_tables": self.same_tables,
            "left_out": self.left_out[:MOST_KEPT],
        }
