"""In which order rows are moved, so that unique keys and foreign keys hold after each. Pure.

What stands in the way of what is found by the values of rows: a key that one row gives up before another
takes it, a parent that comes before its children and goes after them. Where rows wait for one another in a
circle, one of them is moved in two steps.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from backups.errors import Problem
from backups.rows_back.moves import (
    Move,
    Row,
    of_child,
    of_key,
    of_parent,
    parent_of,
    references_to,
    with_null,
)
from backups.rows_back.tables import Reference, Table, Unique
from backups.text.sentences import phrase

# Rules by which children follow a parent whose key is changed.
FOLLOWING = ("CASCADE", "SET NULL")
# So often one row of each circle is moved in two steps; then all that are in one are.
_ONE_BY_ONE = 8


_ByValue = defaultdict[Hashable, list[int]]
_Told = Callable[[Row | None], Hashable]


class _Wait(NamedTuple):
    """Why one move waits for another: the columns that the first gives up or the second takes."""

    gives_up: Sequence[bytes] = ()
    takes: Sequence[bytes] = ()
    is_unique: bool = False


def in_order(moves: Sequence[Move], tables: Mapping[str, Table]) -> list[Move]:
    """The moves in an order in which each can be made. Raises Problem where there is none."""
    moves, ranks = list(moves), _ranks(tables)
    # The second half of a move that was divided, by the first.
    halves: dict[int, int] = {}
    for at, move in enumerate([*moves]):
        if (between := _without_itself(move, tables)) is not None:
            _divide(moves, halves, at, between)
    for attempt in range(2 * _ONE_BY_ONE):
        waits = _Waits(moves, tables, halves)
        order, left = waits.order(ranks)
        if not left:
            return [moves[at] for at in order]
        for circle in waits.circles(left):
            states = list(_between(circle, waits).items())
            if not states:
                raise _no_order(moves, circle)
            for at, row in states if attempt >= _ONE_BY_ONE else states[:1]:
                _divide(moves, halves, at, row)
    raise _no_order(moves, sorted(left))


def _divide(moves: list[Move], halves: dict[int, int], at: int, between: Row | None) -> None:
    moves[at], second = moves[at].by_way_of(between)
    halves[at] = len(moves)
    moves.append(second)


def _without_itself(move: Move, tables: Mapping[str, Table]) -> Row | None:
    """A row without its reference to itself, for which InnoDB would keep it; None where it has none."""
    table, before = move.table, move.before
    for reference in table.references:
        if before is None or parent_of(reference, tables) is not table:
            continue
        itself = of_parent(before, reference, table)
        is_kept = itself is not None and itself != of_parent(move.after, reference, table)
        if is_kept and itself == of_child(before, reference, table) and reference.on_delete != "CASCADE":
            return with_null(before, reference.columns, table)
    return None


class _Waits:
    """Which moves wait for which, and why."""

    def __init__(self, moves: Sequence[Move], tables: Mapping[str, Table], halves: Mapping[int, int]) -> None:
        self.moves, self.tables = moves, tables
        self.divided = {*halves, *halves.values()}
        self.why: dict[tuple[int, int], _Wait] = {}
        self._later: defaultdict[int, list[int]] = defaultdict(list)
        self._of: defaultdict[str, list[int]] = defaultdict(list)
        for at, move in enumerate(moves):
            self._of[move.table.name].append(at)
        for first, second in halves.items():
            self._wait(first, second, _Wait())
        for name in self._of:
            for unique in tables[name].uniques:
                self._for_keys(name, unique)
            for reference in tables[name].references:
                self._for_parents(name, reference)

    def _wait(self, first: int, second: int, why: _Wait) -> None:
        if first != second and (first, second) not in self.why:
            self.why[first, second] = why
            self._later[first].append(second)

    def _for_keys(self, name: str, unique: Unique) -> None:
        table = self.tables[name]
        given_up, taken = self._changes(name, lambda row: of_key(row, unique, table))
        for key in given_up.keys() & taken.keys():
            for first in given_up[key]:
                for second in taken[key]:
                    self._wait(first, second, _Wait(unique.columns, unique.columns, is_unique=True))

    def _for_parents(self, name: str, reference: Reference) -> None:
        table, parent = self.tables[name], parent_of(reference, self.tables)
        if parent is None or parent.name not in self._of:
            return
        gone, come = self._changes(parent.name, lambda row: of_parent(row, reference, parent))
        left, referred = self._changes(name, lambda row: of_child(row, reference, table))
        follows = reference.on_update in FOLLOWING and parent is not table
        for key in come.keys() & referred.keys():
            for first in come[key]:
                for second in referred[key]:
                    self._wait(first, second, _Wait(takes=reference.columns))
        for key in left.keys() & gone.keys():
            for first in left[key]:
                for second in gone[key]:
                    if not (follows and self.moves[second].phase == 1):
                        self._wait(first, second, _Wait(gives_up=reference.columns))

    def _changes(self, name: str, told: _Told) -> tuple[_ByValue, _ByValue]:
        """The moves that give up a value, and those that take one, by what it is."""
        given_up: _ByValue = defaultdict(list)
        taken: _ByValue = defaultdict(list)
        for at in self._of[name]:
            before, after = told(self.moves[at].before), told(self.moves[at].after)
            if before != after:
                if before is not None:
                    given_up[before].append(at)
                if after is not None:
                    taken[after].append(at)
        return given_up, taken

    def order(self, ranks: Mapping[str, int]) -> tuple[list[int], set[int]]:
        """The moves that can be made, in their order, and those that wait for one another."""
        waiting: defaultdict[int, int] = defaultdict(int)
        for _, second in self.why:
            waiting[second] += 1

        def entry(at: int) -> tuple[int, int, int]:
            move = self.moves[at]
            rank = ranks[move.table.name]
            return move.phase, -rank if move.phase == 0 else rank, at

        ready = [entry(at) for at in range(len(self.moves)) if not waiting[at]]
        heapq.heapify(ready)
        made: list[int] = []
        while ready:
            at = heapq.heappop(ready)[-1]
            made.append(at)
            for later in self._later[at]:
                waiting[later] -= 1
                if not waiting[later]:
                    heapq.heappush(ready, entry(later))
        return made, set(range(len(self.moves))) - set(made)

    def circles(self, left: Collection[int]) -> Iterator[list[int]]:
        """Circles of moves of which each waits for the one before it, none of them in two."""
        before: dict[int, int] = {}
        for first, second in self.why:
            if first in left and second in left:
                before[second] = first
        seen: dict[int, int] = {}
        for start in sorted(before):
            path, at = [], start
            while at not in seen:
                seen[at] = start
                path.append(at)
                at = before[at]
            if seen[at] == start:
                yield path[path.index(at) :][::-1]

    def is_referred_to(self, table: Table) -> bool:
        """Whether rows of others may refer to a row of it."""
        return next(references_to(table, self.tables), None) is not None


def _between(circle: Sequence[int], waits: _Waits) -> dict[int, Row | None]:
    """The moves of a circle that can be made in two steps, each with the state between them."""
    found: dict[int, Row | None] = {}
    for place, at in enumerate(circle):
        if at in waits.divided:
            continue
        before, after = circle[place - 1], circle[(place + 1) % len(circle)]
        move = waits.moves[at]
        for between in _ways(move, waits.why[before, at], waits.why[at, after], waits):
            found[at] = between
            break
    return found


def _ways(move: Move, earlier: _Wait, later: _Wait, waits: _Waits) -> Iterator[Row | None]:
    """States between: without what the next waits for, or without what the one before is waited for."""
    for row, columns in ((move.before, later.gives_up), (move.after, earlier.takes)):
        between = with_null(row, columns, move.table) if row else None
        if between is not None and between not in (move.before, move.after):
            yield between
    if later.is_unique and move.phase == 1 and not waits.is_referred_to(move.table):
        yield None


def _ranks(tables: Mapping[str, Table]) -> dict[str, int]:
    """The tables' places, parents before children where they are in no circle."""
    ranks: dict[str, int] = {}
    begun: set[str] = set()
    for name in tables:
        todo = [(name, False)]
        while todo:
            name, is_over = todo.pop()
            if is_over:
                ranks[name] = len(ranks)
            elif name not in begun:
                begun.add(name)
                todo.append((name, True))
                parents = (parent_of(reference, tables) for reference in tables[name].references)
                todo += [(parent.name, False) for parent in parents if parent and parent.name not in begun]
    return ranks


def _no_order(moves: Sequence[Move], circle: Sequence[int]) -> Problem:
    names = sorted({moves[at].table.name for at in circle})
    return Problem(
        phrase(
            "Rows of {tables} wait for one another: each can be given back only after the other.",
            tables=", ".join(names),
        ),
        code="rows_back.no_order",
        safe=phrase("Nothing was changed."),
        do=phrase("Choose fewer rows, or restore the table."),
    )
