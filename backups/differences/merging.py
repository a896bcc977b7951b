"""Kept rows of several changes, one after the other in time, made into those of one that takes them all back.

As if each was taken back after the other, the newest first: where a row was changed between two of them by
something else, the newer one is taken back, and the older one would meet a row that it does not know. A row
that was moved is one that is gone and one that is new: none of the two is left out without the other
(`halves`). Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from backups.differences.halves import families
from backups.differences.kept_rows import Change, KeptTable, Values

# What tells a row of a table apart: the values of its key, or all of them.
Told = tuple[bytes, ...]
_T = TypeVar("_T", bound=Hashable)


class Part(NamedTuple):
    """The rows that one change kept of a table."""

    table: KeptTable
    rows: Sequence[Change]


@dataclass
class Merged:
    """The tables and rows of all, and of how many rows an older change is left out, by table."""

    tables: list[KeptTable] = field(default_factory=list)
    rows: list[Change] = field(default_factory=list)
    between: Counter[str] = field(default_factory=Counter)


def merged(parts: Iterable[Iterable[Part]]) -> Merged:
    """The rows of changes whose parts are given the newest first. Each table has to be defined alike in all.

    `number` is given anew.
    """
    of_table: dict[str, _OfTable] = {}
    for change in parts:
        for part in change:
            with_key = bool(part.table.key)
            known = of_table.setdefault(
                part.table.name, _ByKey(part.table) if with_key else _Counted(part.table)
            )
            known.take(part)
    found = Merged()
    for name in sorted(of_table):
        known = of_table[name]
        rows = [replace(row, number=len(found.rows) + at) for at, row in enumerate(known.rows(), 1)]
        found.rows += rows
        if known.between:
            found.between[name] = known.between
        if rows:
            kinds = Counter(row.kind for row in rows)
            found.tables.append(
                replace(known.table, gone=kinds["gone"], new=kinds["new"], changed=kinds["changed"])
            )
    return found


class _OfTable:
    """What is known of a table so far: the rows of newer changes."""

    def __init__(self, table: KeptTable) -> None:
        self.table = table
        # Of rows that something else changed between two of the changes, how many changes are left out.
        self.between = 0

    def take(self, part: Part) -> None:
        """Those of the next older one."""
        raise NotImplementedError

    def rows(self) -> Iterator[Change]:
        """All that are to be taken back."""
        raise NotImplementedError


class _ByKey(_OfTable):
    """Rows that a key tells apart: each is followed from one change to the next."""

    def __init__(self, table: KeptTable) -> None:
        super().__init__(table)
        self._key = [name.encode() for name in table.key]
        self._rows: dict[Told, Change] = {}
        self._cut: set[Told] = set()

    def take(self, part: Part) -> None:
        rows = {self._told(each): each for each in part.rows}
        cut = {told for told, each in rows.items() if self._is_cut(told, each)}
        cut |= _with_halves(part, cut, self._told)
        self._cut |= cut
        self.between += len(cut)
        for told, each in rows.items():
            if told not in cut:
                newer = self._rows.get(told)
                self._rows[told] = each if newer is None else replace(newer, then=each.then)

    def _told(self, change: Change) -> Told:
        values = change.now if change.now is not None else change.then or {}
        return tuple(values[name] for name in self._key)

    def _is_cut(self, told: Told, change: Change) -> bool:
        newer = self._rows.get(told)
        return told in self._cut or (newer is not None and newer.then != change.now)

    def rows(self) -> Iterator[Change]:
        return (each for each in self._rows.values() if each.then != each.now)


def _with_halves(part: Part, cut: set[_T], told: Callable[[Change], _T]) -> set[_T]:
    """What is left out with these: what may be the other half of one."""
    if not cut:
        return set()
    of_all = [{told(each) for each in family} for family in families(part.table, part.rows)]
    return {one for family in of_all if not family.isdisjoint(cut) for one in family}


def _whole(change: Change) -> frozenset[tuple[bytes, bytes]]:
    return frozenset((change.then or change.now or {}).items())


@dataclass
class _Alike:
    """Rows that hold the same: how many come back (fewer than none go), and how many there are and were."""

    values: Values
    back: int
    now: int
    then: int


class _Counted(_OfTable):
    """Rows without a key: of those that hold the same it is counted how many there are."""

    def __init__(self, table: KeptTable) -> None:
        super().__init__(table)
        self._alike: dict[frozenset[tuple[bytes, bytes]], _Alike] = {}
        self._cut: set[frozenset[tuple[bytes, bytes]]] = set()

    def take(self, part: Part) -> None:
        back: Counter[frozenset[tuple[bytes, bytes]]] = Counter()
        one: dict[frozenset[tuple[bytes, bytes]], Change] = {}
        for each in part.rows:
            told = _whole(each)
            back[told] += 1 if each.now is None else -1
            one[told] = each
        cut = {told for told, each in one.items() if self._is_cut(told, each)}
        cut |= _with_halves(part, cut, _whole)
        self._cut |= cut
        self.between += sum(abs(back[told]) for told in cut)
        for told in (told for told in back if told not in cut):
            change, count = one[told], back[told]
            known = self._alike.setdefault(
                told, _Alike(change.then or change.now or {}, 0, change.equal_now, change.equal_now)
            )
            known.back += count
            known.then += count

    def _is_cut(self, told: frozenset[tuple[bytes, bytes]], change: Change) -> bool:
        newer = self._alike.get(told)
        return told in self._cut or (newer is not None and newer.then != change.equal_now)

    def rows(self) -> Iterator[Change]:
        for each in self._alike.values():
            comes = each.back > 0
            for _ in range(abs(each.back)):
                yield Change(
                    self.table.name,
                    0,
                    each.values if comes else None,
                    None if comes else each.values,
                    each.now,
                )
