"""What a database's rows of a range prove, pure: made of planned, ages, gaps, restore times."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backups.choices import ACTIVE, Status, Trigger
from backups.reports.proof_rows import Attempt, Made
from backups.scheduling.left_out import Span, passed_over
from backups.text.sentences import phrase

# A planned time becomes a run within a minute or two; until then nobody missed it.
_BEGINS_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Window:
    """The part of a range that is over, and of which the portal can know."""

    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Missed:
    """A planned time at which nothing was made, with the run that was to do it, if there was one."""

    planned_at: datetime
    status: str
    run: int | None
    error: str


@dataclass(frozen=True)
class Plan:
    """How many were made of those that were planned; None where it is not known, and why."""

    known_from: datetime | None
    planned: int | None
    made: int | None
    missed: Sequence[Missed]
    note: str
    # Planned times that passed while it was paused or retired: neither made nor missed, and not in `planned`.
    left_out: Mapping[Span, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Gap:
    """A time in which the newest good backup was older than allowed, from that backup on."""

    begins_at: datetime
    # None: at the end of the range there still was no newer one.
    ends_at: datetime | None
    seconds: float


@dataclass(frozen=True)
class Ages:
    """How old the newest good backup got; None where there was never any."""

    longest_seconds: float | None
    gaps: Sequence[Gap]


def plan_of(
    attempts: Iterable[Attempt],
    times: Sequence[datetime] | None,
    window: Window,
    stood_down: Iterable[Span] = (),
) -> Plan:
    """Of these planned times, as the schedule of now names them, at which something was made.

    A run stands for its planned time also where it was made later. A planned time of the rows that the
    schedule of now does not name is one of another schedule: before it nothing is known of the plan. Of those
    that passed while it was paused or retired only such count as have a run all the same.
    """
    if times is None:
        return Plan(None, None, None, (), phrase("The schedule is due too often to be counted."))
    scheduled, succeeded = Trigger.SCHEDULE.value, Status.SUCCEEDED.value
    stands = _stands_for([each for each in attempts if each.trigger == scheduled], times)
    strangers = set(stands).difference(times)
    known_from, note = window.begin, ""
    if others := [time for time in strangers if window.begin <= time < window.end]:
        known_from = max(others) + timedelta(seconds=1)
        note = phrase(
            "The schedule was another one before. What was planned then is not known, and is not counted."
        )
    passed = passed_over(times, stood_down)
    left_out: Counter[Span] = Counter()
    planned, made, missed = 0, 0, []
    for time in times[bisect_left(times, known_from) : bisect_left(times, window.end)]:
        run = stands.get(time)
        if run is not None and run.status == succeeded:
            planned, made = planned + 1, made + 1
            continue
        if (run is None and time > window.end - _BEGINS_WITHIN) or (run and run.status in ACTIVE):
            continue
        if run is None and (span := passed.get(time)):
            left_out[span] += 1
            continue
        planned += 1
        missed.append(_missed(time, run))
    return Plan(known_from, planned, made, missed, note, left_out)


def _missed(time: datetime, run: Attempt | None) -> Missed:
    return Missed(time, run.status, run.run, run.error) if run else Missed(time, "", None, "")


def _stands_for(attempts: Iterable[Attempt], times: Sequence[datetime]) -> dict[datetime, Attempt]:
    """The run of each planned time; one of before runs had such a time stands for the last one before it."""
    found: dict[datetime, Attempt] = {}
    succeeded = Status.SUCCEEDED.value
    for each in attempts:
        slot = each.slot
        if slot is None:
            before = bisect_right(times, each.queued_at)
            if not before:
                continue
            slot = times[before - 1]
        known = found.setdefault(slot, each)
        if known is not each and known.status != succeeded:
            found[slot] = each
    return found


def good_of(made: Sequence[Made]) -> list[Made]:
    """Those that count as backups; ones of another installation only where this one made none."""
    counted = [each for each in made if each.counts]
    ours = [each for each in counted if each.is_ours]
    return ours if any(each.is_ours for each in made) else counted


def ages_of(good: Sequence[Made], before: datetime | None, window: Window, allowed: timedelta) -> Ages:
    """How old the newest good backup got within the window; one that is being made is none yet.

    `before` is the time of the newest one of before the window.
    """
    longest, end = timedelta(), window.end
    gaps: list[Gap] = []
    newest = before
    for each in [*good, None]:
        ready = end if each is None else max(each.finished_at or each.time, each.time)
        since = window.begin if newest is None else newest
        age = (ready if ready < end else end) - since
        if age > longest:
            longest = age
        if age > allowed:
            until = ready if each is not None and ready <= end else None
            gaps.append(Gap(since, until, age.total_seconds()))
        if each is not None:
            newest = each.time
    return Ages(None if newest is None else longest.total_seconds(), gaps)


@dataclass(frozen=True)
class Took:
    """How long restores of the whole took, as measured."""

    measured: int
    slowest: float | None
    median: float | None


def took_of(seconds: Iterable[float | None]) -> Took:
    """Of those that were measured."""
    found = [each for each in seconds if each is not None]
    if not found:
        return Took(0, None, None)
    return Took(len(found), max(found), statistics.median(found))
