"""What the queue calls: ids in, nothing out, and nothing raised.

Of a task that raises, django-q2 looks for the row that it may have kept of an earlier try, whose values
are pickles that nobody signed.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import ParamSpec

from django.conf import settings
from django.db import close_old_connections
from django_q.conf import Conf
from django_q.exceptions import TimeoutException

from backups.alerting import alerts
from backups.choices import Trigger
from backups.errors import Refused
from backups.models import Repository
from backups.requests import Asker, BackupRequest, SnapshotsRequest, VerifyRequest
from backups.runs import history, queue
from backups.runs.progress import State
from backups.scheduling import schedules
from backups.text.sentences import phrase, template
from backups.worker import answering, due, executor, nightly, reaper, weekly_proofs

logger = logging.getLogger(__name__)
Ids = ParamSpec("Ids")
_SCHEDULE = Asker(Trigger.SCHEDULE)
# The queue ends a task after a day, of which the last run may take RUN_DEADLINE_SECONDS.
_BEGINS_ANOTHER_SECONDS = 1800


def _never_raising(task: Callable[Ids, None]) -> Callable[Ids, None]:
    """What goes wrong is in the worker's log, whatever it is."""

    @functools.wraps(task)
    def played(*args: Ids.args, **kwargs: Ids.kwargs) -> None:
        try:
            task(*args, **kwargs)
        # The queue's own deadline ends a task by the latter, which is no Exception.
        except (Exception, TimeoutException):
            logger.exception("%s%s could not be played", task.__name__, args)

    return played


def _scheduled(task: Callable[[int], None]) -> Callable[[int], None]:
    """What a schedule asked for and could not be queued is told to people."""

    @functools.wraps(task)
    def played(pk: int) -> None:
        name = schedules.in_words(schedules.name_of(task.__name__.removesuffix("_due"), pk))
        try:
            task(pk)
        except Exception as error:
            alerts.schedule_played(name, phrase(_COULD_NOT_BE_QUEUED, error=type(error).__name__))
            raise
        alerts.schedule_played(name, "")

    return _never_raising(played)


_COULD_NOT_BE_QUEUED = template(
    "Its time came, but it could not be queued ({error}). Earlier backups are safe. The worker's log "
    "says more. Start it by hand in the portal, or wait for the schedule's next time."
)


@_never_raising
def run_execute(_run_id: int) -> None:
    """Wake up: play the run whose turn it is, which need not be the one that the message names.

    One question is answered first, if there is one. As each has a message of its own, no more need be.
    Else the next run is begun as soon as one ends: to be told of it takes a second, half of a small backup.
    """
    until = time.monotonic() + _BEGINS_ANOTHER_SECONDS
    queue.worker_heartbeat(Conf.CLUSTER_NAME)
    is_prompt = settings.RESTORES_CLUSTER == Conf.CLUSTER_NAME
    if is_prompt:
        answering.answer_next()
    while executor.execute_next(prompt=is_prompt, observer=_live) is not None:
        queue.worker_heartbeat(Conf.CLUSTER_NAME)
        if is_prompt or time.monotonic() > until:
            break
        close_old_connections()


def _live(_state: State, _lines: list[str]) -> None:
    queue.worker_heartbeat(Conf.CLUSTER_NAME, sparingly=True)


@_scheduled
def backup_due(database_id: int) -> None:
    """A message of the version before, which made no run when the time for a backup came."""
    due.submit(BackupRequest, database_id)


@_scheduled
def verify_due(database_id: int) -> None:
    """The same for a verification."""
    due.submit(VerifyRequest, database_id)


@_scheduled
def snapshots_due(repository_id: int) -> None:
    """The schedule's time to read what a repository holds has come."""
    repository = Repository.objects.filter(pk=repository_id).first()
    if repository is None:
        return  # deleted just now, and its schedule with it
    try:
        SnapshotsRequest(repository).submit(_SCHEDULE)
    except Refused as refused:
        logger.warning("reading the snapshots of %s: %s", repository, refused)


@_never_raising
def tend_runs() -> None:
    """Once a minute: show that the worker lives, clear up after dead runs, insert what is due."""
    queue.worker_heartbeat(Conf.CLUSTER_NAME)
    reaper.run()
    due.runs_due()  # last, as no planned time is passed on while a dead run of the same is there
    nightly.ask_due()
    weekly_proofs.ask_due()
    history.tidy_at_night()
