"""The rows that were chosen, as they are found at a moment: as they were seen, changed again, or done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from backups.differences.cutting import Cutter, NotCut, columns_of, rows_of, written_columns
from backups.differences.halves import families
from backups.differences.kept_rows import (
    AGAIN,
    AGAIN_CHOSEN,
    ALREADY,
    AS_SEEN,
    NEW,
    Change,
    KeptTable,
    Values,
)
from backups.differences.shapes import Layout, Shape, defaults_of, layout_of, shape_of
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.ready import Does, Ready
from backups.errors import Problem
from backups.text.sentences import phrase

Key = tuple[str, tuple[bytes, ...]]


class Finder:
    """Takes in a dump of tables, and finds the chosen rows in it."""

    def __init__(
        self, tables: Mapping[str, KeptTable], chosen: Sequence[Change], collations: Mapping[str, str]
    ) -> None:
        self._tables, self._collations = tables, collations
        # Without a key all columns tell rows apart, but those that came since the row was seen.
        self._columns: dict[str, set[tuple[bytes, ...]]] = {}
        for each in chosen:
            columns = tuple(name.encode() for name in tables[each.table].key) or tuple(_last_seen(each))
            self._columns.setdefault(each.table, set()).add(columns)
        self._wanted = {self._key_of(each) for each in chosen}
        self._alike = Counter(map(_alike, chosen))
        self._found: dict[Key, Values] = {}
        # Of tables without a key, how many rows there are just like a chosen one.
        self._equal: Counter[Key] = Counter()
        # Of which of these the columns that came are not all the same.
        self._unlike: set[Key] = set()
        self._shapes: dict[str, Shape] = {}
        self._layouts: dict[str, Layout] = {}
        # What a row has in a column that came since, as long as nobody wrote there.
        self._defaults: dict[str, Mapping[bytes, bytes]] = {}

    def take(self, ready: Ready) -> None:
        """Take in the next statement. Raises Problem for a table whose rows cannot be told apart any more."""
        kept = self._tables.get(ready.table)
        if kept is None:
            return
        if ready.does == Does.TABLE:
            self._open(ready, kept)
        elif ready.does == Does.ROWS:
            try:
                self._take_rows(ready, kept)
            except NotCut:
                raise _otherwise(ready.table) from None

    def close(self) -> None:
        """All was read."""

    def _open(self, ready: Ready, kept: KeptTable) -> None:
        shape = shape_of(ready.text, self._collations)
        if shape is None:
            raise _otherwise(ready.table)
        key = {name.encode() for name in kept.key}
        layout = layout_of(shape, shape)
        usable = [each for each in shape.keys if {_name(name) for name in each} == key]
        if key and not usable:
            raise _otherwise(ready.table)
        self._shapes[ready.table] = shape
        self._defaults[ready.table] = defaults_of(ready.text)
        telling = usable[0] if key else ()
        self._layouts[ready.table] = replace(
            layout, key=telling, computed=shape.generated.difference(telling)
        )

    def _take_rows(self, ready: Ready, kept: KeptTable) -> None:
        head = rows_of(ready)
        columns = written_columns(self._shapes[ready.table], columns_of(ready.text, head))
        layout = self._layouts[ready.table]
        # What the server computes may be otherwise each time, and nobody has written it.
        own = {_name(name): at for at, name in enumerate(columns) if name not in layout.computed}
        for portion in Cutter(columns, layout).whole_rows(ready.text, head):
            for _, _, values in portion:
                named = {name: values[at] for name, at in own.items()}
                for telling in self._columns.get(ready.table, ()):
                    told_by = (ready.table, tuple(named[name] for name in telling if name in named))
                    if told_by in self._wanted:
                        if self._found.setdefault(told_by, named) != named:
                            self._unlike.add(told_by)
                        self._equal[told_by] += 1

    def _key_of(self, change: Change) -> Key:
        values = _last_seen(change)
        key = [name.encode() for name in self._tables[change.table].key]
        return change.table, tuple(values[name] for name in key or values)

    def judged(self, chosen: Iterable[Change], *, with_changed_again: bool) -> list[Change]:
        """The chosen rows, each with what became of it meanwhile."""
        again = AGAIN_CHOSEN if with_changed_again else AGAIN
        return [self._with_columns_since(each, self._judged(each, again), again) for each in chosen]

    def _with_columns_since(self, seen: Change, judged: Change, again: str) -> Change:
        """The same of a row that is to go, with an eye to columns that were not known when it was seen.

        What somebody wrote there since would go with it, and of one that went nobody knows what it held.
        """
        key = self._key_of(seen)
        found = self._found.get(key)
        if judged.state != AS_SEEN or seen.now is None or seen.then is not None or found is None:
            return judged
        defaults = self._defaults[seen.table]
        written = any(
            name not in seen.now and value.strip(b"'") != defaults.get(name) for name, value in found.items()
        )
        if not written and key not in self._unlike and found.keys() >= seen.now.keys():
            return judged
        return replace(judged, state=again, third=found if self._tables[seen.table].key else seen.now)

    def _judged(self, change: Change, again: str) -> Change:
        key = self._key_of(change)
        if not self._tables[change.table].key:
            # Of equal rows none is another one, so there is no third value: there are more of them, or fewer.
            more = self._equal[key] - change.equal_now
            made = self._alike[_alike(change)] * (1 if change.kind == "gone" else -1)
            state = AS_SEEN if not more else ALREADY if more == made else again
            third = change.now
            if state == ALREADY and change.kind == "gone" and key not in self._unlike:
                third = self._found.get(key)
            return replace(change, state=state, third=third, equal_now=self._equal[key])
        found = self._found.get(key)
        if _is(found, change.now):
            return replace(change, state=AS_SEEN, now=found, third=None)
        if _is(found, change.then):
            return replace(change, state=ALREADY, third=found)
        return replace(change, state=again, third=found)


def halves_together(
    tables: Mapping[str, KeptTable], judged: Sequence[Change]
) -> tuple[list[Change], list[str]]:
    """The rows, of which halves are taken back together or not at all; and the tables where they are not.

    One transaction has changed them: somebody's, or that of a script. What it moved to another key, or
    changed in a table without one, it has taken away and made anew. Where the second is otherwise by now,
    the first would be there beside it.
    """
    of_table: dict[str, list[Change]] = {}
    for each in judged:
        of_table.setdefault(each.table, []).append(each)
    apart: dict[str, set[int]] = {}
    for name, rows in of_table.items():
        for family in families(tables[name], rows):
            if _are_apart(tables[name], family):
                apart.setdefault(name, set()).update(each.number for each in family)
    left = [_left_out(each) if each.number in apart.get(each.table, ()) else each for each in judged]
    return left, sorted(apart)


def _are_apart(table: KeptTable, family: Sequence[Change]) -> bool:
    """Whether only some of the halves of rows would be taken back."""
    states = {each.state for each in family}
    if states <= {ALREADY}:
        return False
    if AGAIN in states:
        return True
    # Where equal rows are counted, one that seems to be done may as well have been changed again. By its
    # key one that is gone by now may have been moved on; one that is back is there, whoever made it.
    return any(each.state == ALREADY and (not table.key or each.kind == NEW) for each in family)


def _left_out(change: Change) -> Change:
    if change.state != AS_SEEN:
        return replace(change, state=AGAIN)
    return replace(change, state=AGAIN, third=change.now)


class Looked(NamedTuple):
    """The tables of a script, its rows as it takes them for granted, and as they are found after all."""

    tables: Mapping[str, KeptTable]
    made: Sequence[Change]
    found: Sequence[Change]


def _is(found: Values | None, wanted: Values | None) -> bool:
    """Whether a row is as wanted, in the columns that there were then and are now."""
    if found is None or wanted is None:
        return found is wanted
    return all(found.get(name, value) == value for name, value in wanted.items())


def _last_seen(change: Change) -> Values:
    """A row as it is, or was where it is gone."""
    return change.now if change.now is not None else change.then or {}


def bears(change: Change) -> bool:
    """Whether a row that was looked at bears what a script made of it, whatever else became of it since."""
    then, now, found = change.then, change.now, change.third
    if change.state == ALREADY:
        return True
    if then is None or found is None:
        return False
    return now is None or any(then[name] != now.get(name) and found.get(name) == then[name] for name in then)


def as_left(looked: Looked, by_triggers: Collection[str]) -> list[Change]:
    """The changes that a script has made, with its rows as it left them: its undo expects them so.

    `by_triggers` are the tables whose rows triggers may have changed. In others, what is otherwise was
    written by somebody else, and no undo is to take it for ours.
    """
    tables, made, looked_at = looked
    # Those that came since are among them, and those that went are not.
    columns = {each.table: tuple(each.now) for each in made if each.now is not None}
    columns |= {each.table: tuple(each.third) for each in looked_at if each.third is not None}
    left = []
    for change, there in zip(made, looked_at, strict=True):
        then, found = change.then, there.third
        if not tables[change.table].key:
            # Of equal ones the number is known, and what came since where that is the same too.
            then = found if then is not None and found is not None else then
        elif (
            then is not None and found is not None and (there.state == ALREADY or change.table in by_triggers)
        ):
            then = found
        elif then is not None:
            before = change.now or {}
            names = columns.get(change.table, tuple(then))
            then = {name: then.get(name, before.get(name, b"NULL")) for name in names}
        left.append(replace(change, then=then))
    return left


def with_others_columns(judged: Iterable[Change]) -> list[Change]:
    """Rows that were changed again get back only the columns that were changed at first.

    What others wrote into other columns since is theirs, and no part of what is taken back.
    """
    return [_with_others(each) if each.state == AGAIN_CHOSEN else each for each in judged]


def _with_others(change: Change) -> Change:
    then, now, found = change.then, change.now, change.third
    if then is None or now is None or found is None:
        return change
    kept = {name: value for name, value in found.items() if name in then and then[name] == now.get(name)}
    wanted = {**then, **kept}
    return replace(change, then=wanted, state=ALREADY if _is(found, wanted) else change.state)


def lost_columns(made: Iterable[Change]) -> dict[str, list[str]]:
    """Columns that changed rows had then and have no more, by table: what they held does not come back."""
    lost: dict[str, dict[bytes, None]] = {}
    for each in made:
        if each.then is not None and each.found is not None:
            lost.setdefault(each.table, {}).update(dict.fromkeys(set(each.then) - set(each.found)))
    return {
        table: sorted(name.decode(errors="replace") for name in names)
        for table, names in lost.items()
        if names
    }


def inverted(changes: Iterable[Change]) -> list[Change]:
    """What undoes these changes, once they were made."""
    made = [each for each in changes if each.state in (AS_SEEN, AGAIN_CHOSEN)]
    alike = Counter(map(_alike, made))
    return [
        Change(
            each.table,
            each.number,
            each.found,
            each.then,
            # As many of a table with a key are one row, which is told by that.
            each.equal_now + (alike[_alike(each)] if each.kind == "gone" else -alike[_alike(each)]),
        )
        for each in made
    ]


def _alike(change: Change) -> tuple[str, str, tuple[bytes, ...]]:
    return change.table, change.kind, tuple((change.then or change.now or {}).values())


def _name(name: bytes) -> bytes:
    return unquoted(name).encode(errors="surrogateescape")


def _otherwise(table: str) -> Problem:
    return Problem(
        phrase("Table {table} is not defined any more as it was when its rows were compared.", table=table),
        code="rows.defined_otherwise",
        do=phrase("Compare again, and choose the rows there."),
    )
