"""How many runs there are of each kind, counted again only of the databases whose runs changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from django.db.models import Count, F

from backups import marks
from backups.models import Database, Run

Kind = tuple[str, str]


class _Held(NamedTuple):
    """By the number of a group of databases, and of which versions of these."""

    groups: Sequence[object]
    counts: Mapping[int, Mapping[Kind, int]]


# Of this process, put in its place as a whole.
_held: list[_Held] = []


def read(versions: marks.Versions) -> list[tuple[Kind, int]]:
    """Action and status with their number, in a fixed order."""
    known = _held[0] if _held else _Held([None] * marks.GROUPS, {})
    changed = marks.changed(known.groups, versions.groups)
    same = {group: kinds for group, kinds in known.counts.items() if group not in changed}
    counts = {**same, **_counted(changed)} if changed else known.counts
    _held[:] = [_Held(versions.groups, counts)]
    # Those of no database leave no mark by which they could be kept, and are few.
    of_none = Run.objects.filter(database=None).order_by().values_list("action", "status")
    total: Counter[Kind] = Counter()
    for kinds in (*counts.values(), {(a, s): n for a, s, n in of_none.annotate(Count("pk"))}):
        total.update(kinds)
    return sorted(total.items())


def _counted(groups: Collection[int]) -> dict[int, Counter[Kind]]:
    runs = Run.objects.exclude(database=None)
    if len(groups) < marks.GROUPS:
        databases = Database.objects.annotate(group=F("pk") % marks.GROUPS).filter(group__in=groups)
        # Through the index of their newest ones, which has all that is counted.
        runs = Run.objects.filter(database__in=databases.order_by().values("pk"))
    # Of each database, as an index has them: to sort all runs by groups takes many times as long.
    kinds = runs.order_by().values_list("database", "action", "status")
    counts: dict[int, Counter[Kind]] = defaultdict(Counter)
    for database, action, status, count in kinds.annotate(Count("pk")):
        if database is not None:
            counts[marks.group_of(database)][action, status] += count
    return dict(counts)
