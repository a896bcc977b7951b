"""Names of tables on servers that give them all in lower case (lower_case_table_names=1). Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from backups.dumpfile.sections import Kind

# Triggers are listed by their tables. Names of routines and events stay as they are written.
_FOLDED = frozenset({Kind.TABLE, Kind.VIEW, Kind.SEQUENCE, Kind.TRIGGER})


def in_lower_case(inventory: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """An inventory as such a server would list it."""
    return {
        kind: sorted(name.lower() for name in names) if kind in _FOLDED else list(names)
        for kind, names in inventory.items()
    }


def respelled(inventory: Mapping[str, Sequence[str]]) -> list[str]:
    """The tables and views that would have another name there, sorted."""
    return sorted(name for kind in _FOLDED for name in inventory.get(kind, []) if name != name.lower())


def clashing(inventory: Mapping[str, Sequence[str]]) -> list[str]:
    """The tables and views that it would take for one with another, sorted."""
    names = [name for kind in _FOLDED - {Kind.TRIGGER} for name in inventory.get(kind, [])]
    count = Counter(name.lower() for name in names)
    return sorted(name for name in names if count[name.lower()] > 1)
