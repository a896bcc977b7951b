"""Logs for tests of planning, as rows would tell of them: minutes of one day, a thousand bytes each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from backups.dumpfile.log_positions import Place
from backups.moments.timeline import Barrier, Base, Gap, Log, Mark, Piece

FILE = "binlog.000007"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def place(minutes: float, file: str = FILE) -> Place:
    """Where the log stood then."""
    return Place(file, round(minutes * 1000) + 4)


def base(minutes: float, key: int = 1, **fields: Any) -> Base:
    """A dump of that minute."""
    return Base(key, at(minutes), place(minutes), **{"server": "u", **fields})


def piece(start: float, end: float, key: int = 0, **fields: Any) -> Piece:
    """The log of these minutes, stored at their end."""
    wanted = {
        "repository": 1,
        "snapshot_id": f"{key:064x}",
        "server": "u",
        "file": FILE,
        "made": 1000,
        "stored": at(end),
        "first": at(start),
        "last": at(end),
        **fields,
    }
    return Piece(key or round(end * 60), start=place(start).position, end=place(end).position, **wanted)


def barrier(minutes: float, code: str = "log.database_replaced") -> Barrier:
    """A change that no replay goes past."""
    return Barrier(place(minutes), at(minutes), code, {})


def gap(begins: float, ends: float | None, sentence: str = "It was purged.") -> Gap:
    """A time of which nothing is stored."""
    return Gap(at(begins), None if ends is None else at(ends), at(begins) + timedelta(seconds=20), sentence)


def marks(until: int) -> list[Mark]:
    """One a minute."""
    return [Mark(at(minute), place(minute)) for minute in range(until + 1)]


def log(until: int, bases: Sequence[Base], pieces: Sequence[Piece], gaps: Sequence[Gap] = ()) -> Log:
    """One that is followed, and stored up to that minute."""
    return Log(
        is_on=True, server="u", end=place(until), stored_until=at(until), switched=at(0),
        bases=bases, pieces=pieces, gaps=gaps, marks=marks(until),
    )  # fmt: skip
