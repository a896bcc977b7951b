"""Switching the log of a database on, off, and on again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from backups.choices import ArchiveState
from backups.endpoints import database_server
from backups.errors import Problem
from backups.models import Database, LogArchive
from backups.shipping import bases, checks, gaps
from backups.text.sentences import phrase


def switch_on(database: Database, by: str) -> tuple[LogArchive, list[str]]:
    """Have the log of a database stored from its next dump on; answers what is worth knowing as well.

    A backup is queued for it. After it was off, the time between is a gap. Raises Problem where the server is
    not as it has to be, with the statements that are missing; then nothing is changed.
    """
    found = checks.checked(database_server(database), database.database)
    found.refuse()
    with transaction.atomic():
        archive, _ = LogArchive.objects.select_for_update().get_or_create(database=database)
        if archive.is_on:
            return archive, found.warnings
        archive.state = ArchiveState.WAITING
        archive.switched_at, archive.switched_by = timezone.now(), by[:200]
        archive.problem = archive.problem_code = ""
        archive.problem_since = None
        archive.save()
        if archive.stored_until is not None or gaps.standing(database) is not None:
            gaps.opened(archive, _was_off(database))
    bases.ask_for_one(database, archive.switched_at)
    return archive, found.warnings


def _was_off(database: Database) -> Problem:
    return Problem(
        phrase("The log of {database} was switched off for a while.", database=database),
        code=gaps.SWITCHED_OFF,
    )
