"""One dump's tables, taken in as they stream by: their shapes, and the digests of their rows in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from backups.differences.cutting import Cutter, NotCut, columns_of, count, rows_of, written_columns
from backups.differences.rowfile import Digests, Extent, RowFile
from backups.differences.shapes import Layout, Shape, shape_of
from backups.differences.shown import Kept
from backups.dumpfile.ready import Does, Ready

# How the rows of a table are to be compared; None where they are only counted.
LayoutFor = Callable[[str, Shape], Layout | None]


@dataclass
class Recorded:
    """What was learned of one side. `counts` has tables whose rows were counted and are not compared."""

    file: RowFile
    shapes: dict[str, Shape] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    extents: dict[str, Extent] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    # The columns that are compared as this side's dump writes them, of tables that have rows.
    written: dict[str, list[bytes]] = field(default_factory=dict)
    # How each sequence is made, whatever its number is.
    sequences: dict[str, bytes] = field(default_factory=dict)
    # How many rows of a table were left out, as the other side has the same ones.
    settled: Mapping[str, int] = field(default_factory=dict)
    # Where its statements are kept, if its rows are to be picked out without reading it once more; at most so
    # many bytes, where it can be.
    kept: Kept | None = None
    most_kept: int | None = None
    kept_bytes: int = 0
    # Tables of which the rows are not written as the dump programs write them.
    uncut: set[str] = field(default_factory=set)
    # Tables of which nothing was taken in, for a server to compare them.
    left: set[str] = field(default_factory=set)

    def rows(self, table: str) -> int | None:
        """How many rows a table has; None where nobody counted."""
        if table in self.uncut:
            return None
        extent = self.extents.get(table)
        found = self.counts.get(table) if extent is None else extent.rows
        return None if found is None else found + self.settled.get(table, 0)

    def keep(self, ready: Ready) -> None:
        """Keep a statement. Raises Problem where there is no room."""
        if self.kept is None:
            return
        size, room = len(ready.text), self.file.room
        if self.most_kept is not None and (self.kept_bytes + size > self.most_kept or room.left < size * 4):
            # It is read once more instead.
            self.let_go_of_kept()
            return
        room.take(size)
        self.kept_bytes += size
        self.kept.add(ready)

    def drop(self, table: str, size: int) -> None:
        """Let go of so many bytes of the table whose statements were kept last."""
        if self.kept is not None:
            self.kept.drop(table)
            self.file.room.give(size)
            self.kept_bytes -= size

    def let_go_of_kept(self) -> None:
        """Give the room of kept statements back."""
        if self.kept is None:
            return
        self.file.room.give(self.kept_bytes)
        self.kept_bytes = 0
        # On a full disk closing fails once more to write, and the first failure is the one to be told.
        with suppress(OSError):
            self.kept.close()
        self.kept = None


class Recorder:
    """Takes in the statements of one dump.

    `layout_for` says how a table is compared, once its shape is known. `is_same` is asked at the end of a
    table's rows whether the other side has just the same ones: then nothing of them is kept. Of tables that
    are left (`is_left`) no row is taken in.
    """

    def __init__(
        self,
        recorded: Recorded,
        digests: Digests,
        layout_for: LayoutFor,
        collations: Mapping[str, str],
        is_same: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._recorded = recorded
        self._digests = digests
        self._layout_for = layout_for
        self._collations = collations
        self._is_same = is_same
        self.is_left: Callable[[str], bool] = lambda _: False
        self._table = ""
        self._begin = 0
        # Of the table that is being read, how many bytes are kept to be shown.
        self._kept_bytes = 0
        self._cutter: Cutter | None = None

    def take(self, ready: Ready) -> None:
        """Take in the next statement."""
        recorded = self._recorded
        if ready.does == Does.TABLE:
            self.close()
            self._open(ready)
        elif ready.does == Does.ROWS and not (ready.table in recorded.uncut or ready.table in recorded.left):
            try:
                self._take_rows(ready)
            except NotCut:
                recorded.uncut.add(ready.table)
        elif ready.does == Does.SEQUENCE:
            recorded.sequences[ready.name or ready.table] = ready.text

    def close(self) -> None:
        """The rows of the table that was being read have come to an end."""
        table, recorded = self._table, self._recorded
        if not table:
            return
        if table in recorded.layouts:
            extent = Extent(self._begin, recorded.file.end)
            if table in recorded.uncut or self._is_same(table):
                recorded.file.cut(self._begin)
                recorded.drop(table, self._kept_bytes)
                if table not in recorded.uncut:
                    recorded.counts[table] = extent.rows
            else:
                recorded.extents[table] = extent
        self._table, self._cutter = "", None

    def _open(self, ready: Ready) -> None:
        recorded = self._recorded
        self._table, self._begin, self._cutter = ready.table, recorded.file.end, None
        self._kept_bytes = 0
        shape = shape_of(ready.text, self._collations)
        if shape is None:
            recorded.uncut.add(ready.table)
            return
        recorded.shapes[ready.table] = shape
        if self.is_left(ready.table):
            recorded.left.add(ready.table)
            return
        layout = self._layout_for(ready.table, shape)
        if layout is not None and layout.columns:
            recorded.layouts[ready.table] = layout
        else:
            recorded.counts[ready.table] = 0

    def _take_rows(self, ready: Ready) -> None:
        recorded, text = self._recorded, ready.text
        if ready.table != self._table:
            raise NotCut
        head = rows_of(ready)
        layout = recorded.layouts.get(ready.table)
        if layout is None:
            recorded.counts[ready.table] += count(text, head)
            return
        if self._cutter is None:
            shape = recorded.shapes[ready.table]
            columns = written_columns(shape, columns_of(text, head))
            self._cutter = Cutter(columns, layout)
            recorded.written[ready.table] = (
                columns if layout.is_as_written else [name for name in layout.columns if name in columns]
            )
        # What is told apart by all that it holds is never the same and changed.
        digested = self._digests.records if layout.key else self._digests.whole
        for rows in self._cutter.rows(text, head):
            recorded.file.append(digested(rows))
        recorded.keep(ready)
        self._kept_bytes += len(text)
