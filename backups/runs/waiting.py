"""For what a command's run has to wait, or is refused: a person who typed it is told at once."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from backups.choices import EXCLUSIVE_ACTIONS, Action, RestoreMode, Status
from backups.models import Repository, Restore, Run
from backups.runs.leases import lease_holder, may_live
from backups.runs.refusals import same_target, twins, unsettled
from backups.runs.subject import database_of


def before(run: Run, now: datetime | None = None) -> Run | None:
    """The run that has to end before this one may begin, None where nothing stands in its way.

    One without a number is only about to be asked for.
    """
    now = now or timezone.now()
    return _twin(run) or in_use(run, now) or _of_the_target(run)


def in_use(run: Run, now: datetime | None = None) -> Run | None:
    """The run that uses what this one needs for itself."""
    now = now or timezone.now()
    if run.action == Action.BACKUP:
        return lease_holder(database_of(run), now)
    if run.action not in EXCLUSIVE_ACTIONS:
        return None
    return lease_holder(run.repository, now) or _beside(run.repository, run, now)


def _twin(run: Run) -> Run | None:
    """One that does the same and came first."""
    same = twins(Action(run.action), run.database, run.repository)
    return same.filter(pk__lt=run.pk).first() or same.filter(status=Status.RUNNING).first()


def _beside(repository: Repository, run: Run, now: datetime) -> Run | None:
    """What uses a repository that restic's exclusive lock wants for itself."""
    if run.action == Action.INIT:
        return None  # of one that nobody can use yet
    running = Run.objects.filter(repository=repository, status=Status.RUNNING).exclude(pk=run.pk)
    others = running.exclude(action=Action.PREFLIGHT).select_related("database", "repository")
    return next((other for other in others.order_by("pk") if may_live(other, now)), None)


def _of_the_target(run: Run) -> Run | None:
    """An earlier restore that goes to the same target, or one whose swap of it is half-way."""
    restore = Restore.objects.select_related("database__server").filter(run=run).first()
    if restore is None or restore.mode == RestoreMode.FILE:
        return None
    return same_target(restore.database, restore.target, than=restore) or unsettled(
        restore.database, restore.target, but=restore
    )
