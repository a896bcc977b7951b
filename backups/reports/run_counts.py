"""How many runs there are of each kind: counted, never kept up, so that no deletion or copy puts it wrong."""

from __future__ import annotations

from collections import Counter

from django.db.models import Count

from backups import marks
from backups.models import Run

Kind = tuple[str, str]


def read(versions: marks.Versions) -> list[tuple[Kind, int]]:
    """Action and status with their number, in a fixed order; counted again where a run was written to."""
    return _KEPT.get(versions.of("backups_run"), _count)


_KEPT = marks.Kept[list[tuple[Kind, int]]]()


def _count() -> list[tuple[Kind, int]]:
    # In the order of an index, which has all that is counted: without it that takes five times as long.
    kinds = Run.objects.order_by().values_list("repository", "action", "status").annotate(Count("pk"))
    total: Counter[Kind] = Counter()
    for _, action, status, count in kinds:
        total[action, status] += count
    return sorted(total.items())
