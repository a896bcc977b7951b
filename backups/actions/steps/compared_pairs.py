"""Tables as both sides define them, and which of them a server can compare. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backups import mysql
from backups.differences.meeting import Meeting
from backups.differences.shapes import Layout, Shape, layout_of
from backups.dumpfile.quoted import unquoted


@dataclass(frozen=True)
class Pair:
    """A table as both sides define it."""

    layout: Layout
    then: Shape
    now: Shape

    @classmethod
    def of(cls, then: Shape, now: Shape) -> Pair:
        """A table of these two shapes."""
        return cls(layout_of(then, now), then, now)

    @property
    def both(self) -> list[bytes]:
        """Columns of both sides."""
        return [name for name in self.now.columns if name in self.then.columns]

    def column(self, name: bytes) -> mysql.ComparedColumn:
        """A column with its types."""
        kinds = (shape.columns[name].decode(errors="replace") for shape in (self.then, self.now))
        return mysql.ComparedColumn(unquoted(name), *kinds)

    @property
    def key(self) -> list[mysql.ComparedColumn]:
        """The columns that tell rows apart."""
        return [self.column(name) for name in self.layout.key]

    def compared(self) -> list[mysql.ComparedColumn]:
        """The columns of which a server can tell whether values are the same."""
        return [column for name in self.both if mysql.may_be_compared(column := self.column(name))]

    @property
    def is_fit(self) -> bool:
        """Whether a server can compare its rows."""
        return bool(self.compared()) and all(map(mysql.may_be_compared, self.key))


def left_to_server(meeting: Meeting) -> Callable[[str], bool]:
    """Of which tables that both sides have come to nothing is taken in, since a server has to compare them.

    Where columns are the same, and only the order of the rows is not, most of them are left out as bytes.
    """

    def is_left(table: str) -> bool:
        then, now = meeting.shapes(table)
        if table not in meeting.met or then is None or now is None:
            return False
        pair = Pair.of(then, now)
        return not pair.layout.is_whole and pair.is_fit

    return is_left
