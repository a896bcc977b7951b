"""The dumps without which moments could not be had that the stored log leads to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings

from backups.models import Database, LogArchive
from backups.moments.rows import log_of
from backups.moments.timeline import Base
from backups.moments.windows import Window, windows

# A log that breaks off again and again would have each of its dumps kept.
MOST_KEPT = 50


def needed(database: Database, now: datetime) -> Iterator[Base]:
    """Behind each break of the log, the first dump of the days that are kept.

    A replay goes past no break, so that a later dump of the same day is no substitute: what lies between
    the two is led to by the first alone. Of the newest `MOST_KEPT` breaks.
    """
    archive = LogArchive.objects.filter(database=database).first()
    if archive is None:
        return
    since = now - timedelta(days=days_kept(archive))
    # Its marks would tell the beginnings more exactly, and are many.
    log = log_of(database, with_marks=False)
    for window in windows(log)[-MOST_KEPT:]:
        base = next((each for each in log.bases if _leads_into(window, each) and each.time >= since), None)
        if base is not None:
            yield base


def days_kept(archive: LogArchive | None) -> int:
    """For how many days any moment is to be had."""
    if archive is None or archive.keep_days is None:
        return int(settings.LOG_KEEP_DAYS)
    return archive.keep_days


def _leads_into(window: Window, base: Base) -> bool:
    return base.server == window.base.server and window.base.time <= base.time <= window.ends
