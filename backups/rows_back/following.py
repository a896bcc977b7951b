"""Moves as they are once foreign keys have done their part: ON UPDATE CASCADE and SET NULL change rows
that are still to be moved. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from backups.rows_back.moves import Followed, Move, Row, of_child, of_parent, references_to
from backups.rows_back.ordering import FOLLOWING
from backups.rows_back.tables import Reference, Table


def as_met(moves: Sequence[Move], tables: Mapping[str, Table]) -> Iterator[Move]:
    """The moves in their order, each from the state in which its row will be found then.

    Where a foreign key has done all of it, both states of a move are the same.
    """
    rows = _Rows(moves, tables)
    for at, move in enumerate(moves):
        met = replace(move, before=rows.met(at))
        if met.before is None or met.after is None:
            yield met
        else:
            yield replace(met, followed=rows.follow(move.table, met.before, met.after))


class _Rows:
    """The states of rows that are still to be moved."""

    def __init__(self, moves: Sequence[Move], tables: Mapping[str, Table]) -> None:
        self._moves, self._tables = moves, tables
        self._changed: dict[int, Row] = {}
        self._next = 0
        self._by: dict[str, list[tuple[Table, Reference]]] = {
            name: [
                (child, reference)
                for child, reference in references_to(table, tables)
                if reference.on_update in FOLLOWING and child is not table
            ]
            for name, table in tables.items()
        }
        # The moves of children by what their rows refer to, made where one is first asked for.
        self._children: dict[tuple[str, int], _Children] = {}

    def met(self, at: int) -> Row | None:
        """In which state the row of a move is found, which comes next."""
        self._next = at + 1
        return self._changed.pop(at, self._moves[at].before)

    def follow(self, parent: Table, before: Row, after: Row) -> list[Followed]:
        """Change the children of a row that is changed, and theirs. Which are to be there, and no others."""
        found: list[Followed] = []
        for number, (child, reference) in enumerate(self._by[parent.name]):
            old, new = of_parent(before, reference, parent), of_parent(after, reference, parent)
            if old == new or old is None:
                continue
            children = self._of(parent, number, child, reference)
            pairs = list(zip(reference.columns, reference.parent_columns, strict=True))
            to_null = reference.on_update == "SET NULL"
            changes = {own: None if to_null else after.get(theirs) for own, theirs in pairs}
            numbers = set()
            for at in sorted(children.moves.pop(old, ())):
                row = self._changed.get(at, self._moves[at].before)
                if at < self._next or row is None or of_child(row, reference, child) != old:
                    continue
                self._changed[at] = {**row, **changes}
                numbers.add(self._moves[at].number)
                for each in self._children.values():
                    each.note(at, child, self._changed[at])
                found += self.follow(child, row, self._changed[at])
            values = {own: before[theirs] for own, theirs in pairs}
            found.append(Followed(child, values, len(numbers)))
        return found

    def _of(self, parent: Table, number: int, child: Table, reference: Reference) -> _Children:
        place = (parent.name, number)
        if place not in self._children:
            self._children[place] = children = _Children(child, reference)
            for at in range(self._next, len(self._moves)):
                children.note(at, self._moves[at].table, self._changed.get(at, self._moves[at].before))
        return self._children[place]


class _Children:
    """The moves of one table's rows by what they refer to."""

    def __init__(self, table: Table, reference: Reference) -> None:
        self._table, self._reference = table, reference
        self.moves: defaultdict[Hashable, set[int]] = defaultdict(set)

    def note(self, at: int, table: Table, row: Row | None) -> None:
        """A move whose row is in this state."""
        if table is self._table:
            self.moves[of_child(row, self._reference, table)].add(at)
