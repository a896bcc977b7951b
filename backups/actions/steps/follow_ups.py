"""What is to be done after a backup or once a night: forget, copy the portal, check."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from backups.actions.portal_copy import copied_with
from backups.catalog import learned
from backups.choices import Trigger
from backups.models import Database, Run
from backups.requests import BackupRequest, CheckRequest, ForgetRequest, PortalCopyRequest, read_as
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
    if run.database is not None or run.trigger != Trigger.SCHEDULE:
        return
    if copied_with(run.repository):
        yield FollowUp(PortalCopyRequest(run.repository), Trigger.SCHEDULE)
    if learned.check_is_due(run.repository):
        yield FollowUp(CheckRequest(run.repository, read_data_subset=_SUBSET), Trigger.SCHEDULE)
