"""The proof report: what was backed up, proved and restored within a range, to be shown to an auditor.

It is a document of plain values whose keys never change; `proof_files` writes it, pages show it. Two
processes make the same one of the same rows: so the worker can sign what the portal hands out.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

import backups
from backups.errors import Problem
from backups.models import Database, PublicKey
from backups.reports import proof_database, proof_rows
from backups.reports.proof_judged import Window
from backups.reports.proof_rows import Pace
from backups.text.sentences import phrase
from backups.verdict import State

# What the document calls itself; another number is one in which a key means something else.
KIND, VERSION = "vedetta proof report", 1
MOST_DAYS = 3660


@dataclass(frozen=True)
class Days:
    """A range of days in TIME_ZONE, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        """Raise Problem for a range that is none."""
        if self.last < self.first:
            raise Problem(
                phrase("The last day is before the first one."),
                code="report.no_range",
                do=phrase("Exchange them."),
            )
        if (self.last - self.first).days >= MOST_DAYS:
            raise Problem(
                phrase("A report tells of ten years at most."),
                code="report.no_range",
                do=phrase("Choose a shorter time."),
            )

    @property
    def begin(self) -> datetime:
        """The first moment, in UTC."""
        return _midnight(self.first)

    @property
    def end(self) -> datetime:
        """The first moment that is no longer in it, in UTC."""
        return _midnight(self.last + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), ZoneInfo(settings.TIME_ZONE)).astimezone(UTC)


def public_key() -> str:
    """The public half of the key by which the portal knows its own, in base64; empty where there is none."""
    known = PublicKey.objects.first()
    return known.signing if known else ""


def last_quarter(today: date | None = None) -> Days:
    """The quarter of the calendar before that of today, in TIME_ZONE."""
    today = today or timezone.localdate()
    begin = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1)
    last = begin - timedelta(days=1)
    return Days(date(last.year, last.month - 2, 1), last)


def days_from(first: str, last: str) -> Days:
    """A range as addresses and commands have it, the last quarter for what is empty. Raises Problem."""
    usual = last_quarter()
    begin = _day(first) if first else None
    end = _day(last) if last else None
    if begin is None and end is None:
        return usual
    return Days(begin or min(usual.first, end or usual.first), end or timezone.localdate())


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    # Zones move what lies at the very ends of the calendar beyond it.
    if not 1970 <= day.year <= 9000:
        raise Problem(
            phrase("{text} is not a date.", text=text[:40]),
            code="report.no_day",
            do=phrase("Write it as year-month-day, as in 2026-03-31."),
        )
    return day


@dataclass(frozen=True)
class Wanted:
    """What a report is to tell of, and when it was asked for."""

    days: Days
    made_at: datetime
    database: Database | None = None
    # The public half of the key that signs it; empty where none does.
    signed_by: str = ""
    # Why nobody signs it, in English.
    not_signed_because: str = ""


@contextmanager
def _without_collection() -> Iterator[None]:
    """Hundreds of thousands of rows are made and kept: to look for garbage among them takes seconds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_collection()
def report(
    wanted: Wanted, pace: Pace | None = None, *, in_full: Collection[int] | None = None
) -> dict[str, Any]:
    """The document. Raises Problem where it is too large, or takes too long.

    Of the databases of these keys only, if any are given, each backup and verification is listed: for a page
    that shows the others' figures alone.
    """
    pace = pace or Pace()
    days = wanted.days
    stop = max(min(days.end, wanted.made_at), days.begin)
    rows = proof_rows.read(days.begin, stop, wanted.database, pace)
    # Of those before, what failed may be gone.
    history_from = wanted.made_at - timedelta(days=settings.RUN_KEEP_DAYS)
    window = Window(max(days.begin, min(history_from, stop)), stop)
    asked = proof_database.Asked(window, settings.REPORT_RTO_MINUTES * 60 or None, pace, in_full)
    databases = [proof_database.told(each, rows, asked) for each in rows.databases]
    shown = databases if in_full is None else [each for each in databases if each["key"] in in_full]
    proof_database.complete(shown, pace)
    return {
        "kind": KIND,
        "version": VERSION,
        "made_at": wanted.made_at,
        "made_by": f"Vedetta {backups.__version__}",
        "time_zone": settings.TIME_ZONE,
        "from": days.first,
        "to": days.last,
        "begins_at": days.begin,
        "ends_at": days.end,
        "is_over": wanted.made_at >= days.end,
        "history_from": history_from if history_from > days.begin else None,
        "restore_target_seconds": asked.restore_target,
        "signed_by": wanted.signed_by or None,
        "not_signed_because": wanted.not_signed_because,
        "only_database": wanted.database.name if wanted.database else None,
        "totals": _totals(databases),
        "databases": databases,
    }


def _totals(databases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over all databases; made of planned only of those whose plan is known."""
    states = Counter(each["state"] for each in databases)
    known = [each["plan"] for each in databases if each["plan"]["planned"] is not None]
    slowest = [took for each in databases if (took := each["restore_times"]["slowest_seconds"]) is not None]
    return {
        "databases": len(databases),
        **{state.value: states[state.value] for state in State},
        "planned": sum(each["planned"] for each in known),
        "made": sum(each["made"] for each in known),
        "paused": sum(each["paused"] for each in known),
        "retired": sum(each["retired"] for each in known),
        "plan_not_known": len(databases) - len(known),
        "good_backups": sum(each["backups"]["good"] for each in databases),
        "gaps": sum(len(each["age"]["gaps"]) + each["age"]["gaps_not_listed"] for each in databases),
        "verifications": sum(each["verifications"]["done"] for each in databases),
        "identical": sum(each["verifications"]["identical"] for each in databases),
        "slowest_restore_seconds": max(slowest, default=None),
    }
