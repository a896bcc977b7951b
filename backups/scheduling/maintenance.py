"""When a repository is tended as a whole: at its time each night, later where that was missed.

What comes due is read from rows alone, so that a portal of before needs no new schedule, and several workers
agree about it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from backups.choices import Action, Status, Trigger
from backups.models import Repository, Run, Snapshot
from backups.scheduling import schedules

# After one that could not be made, as where the storage was away, it is tried again in so long.
_AGAIN = timedelta(hours=1)
_NIGHTS_MISSED = timedelta(days=2)


def whole() -> QuerySet[Run]:
    """The runs that forgot, or are to forget, for all databases of a repository: not a single snapshot."""
    return Run.objects.filter(action=Action.FORGET, database=None, snapshot=None)


def next_time(now: datetime) -> datetime:
    """When all repositories are due next."""
    return schedules.next_times(settings.MAINTENANCE_CRON, 1, after=now)[0]


def allowed(now: datetime) -> timedelta:
    """For how long a repository may go without: two nights longer than the schedule leaves it alone."""
    return schedules.longest_gap(settings.MAINTENANCE_CRON, after=now) + _NIGHTS_MISSED


def is_due(repository: Repository, now: datetime) -> bool:
    """Whether its time has come and nothing was done yet, or all that was done came to nothing."""
    runs = Run.objects.filter(repository=repository)
    # After a recovery people look around first: what they are about to restore is not tidied up.
    asked = runs.filter(Q(action=Action.RECOVER) | Q(action=Action.FORGET, database=None))
    asked = asked.filter(Q(action=Action.RECOVER) | Q(trigger=Trigger.SCHEDULE))
    last = asked.order_by("-queued_at", "-pk").first() or runs.order_by("queued_at", "pk").first()
    if last is None or not _is_used(repository):
        return False
    if last.queued_at < schedules.last_time(settings.MAINTENANCE_CRON, now):
        return True
    return _came_to_nothing(last) and last.finished_at is not None and last.finished_at + _AGAIN <= now


def _is_used(repository: Repository) -> bool:
    """Whether there is something to tend, and somebody who backs up to it still."""
    there = Snapshot.objects.present().filter(repository=repository)
    return repository.databases.exists() and there.exists()


def _came_to_nothing(run: Run) -> bool:
    """One that failed for a single database has done all else, and would again."""
    is_whole = run.action == Action.FORGET and run.database_id is None
    return is_whole and run.status in (Status.FAILED, Status.LOST) and "forgotten" not in run.result
