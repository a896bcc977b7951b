"""For what a command's run has to wait, or is refused: a person who typed it is told at once."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from backups.choices import APPLY_ROWS, EXCLUSIVE_ACTIONS, RESTORE_ACTIONS, Action, RestoreMode, Status
from backups.models import Repository, Restore, Run
from backups.runs.leases import lease_holder, may_live
from backups.runs.refusals import applying_rows, same_target, twins, unsettled
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


_UNDER_WAY = Q(status=Status.RUNNING)


def beside_rows(run: Run, among: Q = _UNDER_WAY) -> Run | None:
    """What changes the database that this run changes, where one of both gives rows back.

    A script is proved against the rows that it finds, and knows nothing of what is changed meanwhile.
    """
    others = among & ~Q(pk__in=[each for each in (run.pk, run.parent_id) if each is not None])
    if gives_rows_back(run):
        database = database_of(run)
        applying = applying_rows(database, database.database).filter(others).first()
        return applying or same_target(database, database.database, among=others)
    restore = _restore_of(run)
    if restore is None:
        return None
    return applying_rows(restore.database, restore.target).filter(others).first()


def gives_rows_back(run: Run) -> bool:
    """Whether it applies a script, which changes the live database."""
    asked = run.request if isinstance(run.request, dict) else {}
    return run.action == Action.ROWS_BACK and asked.get("form") == APPLY_ROWS


def _of_the_target(run: Run) -> Run | None:
    """An earlier run that goes to the same target, or one whose swap of it is half-way."""
    if (other := beside_rows(run, _UNDER_WAY | Q(pk__lt=run.pk))) is not None:
        return other
    if gives_rows_back(run):
        return unsettled(database_of(run), database_of(run).database)
    restore = _restore_of(run)
    if restore is None:
        return None
    return same_target(restore.database, restore.target, than=restore) or unsettled(
        restore.database, restore.target, but=restore
    )


def _restore_of(run: Run) -> Restore | None:
    """What says where a run restores to, None where no database is touched."""
    if run.action not in RESTORE_ACTIONS:
        return None
    found = Restore.objects.select_related("database__server").filter(run=run)
    return found.exclude(mode=RestoreMode.FILE).first()
