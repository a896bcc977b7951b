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
from backups.text.sentences import phrase


def next_time(now: datetime) -> datetime:
    """When proofs are due next."""
    return schedules.next_times(settings.REPLAY_CRON, 1, after=now)[0]


def due(now: datetime) -> list[tuple[Database, datetime]]:
    """The databases of which a proof is due, each with the time that was planned."""
    planned = schedules.last_time(settings.REPLAY_CRON, now)
    archives = _archives(now).filter(switched_at__lt=planned).select_related("database__server")
    return [
        (each.database, planned)
        for each in archives
        # That would fail each week in the same way: see `not_possible`.
        if not _was_asked(each.database, planned) and not each.database.replays_beside_live
    ]


def not_possible(database: Database) -> tuple[str, str] | None:
    """Why no proof of a database's log can be made, as far as rows tell, and what to set.

    Then none is asked for each week. None where nothing that rows tell is in the way.
    """
    if not database.replays_beside_live:
        return None
    host, port = database.test_restores_at
    return (
        phrase(
            "The stored log of {database} cannot be proved by a replay: it would be replayed at {address}, "
            "beside the live database, and MariaDB checks no right on tables then.",
            database=database,
            address=f"{host}:{port}",
        ),
        HOW_TO_PLACE,
    )


HOW_TO_PLACE = phrase(
    "Name another server for test restores, by VERIFY_MYSQL_HOST or in the form of the database. Or, "
    "if Vedetta's own check of each event is enough for you, set REPLAY_ON_LIVE=true."
)


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
