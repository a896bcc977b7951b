"""Two dumps of a database compared: the later one is read first, then of the earlier one what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

from backups.differences.held import CAME, GONE, Held, Object, changes, other_rows, unlike
from backups.differences.recording import LayoutFor, Recorded, Recorder
from backups.differences.result import NO_COLUMN, NOT_CUT, NOT_READ, Differences, TableDifference
from backups.differences.rowfile import ByKey, Digests, Room, RowFile, compared
from backups.differences.shapes import Layout, Shape, layout_of, shape_of
from backups.differences.shown import MOST_SHOWN
from backups.dumpfile.digesting import Digester
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.ready import Ready
from backups.dumpfile.sections import Kind

Tick = Callable[[], None]
# Of all tables together, held in memory: some hundred bytes each.
MOST_PICKED = 500_000


@dataclass(frozen=True)
class Defined:
    """How a dump's tables and events are defined, as it is written there: more than a manifest tells."""

    tables: Mapping[str, Shape] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, digester: Digester, collations: Mapping[str, str]) -> Defined:
        """Of a dump that was read to its end."""
        tables: dict[str, Shape] = {}
        events: dict[str, str] = {}
        for section in digester.tables_and_events():
            if section.kind == Kind.EVENT:
                events[section.name] = section.event_digest()
            elif shape := shape_of(section.definition, collations):
                tables[section.name] = shape
        return cls(tables, events)


