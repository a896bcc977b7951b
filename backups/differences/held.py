"""What two manifests say of their dumps, side by side: what came, is gone, has another digest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from backups.dumpfile.sections import ROUTINES, Kind

# What is told of one by one. A view's placeholder, a header and a footer say nothing of their own.
_OBJECTS = frozenset(
    {Kind.TABLE, Kind.VIEW, Kind.SEQUENCE, Kind.TRIGGER, Kind.EVENT, Kind.LIBRARY, *ROUTINES}
)
# What versions that knew no libraries cut in other places.
_OF_LIBRARIES = frozenset({Kind.LIBRARY, *ROUTINES})
_OF_TABLES = frozenset({Kind.TABLE, Kind.SEQUENCE})
CAME, GONE, CHANGED = "came", "gone", "changed"


class Object(NamedTuple):
    """Something that a dump holds; a trigger with the table that it is of."""

    kind: str
    name: str
    table: str = ""


@dataclass(frozen=True)
class Change:
    """What became of an object: it came, is gone or is defined otherwise."""

    object: Object
    change: str


class Held:
    """What a dump holds by its manifest: a digest of each object, and of each table's rows.

    With `chosen` tables nothing but these counts, with their triggers. Kinds in `without` do not count.
    """

    def __init__(
        self, manifest: Mapping[str, Any], chosen: Collection[str] = (), *, without: Collection[str] = ()
    ) -> None:
        self.manifest = manifest
        self.objects: dict[Object, list[str]] = {}
        self.rows: dict[str, str] = {}
        # Tables and views that the database had and the dump has not.
        self.left_out = {
            left["table"]
            for left in manifest.get("not_in_backup", [])
            if left["table"] and _is_chosen(left["table"], chosen)
        }
        for section in manifest["sections"]:
            kind, name, table = section["kind"], section["name"], str(section.get("table", ""))
            if kind == Kind.ROWS and _is_chosen(name, chosen):
                self.rows[name] = section["sha256"]
            elif kind in _OBJECTS and kind not in without and _is_meant(kind, name, table, chosen):
                self.objects.setdefault(Object(kind, name, table), []).append(section["sha256"])

    @property
    def tables(self) -> set[str]:
        """The names of all tables."""
        return {each.name for each in self.objects if each.kind == Kind.TABLE}

    @property
    def collations(self) -> dict[str, str]:
        """With what digests of table definitions were made."""
        return dict(self.manifest.get("collations", {}))


def _is_meant(kind: str, name: str, table: str, chosen: Collection[str]) -> bool:
    if not chosen:
        return True
    return (kind in _OF_TABLES and name in chosen) or (kind == Kind.TRIGGER and table in chosen)


def _is_chosen(name: str, chosen: Collection[str]) -> bool:
    return not chosen or name in chosen


def changes(before: Held, after: Held, is_same: Callable[[Object], bool]) -> list[Change]:
    """What became of objects, by kind and name; `is_same` is asked of those with another digest than before.

    What one side has left out is not known to be gone, or to have come. Nor is what `libraries_unknown` says.
    """
    found = []
    unknown = _OF_LIBRARIES if libraries_unknown(before, after) else frozenset()
    for each in sorted({*before.objects, *after.objects}):
        if each.kind in unknown:
            continue
        then, now = before.objects.get(each), after.objects.get(each)
        change = CAME if then is None else GONE if now is None else CHANGED
        lacking = {CAME: before.left_out, GONE: after.left_out}.get(change, set())
        if then == now or each.name in lacking:
            continue
        if change != CHANGED or not is_same(each):
            found.append(Change(each, change))
    return found


def libraries_unknown(before: Held, after: Held) -> bool:
    """Whether the earlier manifest may be of a version that knew no libraries, and the later one has some.

    Such a version counted libraries to the routines beside them, so the digests of both say nothing.
    """
    had, has = (any(each.kind == Kind.LIBRARY for each in side.objects) for side in (before, after))
    return has and not had


def unlike(before: Held, after: Held, kinds: Iterable[str]) -> set[str]:
    """The names of what of these kinds both have, with another digest."""
    return {
        each.name
        for each in before.objects.keys() & after.objects.keys()
        if each.kind in set(kinds) and before.objects[each] != after.objects[each]
    }


def other_rows(before: Held, after: Held) -> set[str]:
    """Tables whose rows are written otherwise, and those that one side alone has."""
    both = before.tables & after.tables
    differ = {table for table in both if before.rows.get(table) != after.rows.get(table)}
    return (
        differ
        | (before.tables - after.tables - after.left_out)
        | (after.tables - before.tables - before.left_out)
    )
