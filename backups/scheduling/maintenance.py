"""When a repository is tended as a whole: at its time each night, later where that was missed.

What comes due is read from rows alone, so that a portal of before needs no new schedule, and several workers
agree about it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from backups.choices import TERMINAL, Action, Status, Trigger
from backups.models import Repository, Run, Snapshot
from backups.scheduling import schedules

# After one that could not be made, as where the storage was away, it is tried again in so long.
_AGAIN = timedelta(hours=1)
_NIGHTS_MISSED = timedelta(days=2)
# In which what follows a run has been asked for.
_FOLLOWS = timedelta(minutes=2)


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
    """One that failed for a single database has done all else, and would again.

    A cancelled one counts too: most are cancelled because their worker was stopped.
    """
    is_whole = run.action == Action.FORGET and run.database_id is None
    return is_whole and run.status in TERMINAL - {Status.SUCCEEDED} and "forgotten" not in run.result


def is_followed_by(action: Action, repository: Repository, now: datetime) -> bool:
    """Whether tonight's forget is not over yet, or was followed by such a run, whoever asked for it.

    A forget that failed, or whose worker died at its end, is followed by nothing of itself.
    """
    since = schedules.last_time(settings.MAINTENANCE_CRON, now)
    runs = Run.objects.filter(repository=repository, queued_at__gte=since)
    over = runs.filter(action=Action.FORGET, database=None, trigger=Trigger.SCHEDULE, status__in=TERMINAL)
    return not over.filter(finished_at__lt=now - _FOLLOWS).exists() or runs.filter(action=action).exists()
