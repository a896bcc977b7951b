"""What is to be done after a backup or once a night: forget, copy the portal, check."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from backups.catalog import learned
from backups.catalog.portal_copies import copied_with
from backups.choices import Trigger
from backups.models import Database, Repository, Run
from backups.requests import BackupRequest, CheckRequest, ForgetRequest, PortalCopyRequest, Request, read_as
from backups.runs.outcome import FollowUp

# How much of the data a check reads that nobody asked for.
_SUBSET = "5%"


def leaves_it_to_the_night(run: Run) -> bool:
    """Whether nobody waits for a backup, so that what follows is done for all of its repository at once."""
    if settings.FORGET_AFTER == "backup":
        return False
    return run.trigger == Trigger.SCHEDULE or read_as(run, BackupRequest).scheduled


def after_backup(run: Run, database: Database) -> Iterator[FollowUp]:
    """What follows a backup at once."""
    if leaves_it_to_the_night(run):
        return
    yield FollowUp(ForgetRequest(run.repository, database))
    if copied_with(database.repository):
        yield FollowUp(PortalCopyRequest(run.repository))
    if learned.check_is_due(database.repository):
        yield FollowUp(CheckRequest(run.repository, database, read_data_subset=_SUBSET))


def at_night(run: Run) -> Iterator[FollowUp]:
    """What follows the forget of a whole repository, where its schedule asked for that."""
    if run.database is None and run.trigger == Trigger.SCHEDULE:
        for request in of_a_night(run.repository):
            yield FollowUp(request, Trigger.SCHEDULE)


def of_a_night(repository: Repository) -> Iterator[Request]:
    """What a repository needs each night beside a forget."""
    if copied_with(repository):
        yield PortalCopyRequest(repository)
    if learned.check_is_due(repository):
        yield CheckRequest(repository, read_data_subset=_SUBSET)
