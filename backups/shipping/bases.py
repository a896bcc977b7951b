"""Dumps with an exact position: what a stored log begins at, and what is asked for where there is none."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from backups.choices import Action, ArchiveState, StandDownKind, Status, Trigger
from backups.errors import Problem
from backups.models import Database, LogArchive, LogGap, Run, Snapshot, StandDown
from backups.requests import Asker, BackupRequest
from backups.shipping.ends import LogEnd, server_name

logger = logging.getLogger(__name__)

# So long after one that failed another backup is asked for.
_AGAIN = timedelta(hours=1)
_MOST_LISTED = 20


def exact_dumps(database: Database, *, since: datetime | None = None) -> list[Snapshot]:
    """Dumps that the repository holds, made here, whose position in the log is exact; newest first.

    Some of the newest, or all that were made `since`.
    """
    there = Snapshot.objects.present().made_here().not_known_bad().filter(database=database)
    found = there.newest_first()
    rows = found[:_MOST_LISTED] if since is None else found.filter(time__gte=since)
    return [each for each in rows if each.log and each.log.get("exact")]


def time_after(database: Database, moment: datetime) -> datetime | None:
    """When the first dump with an exact position was made after a moment; None without any."""
    return min((each.time for each in exact_dumps(database, since=moment)), default=None)


def base_since(archive: LogArchive, end: LogEnd) -> Snapshot | None:
    """The first dump that was begun after the archive was to begin anew, of the server that is followed."""
    since = begins_anew_at(archive)
    for each in reversed(exact_dumps(archive.database)):
        run = each.made_by
        began = run.started_at if run is not None and run.started_at else each.time
        if began >= since and each.log and server_name(each.log["server"] or {}) == end.server:
            return each
    return None


def begins_anew_at(archive: LogArchive) -> datetime:
    """From when on a dump may be what an archive goes on from."""
    gap = LogGap.objects.filter(database=archive.database, ends=None).order_by("-noticed_at").first()
    return max(gap.noticed_at, archive.switched_at) if gap else archive.switched_at


def ask_for_one(database: Database, since: datetime) -> Run | None:
    """Queue a backup, unless one was made or asked for since; tried again an hour after one that failed."""
    last = (
        Run.objects.filter(database=database, action=Action.BACKUP, queued_at__gte=since)
        .order_by("-pk")
        .first()
    )
    if last is not None and not _is_to_be_tried_again(last):
        return None
    return queue(database)


def queue(database: Database) -> Run | None:
    """Queue a backup; None where the database is at rest, or one waits already."""
    if is_at_rest(database):
        return None
    try:
        return BackupRequest(database, scheduled=True).submit(Asker(Trigger.SCHEDULE))
    except Problem as problem:
        logger.info("no backup of %s is queued for its log: %s", database, problem.code)
        return None


def is_at_rest(database: Database) -> bool:
    """Whether people said that it is not to be backed up by itself."""
    return StandDown.objects.standing(timezone.now()).of(*_AT_REST).filter(database=database).exists()


def is_newer(database: Database, moment: datetime) -> bool:
    """Whether a dump with an exact position was made since."""
    return any(each.time > moment for each in exact_dumps(database)[:1])


_AT_REST = (StandDownKind.PAUSE, StandDownKind.RETIREMENT)


def _is_to_be_tried_again(run: Run) -> bool:
    failed = run.status in (Status.FAILED, Status.LOST, Status.CANCELLED)
    return failed and run.finished_at is not None and run.finished_at + _AGAIN < timezone.now()


def waits(archive: LogArchive) -> bool:
    """Whether an archive waits for a dump to begin at."""
    return archive.state in (ArchiveState.WAITING, ArchiveState.BROKEN)
