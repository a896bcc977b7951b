"""Every minute: give up runs whose worker died, and clear up what they left behind."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from django.conf import settings

from backups import mysql, notify, process, restic, services
from backups.actions.dropping import drop_scratch
from backups.choices import Action, RestoreMode
from backups.connections import database_server, repository_access, scratch_server
from backups.errors import Problem
from backups.hearing import Hearing
from backups.models import Repository, Restore, Run
from backups.swap import Place, drop_emptied, end_broken_off

logger = logging.getLogger(__name__)


def run() -> list[Run]:
    """Reap, unlock, send again, notify; answers the runs that were lost."""
    lost = services.runs_reap(is_gone=process.is_gone, may_live=_may_live)
    for dead in lost:
        logger.warning("%s: %s", dead, dead.error)
    for repository in services.repositories_left_locked():
        _unlock(repository)
    for restore in services.restores_broken_off():
        _end_swap(restore)
    for dead in services.runs_that_left("scratch"):
        _drop_scratch(dead)
    for dead in services.runs_that_left("partial"):
        _remove_partial(dead)
    services.runs_resend()
    for dead in lost:
        notify.run_ended(dead.pk)
    notify.tend()
    return lost


_BEATS = Hearing()


def _may_live(run: Run) -> bool:
    """Whether a worker on another machine may beat by another clock; not once its beat stands still."""
    if run.beat_at is None or not process.is_elsewhere(run.worker):
        return False
    return _BEATS.unchanged_for(run.pk, run.beat_at) <= services.BEAT_LOST.total_seconds()


def _end_swap(restore: Restore) -> None:
    """A swap whose worker or server died is ended, backwards or forwards.

    Tried again each minute while the server is not to be had; what it refuses to make is left out
    and kept, so that one definition keeps nobody waiting.
    """
    try:
        server = database_server(restore.database)
        with mysql.connect(server) as connection:
            info = mysql.probe(connection)
        place = Place(server, info, mysql.clients(info, settings.MYSQL_CLIENT_DIR))
        sentence = end_broken_off(restore, place, tick=lambda: None)
        drop_emptied(restore, place)
    except Problem as problem:
        logger.warning("%s: %s", restore, problem.sentence())
    else:
        services.run_amend(restore.run, sentence)


def _drop_scratch(dead: Run) -> None:
    """A database that a dead run made for itself goes; tried again each minute."""
    assert dead.database is not None  # noqa: S101
    swapping = Restore.objects.filter(run=dead).first()
    if swapping is not None and not swapping.is_settled:
        return
    name = str(dead.result["scratch"])
    is_its_own = re.fullmatch(rf".{{1,64}}__(verify|restore)_{dead.pk}", name, re.DOTALL)
    if not is_its_own and (swapping is None or (swapping.mode, swapping.target) != (RestoreMode.NEW, name)):
        logger.error("%s: %r is no database that it could have made, and stays", dead, name)
        services.left_cleared(dead.pk, "scratch")
        return
    find_server = scratch_server if dead.action == Action.VERIFY else database_server
    try:
        drop_scratch(dead.pk, find_server(dead.database), name)
    except Problem as problem:
        logger.warning("%s: %s", dead, problem.sentence())


def _remove_partial(dead: Run) -> None:
    """Half of a file that a dead run wrote goes, so far as this machine sees its folder."""
    partial = Path(str(dead.result["partial"]))
    if not re.fullmatch(r"\.[\w.-]+-\d{8}-\d{6}-[0-9a-f]{8}\.sql\.partial", partial.name):
        logger.error("%s: %r is no file that it could have written, and stays", dead, str(partial))
        services.left_cleared(dead.pk, "partial")
        return
    try:
        partial.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s: %s cannot be removed (%s)", dead, dead.result["partial"], error)
    else:
        services.left_cleared(dead.pk, "partial")


def _unlock(repository: Repository) -> None:
    """restic itself removes only locks of processes that are gone."""
    try:
        restic.remove_stale_locks(repository_access(repository))
    except Problem as problem:
        logger.warning("%s: %s", repository, problem.sentence())