@dataclass
class Comparison:
    """What was learned so far of two dumps. Its files are open for the length of `comparison`.

    `defined_before` is known where it was read before the rows, else nothing that it tells differs.
    """

    before: Recorded
    after: Recorded
    digests: Digests = field(default_factory=Digests)
    defined_before: Defined = field(default_factory=Defined)
    defined_after: Defined = field(default_factory=Defined)
    # Tables that a dump holds, and whose rows none does.
    unread: set[str] = field(default_factory=set)
    # Some keys of which rows differ, where somebody asked for rows: of each table and of all at most so many.
    is_asked: bool = False
    most_picked: int = MOST_SHOWN
    most_of_all: int = MOST_PICKED
    picked: dict[str, dict[bytes, tuple[int, int]]] = field(default_factory=dict)

    def reader_of_after(
        self, held: Held, digester: Digester, layout_for: LayoutFor | None = None
    ) -> Recorder:
        """Takes in the later dump, which `digester` digests. Of rows that the earlier one `held` too none are
        kept. `layout_for` is known where both are read at once."""

        def layout(table: str, shape: Shape) -> Layout | None:
            # Whose definition was not read has the same one.
            return layout_of(self.defined_before.tables.get(table, shape), shape)

        def layout_of_both(table: str, shape: Shape) -> Layout | None:
            return (layout_for or layout)(table, shape) if table in held.tables else None

        def is_same(table: str) -> bool:
            section = digester.rows_of(table)
            digest = section.as_json({})["sha256"] if section is not None and not section.is_empty else None
            return digest == held.rows.get(table)

        return Recorder(self.after, self.digests, layout_of_both, held.collations, is_same)

    def reader_of_before(self, held: Held, layout_for: LayoutFor | None = None) -> Recorder:
        """Takes in the earlier dump, each table as the later one's was, or is by `layout_for`."""

        def layout(table: str, _: Shape) -> Layout | None:
            return self.after.layouts.get(table)

        return Recorder(self.before, self.digests, layout_for or layout, held.collations)

    def readers_of_left(self, held: Held) -> tuple[Recorder, Recorder]:
        """Take in what was left to a server, of the earlier dump and of the later one: there is none."""
        shapes = self.before.shapes, self.after.shapes
        for side in (self.before, self.after):
            side.left.clear()

        def layout(table: str, _: Shape) -> Layout | None:
            then, now = (of_side.get(table) for of_side in shapes)
            return layout_of(then, now) if then is not None and now is not None else None

        before, after = (
            Recorder(side, self.digests, layout, held.collations) for side in (self.before, self.after)
        )
        return before, after

    def begin_again(self) -> None:
        """Let go of all that was learned of either side."""
        self.close_kept()
        for side in (self.before, self.after):
            side.file.cut(0)
        self.before, self.after = Recorded(self.before.file), Recorded(self.after.file)
        self.unread.clear()

    def wanted_of_before(self, before: Held, after: Held) -> set[str]:
        """Of which tables and sequences the earlier dump is to be read: none where nothing differs."""
        kept = set(self.after.extents) | (before.tables - after.tables)
        return (kept & other_rows(before, after)) | unlike(before, after, [Kind.SEQUENCE])

    # ------------------------------------------------------------ What was found

    def found(self, before: Held, after: Held, tick: Tick) -> Differences:
        """What differs, once both were read. Raises Problem for no room, what `tick` raises."""
        names = sorted(before.tables | after.tables)
        differ = other_rows(before, after)
        tables = [self._of(table, before, after, tick) for table in names if table in differ]
        differing = [each for each in tables if each is not None]
        return Differences(
            tables=differing,
            objects=changes(before, after, self._is_same),
            same_tables=len(before.tables & after.tables) - sum(not each.change for each in differing),
            left_out=sorted(before.left_out | after.left_out),
        )

    def _is_same(self, each: Object) -> bool:
        """Whether an object with another digest is defined as before: its number or place is not."""
        if each.kind == Kind.TABLE:
            shapes = [side.tables.get(each.name) for side in (self.defined_before, self.defined_after)]
            return None not in shapes and len({shape.digest for shape in shapes if shape}) == 1
        if each.kind == Kind.SEQUENCE:
            made = {side.sequences.get(each.name) for side in (self.before, self.after)}
            return None not in made and len(made) == 1
        if each.kind == Kind.EVENT:
            digests = {side.events.get(each.name) for side in (self.defined_before, self.defined_after)}
            return None not in digests and len(digests) == 1
        return False

    def _of(self, table: str, before: Held, after: Held, tick: Tick) -> TableDifference | None:
        then, now = self.before.rows(table), self.after.rows(table)
        change = CAME if table not in before.tables else GONE if table not in after.tables else ""
        if change and then is None and now is None:
            return self._not(table, change)
        if change:
            return TableDifference(table, change, then or 0, now or 0, 0, then, now)
        layout = self.after.layouts.get(table)
        extents = self.before.extents.get(table), self.after.extents.get(table)
        if layout is None or extents[0] is None or extents[1] is None:
            return self._not(table)
        written = [side.written[table] for side in (self.before, self.after) if table in side.written]
        if written and written[0] != written[-1]:
            # As of a dump program that leaves columns out.
            return self._not(table, why=NOT_CUT)
        sides = (self.before.file, extents[0]), (self.after.file, extents[1])
        counts = compared(*sides, tick, partial(self.pick, table))
        if layout.is_whole and not any(counts):
            return None
        return TableDifference(
            table, "", *counts, then, now, [unquoted(name) for name in layout.key], layout.is_key_new,
            layout.came, layout.gone, layout.retyped,
            columns_computed=sorted(map(unquoted, layout.computed)), columns_rounded=layout.rounded,
        )  # fmt: skip

    def pick(self, table: str, gone: ByKey, new: ByKey) -> None:
        """Note some of the keys of which rows differ, to show these, where that is asked for."""
        if not self.is_asked or not (gone or new):
            return
        picked = self.picked.setdefault(table, {})
        room = min(self.most_picked - len(picked), self.most_of_all)
        some = {key: (gone[key], new[key]) for key in sorted({*gone, *new})[: max(room, 0)]}
        self.most_of_all -= len(some)
        picked.update(some)

    def kept_of_picked(self, side: Recorded, tick: Tick) -> Iterator[Ready]:
        """What was kept of tables of which rows are to be shown. Raises what `tick` raises."""
        if side.kept is None:
            return
        for table in self.picked:
            for ready in side.kept.statements(table):
                tick()
                yield ready

    def close_kept(self) -> None:
        """Give the room of kept statements back."""
        for side in (self.before, self.after):
            side.let_go_of_kept()

    def _not(self, table: str, change: str = "", why: str = "") -> TableDifference:
        if table in self.unread:
            why = NOT_READ
        elif not why:
            why = NOT_CUT if table in self.before.uncut | self.after.uncut else NO_COLUMN
        then, now = self.before.rows(table), self.after.rows(table)
        return TableDifference(table, change, rows_before=then, rows_after=now, why_not=why)


@contextmanager
def comparison(folder: str, most: int = 0) -> Iterator[Comparison]:
    """A comparison, whose files lie in `folder` for the length of a block, with `most` bytes together.

    Without a folder, what may lie among the temporary files is little. Raises Problem where there is no room.
    """
    room = Room(folder, most)
    with ExitStack() as opened:
        before, after = (opened.enter_context(closing(RowFile(room))) for _ in range(2))
        found = Comparison(Recorded(before), Recorded(after))
        opened.callback(found.close_kept)
        yield found
