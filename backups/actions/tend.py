"""Every minute: give up runs whose worker died, and clear up what they left behind."""

from __future__ import annotations

import logging

from backups import process, restic, services
from backups.actions import verify
from backups.connections import repository_access, scratch_server
from backups.errors import Problem
from backups.models import Repository, Run

logger = logging.getLogger(__name__)


def run() -> list[Run]:
    """Reap, unlock, send again; answers the runs that were lost."""
    lost = services.runs_reap(is_gone=process.is_gone)
    for dead in lost:
        logger.warning("%s: %s", dead, dead.error)
    for repository in {dead.repository for dead in lost}:
        _unlock(repository)
    for dead in services.scratch_left():
        _drop_scratch(dead)
    services.runs_resend()
    return lost


def _drop_scratch(dead: Run) -> None:
    """A test restore whose worker died leaves its database; tried again each minute."""
    assert dead.database is not None  # noqa: S101
    try:
        verify.drop_scratch(dead.pk, scratch_server(dead.database), dead.result["scratch"])
    except Problem as problem:
        logger.warning("%s: %s", dead, problem.sentence())


def _unlock(repository: Repository) -> None:
    """restic itself removes only locks of processes that are gone."""
    try:
        restic.call(
            repository_access(repository), restic.unlock_args(), doing="removing stale locks",
            deadline=restic.PROBE_DEADLINE_SECONDS,
        )  # fmt: skip
    except Problem as problem:
        logger.warning("%s: %s", repository, problem.sentence())
