"""The dashboard's charts: how long backups take and how much they hold."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from django.utils import timezone

from backups.admin.filters import start_of
from backups.admin.strips import MOST_RECENT, Point, Recent, last_days
from backups.choices import Status
from backups.models import Database, Repository, Verification
from backups.reports.growth import Growth
from backups.text import formatting
from backups.text.sentences import phrase

Charted = TypeVar("Charted", Database, Repository, Database | Repository)

# A chart's line for each database, in turn; as many as the first page draws, so that none looks like another.
_LINES = (
    "var(--color-primary-600)",
    "var(--color-orange-500)",
    "var(--color-green-600)",
    "var(--color-red-500)",
    "var(--color-blue-400)",
    "var(--color-base-500)",
)


def charts(databases: Sequence[Database], recent: Iterable[Recent], now: datetime) -> list[dict[str, Any]]:
    """Duration, dump size, growth and measured recovery time, a point a day."""
    days = last_days(now)
    good = [run for run in recent if run.status == Status.SUCCEEDED and run.finished_at and run.database_id]
    measured = Verification.objects.filter(
        restore_seconds__isnull=False, run__database__in=databases, run__queued_at__gte=start_of(days[0])
    )
    restores = measured.order_by("-pk").values_list("run__database_id", "finished_at", "restore_seconds")
    took = [run.point(run.seconds) for run in good]
    restored: list[Point] = [
        (pk, at, seconds) for pk, at, seconds in restores[:MOST_RECENT] if pk and seconds
    ]
    sizes = [run.point(run.size) for run in good if run.size]
    added = [run.point(run.added) for run in good if run.added]
    drawn = (
        _Curve(phrase("How long a backup takes"), took, _time_unit),
        _Curve(phrase("How long a restore takes, as measured"), restored, _time_unit),
        _Curve(phrase("Dump size"), sizes, _size_unit),
        _Curve(phrase("Added to the repository, each day"), added, _size_unit, add_up=True),
    )
    return [_chart(curve, days, databases) for curve in drawn]


def added_chart(repository: Repository, recent: Iterable[Recent], now: datetime) -> dict[str, Any]:
    """What a repository was given each day, by all its databases."""
    points = [(repository.pk, run.queued_at, float(run.added)) for run in recent if run.added]
    curve = _Curve(phrase("Added to the repository, each day"), points, _size_unit, add_up=True)
    return _chart(curve, last_days(now), [repository])


def growth_charts(repository: Repository, found: Growth, now: datetime) -> list[dict[str, Any]]:
    """How large a repository was each day, and what was left on its disk, where that was measured."""
    drawn = (
        (phrase("Size of the repository"), found.sizes),
        (phrase("Left on its disk"), found.free),
    )
    return [
        _chart(
            _Curve(title, [(repository.pk, at, float(value)) for at, value in reversed(points)], _size_unit),
            last_days(now),
            [repository],
        )
        for title, points in drawn
        if points
    ]


@dataclass(frozen=True)
class _Curve:
    """What a chart shows: its points newest first, in the unit that fits the largest."""

    title: str
    points: Sequence[Point]
    unit_of: Callable[[float], tuple[float, str]]
    # All of a day's, or only its newest.
    add_up: bool = False


def _chart(curve: _Curve, days: Sequence[date], databases: Sequence[Database | Repository]) -> dict[str, Any]:
    add_up = curve.add_up
    factor, unit = curve.unit_of(max((value for _, _, value in curve.points), default=0))
    by_day: dict[tuple[int, date], list[float]] = defaultdict(list)
    for pk, at, value in curve.points:
        by_day[pk, timezone.localtime(at).date()].append(value / factor)
    datasets = [
        _dataset(
            database, colour, [_of_day(by_day.get((database.pk, day)), add_up) for day in days], unit, add_up
        )
        for database, colour in _coloured(databases)
    ]
    labels = [f"{day.day} {formatting.month(day)}" for day in days]
    return {
        "title": curve.title,
        "type": "bar" if add_up else "line",
        "is_empty": not by_day,
        "data": json.dumps({"labels": labels, "datasets": datasets}),
    }


def _of_day(values: list[float] | None, add_up: bool) -> float | None:
    """All of a day's added up, or its newest; points come newest first."""
    if not values:
        return None
    return round(sum(values) if add_up else values[0], 2)


def _dataset(
    database: Database | Repository, colour: str, values: list[float | None], unit: str, bars: bool
) -> dict[str, Any]:
    common = {
        "label": str(database),
        "data": values,
        "displayYAxis": True,
        "suffixYAxis": unit,
        "maxTicksXLimit": 6,
        "backgroundColor": colour,
        "borderColor": colour,
    }
    if bars:
        return common
    return common | {"spanGaps": True, "pointStyle": "circle", "pointRadius": 2, "tension": 0.25}


def _coloured(databases: Sequence[Charted]) -> Iterable[tuple[Charted, str]]:
    return [(database, _LINES[index % len(_LINES)]) for index, database in enumerate(databases)]


def legend_of(databases: Sequence[Database]) -> Iterable[tuple[Database, str]]:
    """Each database with its line's colour, for the charts' legend."""
    return _coloured(databases) if len(databases) > 1 else []


def _time_unit(most: float) -> tuple[float, str]:
    if most < 120:
        return 1, "s"
    return (60, "min") if most < 7200 else (3600, "h")


def _size_unit(most: float) -> tuple[float, str]:
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if most >= 2 * factor:
            return factor, unit
    return 1e3, "kB"
