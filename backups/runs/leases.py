"""What one run at a time may hold, and after how long without a word it holds it no more."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from backups.choices import EXCLUSIVE_ACTIONS, Action, Status
from backups.models import Database, Repository, Run
from backups.runs.refusals import host_of
from backups.runs.subject import database_of

# Beats come every second or so, but for the minute that a server's answers may take; who is silent for longer
# is taken for dead.
BEAT_LOST = timedelta(seconds=max(60, settings.MYSQL_QUESTION_SECONDS) + 15)
LEASE = BEAT_LOST + timedelta(seconds=15)
# What the clock of another machine may be behind ours without its runs being taken for dead by that alone.
CLOCKS_APART = timedelta(minutes=10)


def lease_holder(thing: Database | Repository, now: datetime | None = None) -> Run | None:
    """The run that holds the thing's lease, None when it is free or the lease ran out."""
    thing.refresh_from_db(fields=["lease_run", "lease_until"])
    if thing.lease_run is None or thing.lease_until is None:
        return None
    held = thing.lease_until + _more_patience(thing.lease_run) >= (now or timezone.now())
    return thing.lease_run if held else None


def may_live(run: Run, now: datetime) -> bool:
    """Whether a running run gave a sign of life of late, by the clock of whoever plays it."""
    return run.beat_at is None or run.beat_at + LEASE + _more_patience(run) >= now


def _more_patience(run: Run) -> timedelta:
    is_elsewhere = run.status == Status.RUNNING and host_of(run) not in ("", os.uname().nodename)
    return CLOCKS_APART if is_elsewhere else timedelta()


def lease_take(run: Run, now: datetime) -> Run | None:
    """Take the lease that the run's action needs; answers who holds it instead."""
    if run.action in EXCLUSIVE_ACTIONS:
        model: type[Database] | type[Repository] = Repository
        pk = run.repository_id
    elif run.action == Action.BACKUP:
        model, pk = Database, database_of(run).pk
    else:
        return None
    thing = model.objects.select_related("lease_run").get(pk=pk)
    if (holder := lease_holder(thing, now)) is not None:
        return holder
    as_it_was = model.objects.filter(pk=pk, lease_run=thing.lease_run, lease_until=thing.lease_until)
    hit = as_it_was.update(lease_run=run, lease_until=now + LEASE)
    return None if hit else model.objects.get(pk=pk).lease_run


def lease_release(run_id: int) -> None:
    """Give back all that a run holds."""
    for model in (Database, Repository):
        model.objects.filter(lease_run=run_id).update(lease_run=None, lease_until=None)
