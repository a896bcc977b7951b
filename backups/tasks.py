"""What the queue calls: ids in, nothing out."""

from __future__ import annotations

import logging

from django_q.conf import Conf

from backups import runner, services
from backups.actions import tend
from backups.choices import Action, Trigger
from backups.errors import Refused
from backups.models import Database, Repository
from backups.progress import State

logger = logging.getLogger(__name__)


def run_execute(run_id: int) -> None:
    """Play a run."""
    services.pulse(Conf.CLUSTER_NAME)
    try:
        runner.execute(run_id, observer=_live)
    except Refused as refused:
        logger.warning("run %s: %s", run_id, refused)
    services.pulse(Conf.CLUSTER_NAME)


def _live(_state: State, _lines: list[str]) -> None:
    services.pulse(Conf.CLUSTER_NAME, sparingly=True)


def backup_due(database_id: int) -> None:
    """The schedule's time for a backup has come."""
    _due(database_id, Action.BACKUP)


def verify_due(database_id: int) -> None:
    """The schedule's time for a verification has come."""
    _due(database_id, Action.VERIFY)


def snapshots_due(repository_id: int) -> None:
    """The schedule's time to read what a repository holds has come."""
    repository = Repository.objects.get(pk=repository_id)
    try:
        services.run_enqueue(action=Action.SNAPSHOTS, repository=repository, trigger=Trigger.SCHEDULE)
    except Refused as refused:
        logger.warning("reading the snapshots of %s: %s", repository, refused)


def tend_runs() -> None:
    """Once a minute: show that the worker lives, give up dead runs and clear up after them."""
    services.pulse(Conf.CLUSTER_NAME)
    tend.run()


def _due(database_id: int, action: Action) -> None:
    database = Database.objects.get(pk=database_id)
    try:
        services.run_enqueue(action=action, database=database, trigger=Trigger.SCHEDULE)
    except Refused as refused:
        logger.warning("scheduled %s of %s: %s", action, database, refused)
        services.skipped_note(action, database)
