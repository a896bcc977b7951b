"""When a database's log is due to be proved by replay: at its time each week, later where that was missed.

As maintenance, it is read from rows alone. So whoever switches an archive on or off changes no schedule.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from backups.choices import Action, ArchiveState, StandDownKind, Trigger
from backups.models import Database, LogArchive, Run, StandDown
from backups.scheduling import schedules


def next_time(now: datetime) -> datetime:
    """When proofs are due next."""
    return schedules.next_times(settings.REPLAY_CRON, 1, after=now)[0]


def due(now: datetime) -> list[tuple[Database, datetime]]:
    """The databases of which a proof is due, each with the time that was planned."""
    planned = schedules.last_time(settings.REPLAY_CRON, now)
    archives = _archives(now).filter(switched_at__lt=planned).select_related("database")
    return [(each.database, planned) for each in archives if not _was_asked(each.database, planned)]


def is_due(database: Database, planned: datetime) -> bool:
    """Whether nobody has asked for the proof of that time yet."""
    return not _was_asked(database, planned)


def _archives(now: datetime) -> QuerySet[LogArchive]:
    """Of databases that are backed up and not paused."""
    stands = StandDown.objects.standing(now).of(StandDownKind.PAUSE, StandDownKind.RETIREMENT)
    wanted = LogArchive.objects.exclude(state=ArchiveState.OFF).exclude(
        database__in=stands.values("database")
    )
    return wanted.filter(database__in=Database.objects.in_service()).order_by("database")


def _was_asked(database: Database, planned: datetime) -> bool:
    runs = Run.objects.filter(database=database, action=Action.REPLAY, trigger=Trigger.SCHEDULE)
    return runs.filter(queued_at__gte=planned).exists()
