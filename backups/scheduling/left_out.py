"""Planned times that passed while a database was paused or retired: nothing was missed at them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from backups.choices import StandDownKind
from backups.models import Database, StandDown


@dataclass(frozen=True)
class Span:
    """A time in which schedules asked for nothing: from `begin` until before `end`, None where it lasts."""

    kind: str
    begin: datetime
    end: datetime | None
    by: str
    reason: str


def spans(
    begin: datetime, end: datetime, databases: Collection[Database] | None = None
) -> Mapping[int, Sequence[Span]]:
    """Those that reach into this time, by a database's key, in one query; retirements come first."""
    rows = StandDown.objects.of(StandDownKind.PAUSE, StandDownKind.RETIREMENT).filter(made_at__lt=end)
    rows = rows.exclude(ended_at__lte=begin).exclude(until__lte=begin)
    if databases is not None:
        rows = rows.filter(database__in=databases)
    found: dict[int, list[Span]] = defaultdict(list)
    for each in rows.order_by("made_at", "pk"):
        over = min(filter(None, (each.ended_at, each.until)), default=None)
        found[each.database_id].append(Span(each.kind, each.made_at, over, each.made_by, each.reason))
    for of_one in found.values():
        of_one.sort(key=lambda span: span.kind != StandDownKind.RETIREMENT)
    return found


def passed_over(times: Sequence[datetime], stood_down: Iterable[Span]) -> dict[datetime, Span]:
    """Of these planned times, oldest first, those within a span, each with the first that it lies in."""
    found: dict[datetime, Span] = {}
    for span in stood_down:
        stop = len(times) if span.end is None else bisect_left(times, span.end)
        for time in times[bisect_left(times, span.begin) : stop]:
            found.setdefault(time, span)
    return found
