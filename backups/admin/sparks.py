"""How the size of a database's dumps went in the last weeks, as a small line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone
from django.utils.translation import get_language

from backups import marks
from backups.admin.filters import start_of
from backups.admin.strips import DAYS, last_days
from backups.models import Database, Snapshot
from backups.text import formatting
from backups.text.sentences import phrase

# In units of the drawing; its lowest point is a dump of no size.
_HEIGHT, _STEP, _MARGIN = 20, 4, 2
WIDTH = _STEP * (DAYS - 1) + 2 * _MARGIN


@dataclass(frozen=True)
class Spark:
    """A line of points, empty where nothing is known, and what it says in words."""

    points: str
    words: str
    width: int = WIDTH
    height: int = _HEIGHT + 2 * _MARGIN


def sparks_of(databases: Sequence[Database], now: datetime, versions: marks.Versions) -> dict[int, Spark]:
    """Of each database the newest dump of each of thirty days; in one query for those that are not kept."""
    days = last_days(now)
    version = versions.of("backups_snapshot"), days[-1], get_language()
    return _KEPT.get(version, [each.pk for each in databases], lambda keys: _read(keys, days, now))


_KEPT = marks.KeptEach[int, Spark]()


def _read(databases: Sequence[int], days: Sequence[date], now: datetime) -> dict[int, Spark]:
    rows = Snapshot.objects.filter(database__in=databases, time__gte=start_of(days[0]), time__lte=now)
    sizes: dict[int, dict[date, int]] = defaultdict(dict)
    for pk, time, size in (
        rows.order_by("time").values_list("database_id", "time", "total_bytes_processed").iterator()
    ):
        if size is not None:
            sizes[pk][timezone.localtime(time).date()] = size
    return {pk: _spark(sizes.get(pk, {}), days) for pk in databases}


def _spark(sizes: Mapping[date, int], days: Iterable[date]) -> Spark:
    known = [(number, sizes[day]) for number, day in enumerate(days) if day in sizes]
    if not known:
        return Spark("", phrase("No dump in 30 days"))
    most = max(size for _, size in known) or 1
    points = [
        (_MARGIN + _STEP * number, _MARGIN + _HEIGHT - _HEIGHT * size // most) for number, size in known
    ]
    if len(points) == 1:
        ((x, y),) = points
        points.append((x + 1, y))
    words = phrase(
        "Dump size in 30 days: from {first} to {last}, at most {most}",
        first=formatting.size(known[0][1]),
        last=formatting.size(known[-1][1]),
        most=formatting.size(most),
    )
    return Spark(" ".join(f"{x},{y}" for x, y in points), words)
