"""What one run at a time may hold, and after how long without a word it holds it no more."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from backups.choices import EXCLUSIVE_ACTIONS, Action
from backups.models import Database, Repository, Run
from backups.runs.subject import database_of

# Beats come every second or so, but for the minute that a server's answers may take; who is silent for longer
# is taken for dead.
BEAT_LOST = timedelta(seconds=max(60, settings.MYSQL_QUESTION_SECONDS) + 15)
LEASE = BEAT_LOST + timedelta(seconds=15)


def lease_holder(thing: Database | Repository, now: datetime | None = None) -> Run | None:
    """The run that holds the thing's lease, None when it is free or the lease ran out."""
    thing.refresh_from_db(fields=["lease_run", "lease_until"])
    if thing.lease_until is None or thing.lease_until < (now or timezone.now()):
        return None
    return thing.lease_run


def lease_take(run: Run, now: datetime) -> Run | None:
    """Take the lease that the run's action needs; answers who holds it instead."""
    if run.action in EXCLUSIVE_ACTIONS:
        model: type[Database] | type[Repository] = Repository
        pk = run.repository_id
    elif run.action == Action.BACKUP:
        model, pk = Database, database_of(run).pk
    else:
        return None
    free = Q(lease_run=None) | Q(lease_until=None) | Q(lease_until__lt=now)
    hit = model.objects.filter(free, pk=pk).update(lease_run=run, lease_until=now + LEASE)
    return None if hit else model.objects.get(pk=pk).lease_run


def lease_release(run_id: int) -> None:
    """Give back all that a run holds."""
    for model in (Database, Repository):
        model.objects.filter(lease_run=run_id).update(lease_run=None, lease_until=None)
