"""Every minute: give up runs whose worker died, and clear up what they left behind."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from django.conf import settings

from backups import mysql, process, restic
from backups.actions.steps import kept_files, scratch_log
from backups.actions.steps.dropping import drop_scratch
from backups.alerting import alerts
from backups.choices import RestoreMode
from backups.endpoints import database_server, repository_access, restoring_server, scratch_server
from backups.errors import Problem
from backups.models import Repository, Restore, Run
from backups.requests import questions
from backups.restoring.swap import drop_emptied, end_broken_off
from backups.runs import leases, lifecycle, notes, queue, restores
from backups.runs.hearing import Hearing
from backups.runs.subject import database_of
from backups.text import checked
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)


def run() -> list[Run]:
    """Reap, unlock, clear up, notify; answers the runs that were lost."""
    lost = lifecycle.runs_reap(is_gone=process.is_gone, may_live=_Look().may_live)
    for dead in lost:
        logger.warning("%s: %s", dead, dead.error)
    for repository in lifecycle.repositories_left_locked():
        _unlock(repository)
    for restore in restores.restores_broken_off():
        _end_swap(restore)
    for noted_as in notes.SCRATCH_PURPOSES:
        for dead in notes.runs_with_leftover(noted_as):
            _drop_scratch(dead, noted_as)
    for dead in notes.runs_with_leftover("partial"):
        _remove_partial(dead)
    queue.runs_left()
    for dead in lost:
        alerts.run_ended(dead.pk)
    alerts.tend()
    questions.forget_old()
    kept_files.forget_old()
    return lost


_BEATS = Hearing()


def _may_live(run: Run) -> bool:
    """Whether a worker on another machine may beat by another clock; not once its beat stands still."""
    if run.beat_at is None or not process.is_elsewhere(run.worker):
        return False
    return _BEATS.unchanged_for(run.pk, run.beat_at) <= leases.BEAT_LOST.total_seconds()


class _Look:
    """One look at all runs, in which those that are silent have a moment to be heard again.

    The portal's database may have been away for all of them. Who lives beats once it is back.
    """

    def __init__(self) -> None:
        self._until: float | None = None

    def may_live(self, run: Run) -> bool:
        """Whether a silent run's worker may live all the same, or the command that waits with it."""
        if _may_live(run):
            return True
        self._until = self._until or time.monotonic() + HEARD_AGAIN_SECONDS
        silent = Run.objects.filter(pk=run.pk, status=run.status, beat_at=run.beat_at)
        while is_silent := silent.exists():
            if time.monotonic() > self._until:
                break
            process.sleep_tick()
        return not is_silent


# Longer than one try to connect takes, so that whoever is at it has another one.
HEARD_AGAIN_SECONDS = 15.0


def _end_swap(restore: Restore) -> None:
    """A swap whose worker or server died is ended, backwards or forwards.

    Tried again each minute while the server is not to be had; what it refuses to make is left out
    and kept, so that one definition keeps nobody waiting.
    """
    try:
        server = restoring_server(restore.database)
        with mysql.connect(server) as connection:
            info = mysql.probe(connection)
        place = mysql.ProbedServer(server, info, mysql.clients(info, settings.MYSQL_CLIENT_DIR))
        sentence = end_broken_off(restore, place, tick=lambda: None)
        drop_emptied(restore, place)
    except Problem as problem:
        logger.warning("%s: %s", restore, problem.sentence())
    else:
        notes.run_append_error(restore.run, sentence)


def _drop_scratch(dead: Run, noted_as: str) -> None:
    """A database that a dead run made for itself goes; tried again each minute."""
    swapping = Restore.objects.filter(run=dead).first()
    if swapping is not None and not swapping.is_settled:
        return
    name = dead.result[noted_as]
    if not isinstance(name, str) or not _made_by(dead, name, swapping):
        _leave_alone(dead, noted_as)
        return
    # A restore to a moment makes its file there as well.
    is_scratch = mysql.is_derived(name, notes.SCRATCH_PURPOSES.values(), dead.pk)
    try:
        server = _where_it_verified(dead, name) if is_scratch else _where_it_restored(dead)
        if told := drop_scratch(dead.pk, server, name, noted_as=noted_as):
            notes.run_append_error(dead, told)
    except _LiesElsewhere as problem:
        notes.run_append_error(dead, problem.sentence())
        notes.leftover_cleared(dead.pk, noted_as)
    except Problem as problem:
        logger.warning("%s: %s", dead, problem.sentence())


class _LiesElsewhere(Problem):
    """What a dead run left is on a server that nothing names any more."""


def _where_it_restored(dead: Run) -> mysql.Server:
    return restoring_server(database_of(dead))


def _where_it_verified(dead: Run, name: str) -> mysql.Server:
    """The server that it noted when it began; for a run of a version that noted none, the one of now."""
    noted = dead.result.get("verified_on")
    address = noted.get("address") if isinstance(noted, dict) else None
    for find_server in (scratch_server, database_server):
        server = find_server(database_of(dead))
        if address is None or server.address == address:
            return scratch_log.as_noted(server, dead.result)
    raise _LiesElsewhere(
        phrase(
            "Its database {scratch} may still be at {shown}, where test restores do not go any more.",
            scratch=name,
            shown=checked.shown(address),
        ),
        code="scratch.lies_elsewhere",
        do=phrase("Drop it there."),
    )


def _made_by(dead: Run, name: str, restore: Restore | None) -> bool:
    """Whether a run makes databases of this name: its row may come from a copy that somebody wrote."""
    if mysql.is_derived(name, (*notes.SCRATCH_PURPOSES.values(), "restore"), dead.pk):
        return True
    return restore is not None and restore.mode == RestoreMode.NEW and restore.target == name


def _leave_alone(dead: Run, what: str) -> None:
    logger.warning(
        "%s: what it noted as left behind (%s: %s) is not named as such things are, so it stays as it is",
        dead, what, checked.shown(dead.result[what]),
    )  # fmt: skip
    notes.leftover_cleared(dead.pk, what)


def _remove_partial(dead: Run) -> None:
    """Half of a file that a dead run wrote goes, so far as this machine sees its folder."""
    try:
        Path(checked.PartialFile(str(dead.result["partial"]))).unlink(missing_ok=True)
    except checked.Unfit:
        _leave_alone(dead, "partial")
    except OSError as error:
        logger.warning("%s: %s cannot be removed (%s)", dead, dead.result["partial"], error)
    else:
        notes.leftover_cleared(dead.pk, "partial")


def _unlock(repository: Repository) -> None:
    """restic itself removes only locks of processes that are gone."""
    try:
        restic.remove_stale_locks(repository_access(repository))
    except Problem as problem:
        logger.warning("%s: %s", repository, problem.sentence())
