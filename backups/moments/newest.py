"""Up to when the newest moments of a log can be had, of its marks only the few that tell that.

A log has a mark for each minute in which it grew, which are hundreds of thousands in a year.
"""

from __future__ import annotations

from dataclasses import replace

from backups.models import Database
from backups.moments import rows
from backups.moments.timeline import Log, Mark, rank
from backups.moments.windows import Window, windows

# After a dump's time its position is reached within minutes; of a log that stood still, with the first mark.
MOST_MARKS = 200


def newest(database: Database, log: Log) -> Window | None:
    """The newest of all windows of a log that was read without its marks; None where there is none.

    One query, for MOST_MARKS at most. Only where these tell nothing are all read.
    """
    if not log.bases:
        return None
    found = windows(log)
    marks = rows.marks_since(database, found[-1].base.time, MOST_MARKS) if found else []
    again = windows(replace(log, marks=marks))
    if found and again and again[-1].base == found[-1].base and _is_reached(again[-1], marks):
        return again[-1]
    return next(reversed(windows(replace(log, marks=rows.marks_of(database)))), None)


def _is_reached(window: Window, marks: list[Mark]) -> bool:
    """Whether these tell from when on its dump is of use: one does, or there is no further one."""
    return len(marks) < MOST_MARKS or any(rank(mark.place) >= rank(window.base.place) for mark in marks)
