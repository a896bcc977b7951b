"""How a repository grows, and when its disk is full at this rate, from what runs measured.

The worker measures once a night, and whenever somebody asks for the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median

from django.utils import timezone

from backups.choices import Action, Status
from backups.models import Repository, Run

Measured = Sequence[tuple[datetime, int]]

DAYS = 30
_MEASURING = (Action.FORGET, Action.PRUNE, Action.STATS)
# After each backup there may be a forget, of which few measure.
_MOST_RUNS = 5000
# Below, chance decides: what was just pruned, or a night's one large file.
_LEAST_SPAN = timedelta(days=3)
_DAY = timedelta(days=1)
# Later than that nobody plans, and dates end somewhere.
_MOST_DAYS = 3650


@dataclass(frozen=True)
class Growth:
    """What was measured of a repository in these days, a value a day, the oldest first."""

    sizes: Measured
    free: Measured

    @property
    def bytes_a_day(self) -> float | None:
        """By how much it grows each day, less than nothing where it shrinks; None where that is not known."""
        return slope(self.sizes)


def read(repository: Repository, now: datetime) -> Growth:
    """What was measured by `now`."""
    runs = Run.objects.filter(
        repository=repository,
        action__in=_MEASURING,
        status=Status.SUCCEEDED,
        finished_at__gt=now - DAYS * _DAY,
        finished_at__lte=now,
    )
    sizes: dict[object, tuple[datetime, int]] = {}
    free: dict[object, tuple[datetime, int]] = {}
    for at, result in runs.order_by("finished_at").values_list("finished_at", "result")[:_MOST_RUNS]:
        if at is None or not isinstance(result, dict):
            continue
        for name, found in (("size_bytes", sizes), ("disk_free_bytes", free)):
            value = result.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                found[timezone.localdate(at)] = (at, value)
    return Growth(list(sizes.values()), list(free.values()))


def slope(points: Measured) -> float | None:
    """By how much a value changes each day: the median of what each two say, which one odd day does not move.

    None where the points lie too close together to tell.
    """
    if len(points) < 3 or points[-1][0] - points[0][0] < _LEAST_SPAN:
        return None
    return median(
        (later - earlier) / ((then - at) / _DAY)
        for (at, earlier), (then, later) in combinations(points, 2)
        if then > at
    )


def full_at(free: Measured) -> datetime | None:
    """When nothing is free any more at the rate of these days; None where it does not become less."""
    rate = slope(free)
    if rate is None or rate >= 0:
        return None
    at, left = free[-1]
    days = left / -rate
    return None if days > _MOST_DAYS else at + days * _DAY
