"""Where in the log a moment is: behind the last transaction that was committed by then.

MySQL tells when a transaction was committed, to the microsecond. MariaDB tells the second in which its
statement began, and a session may forge it (SET timestamp). So times are held against marks: how long the log
was at moments of our own clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backups.dumpfile.log_positions import Place
from backups.moments.timeline import Mark, rank

_A_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Seen:
    """A transaction on its way through the log: where, when by the server, and its name if it has one."""

    begins: Place
    ends: Place
    moment: datetime
    gtid: str = ""
    # Whether that is when it was committed; else it is of that second.
    is_exact: bool = True

    def stored(self) -> dict[str, object]:
        """As a row tells of it."""
        return {
            "file": self.begins.file,
            "position": self.begins.position,
            "moment": self.moment.isoformat(),
            "gtid": self.gtid,
        }


@dataclass(frozen=True)
class Cut:
    """The place up to which is replayed; the last transaction before it and the first one behind, if seen."""

    place: Place
    last: Seen | None = None
    left_out: Seen | None = None


def cut_at(seen: Iterable[Seen], moment: datetime, marks: Sequence[Mark], lower: Place) -> Cut:
    """Behind the last transaction not after `moment`; `lower` is what is before it for certain."""
    last = None
    running: datetime | None = None
    for each in seen:
        running = _believed(each, running, marks)
        if rank(each.ends) > rank(lower) and running > moment:
            return Cut(last.ends if last else _not_beyond(lower, each.begins), last, each)
        last = each
    return Cut(max(lower, last.ends, key=rank) if last else lower, last)


def cut_before(seen: Iterable[Seen], wanted: Place | str) -> Cut | None:
    """Just before the transaction at a place or of a GTID; None where there is none such."""
    last = None
    for each in seen:
        if wanted in (each.begins, each.gtid):
            return Cut(each.begins, last, each)
        last = each
    return None


def _not_beyond(lower: Place, begins: Place) -> Place:
    return min(lower, begins, key=rank)


def _believed(each: Seen, running: datetime | None, marks: Sequence[Mark]) -> datetime:
    """When it was committed, as far as is known: never before what is ahead of it, and between its marks."""
    earliest = [mark.moment for mark in marks if rank(mark.place) <= rank(each.begins)]
    latest = [mark.moment for mark in marks if rank(mark.place) >= rank(each.ends)]
    # Of a second that is told alone only its end is late enough for certain.
    said = each.moment if each.is_exact else each.moment + _A_SECOND
    if latest and each.moment > latest[0]:
        # No such time had come: it is forged, or the server's clock is ahead.
        said = running or (earliest[-1] if earliest else latest[0])
    elif latest:
        said = min(said, latest[0])
    return max(time for time in (said, running, earliest[-1] if earliest else None) if time is not None)
