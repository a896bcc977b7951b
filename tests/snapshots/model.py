"""What retention keeps, written from the promise and not from the product: `stays` shares nothing with it.

Times are instants; days, weeks and months are those of the zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

MONTH, DOUBT, SLIP = timedelta(days=30), timedelta(days=90), timedelta(minutes=1)


@dataclass
class Made:
    """A snapshot of the one database, as the model knows it. `tables` is None without a manifest."""

    number: int
    time: datetime
    tables: dict[str, bool] | None
    saved_until: datetime | None = None
    verified: bool = False
    bad: bool = False
    gone: bool = False
    pins: list[date | None] = field(default_factory=list)
    wanted: bool = False
    failed_at: list[datetime] = field(default_factory=list)
    doubted_at: datetime | None = None


@dataclass(frozen=True)
class Rules:
    """What a person set."""

    counts: tuple[int, int, int]
    zone: ZoneInfo
    object_days: int


def newest(some: Iterable[Made], now: datetime) -> set[int]:
    """The newest one, none of the future where there is another."""
    found = sorted(some, key=lambda s: (s.time <= now + SLIP, s.time, s.number))
    return {found[-1].number} if found else set()


def stays(history: Sequence[Made], now: datetime, rules: Rules) -> set[int]:
    """The numbers of what a forget at `now` has to leave."""
    there = [s for s in history if not s.gone]
    backups = [s for s in there if s.saved_until is None]
    kept = newest(backups or there, now) | newest((s for s in backups if not s.bad), now)
    kept |= newest([s for s in backups if s.verified] or [s for s in there if s.verified], now)
    kept |= {max(s.number for s in backups)} if backups else set()
    kept |= {s.number for s in there if s.saved_until and now < s.saved_until}
    kept |= {s.number for s in there if s.wanted or any(now - at < MONTH for at in s.failed_at)}
    today = now.astimezone(rules.zone).date()
    kept |= {s.number for s in there if any(day is None or today <= day for day in s.pins)}
    for doubted in history:
        if doubted.doubted_at and now - doubted.doubted_at < DOUBT:
            kept |= newest((s for s in backups if not s.doubted_at and s.time < doubted.time), now)
    return kept | tiers(backups, rules) | last_copies(history, now, rules)


def tiers(backups: Sequence[Made], rules: Rules) -> set[int]:
    """The newest of so many days, weeks and months, and the oldest where these are not used up."""
    calendars: tuple[Callable[[datetime], object], ...] = (
        lambda at: at.date(), lambda at: at.isocalendar()[:2], lambda at: (at.year, at.month),
    )  # fmt: skip
    in_order = sorted(backups, key=lambda s: (s.time, s.number), reverse=True)
    kept: set[int] = set()
    for count, period in zip(rules.counts, calendars, strict=True):
        periods = ((period(s.time.astimezone(rules.zone)), s.number) for s in in_order)
        firsts = [next(of_one)[1] for _, of_one in groupby(periods, itemgetter(0))]
        kept |= set(firsts[:count])
        if in_order and len(firsts) < count:
            kept.add(in_order[-1].number)
    return kept


def last_copies(history: Sequence[Made], now: datetime, rules: Rules) -> set[int]:
    """What alone has rows of a table, so many days from the first snapshot without it."""
    telling = [s for s in history if s.tables is not None and not s.bad]
    there = sorted((s for s in telling if not s.gone), key=lambda s: (s.time <= now + SLIP, s.time, s.number))
    kept = set()
    for at, one in enumerate(there):
        newer = set().union(*(s.tables or {} for s in there[at + 1 :]))
        alone = {t for t, rows in (one.tables or {}).items() if rows and t not in newer}
        without = [s.time for s in telling if s.time > one.time]
        until = min(without, default=one.time) + timedelta(days=rules.object_days)
        if there[at + 1 :] and any(t[:1] != "_" for t in alone) and now < until:
            kept.add(one.number)
    return kept
