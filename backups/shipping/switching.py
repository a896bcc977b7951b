"""Switching the log of a database on, off, and on again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backups.choices import Action, ArchiveState, Status
from backups.endpoints import database_server
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.models import Database, LogArchive, Run
from backups.shipping import bases, checks, gaps, packets
from backups.text import formatting
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
        was_on = archive.is_on
        if not was_on:
            _begin(archive, by)
    # Before anything is asked of a server, which may take long or be broken off.
    untold = list(_told_gate(archive))
    if was_on:
        return archive, [*found.warnings, *untold]
    bases.ask_for_one(database, archive.switched_at)
    known = [*found.warnings, *packets.warnings(database), *gate_closes_meanwhile(database)]
    return archive, [*known, *untold]


def _begin(archive: LogArchive, by: str) -> None:
    archive.state = ArchiveState.WAITING
    archive.switched_at, archive.switched_by = timezone.now(), by[:200]
    archive.problem = archive.problem_code = ""
    archive.problem_since = None
    archive.save()
    if archive.stored_until is not None or gaps.standing(archive.database) is not None:
        gaps.opened(archive, _was_off(archive.database))


def gate_closes_meanwhile(database: Database) -> Iterator[str]:
    """Where the first backup takes longer than the gate lets a log that is to be stored be unstored."""
    allowed = timedelta(seconds=settings.SENTINEL.log_threshold_seconds)
    backups = Run.objects.filter(database=database, action=Action.BACKUP, status=Status.SUCCEEDED)
    newest = backups.filter(finished_at__isnull=False).order_by("-finished_at").first()
    takes = newest.duration() if newest is not None else None
    if allowed and database.gates_app and takes is not None and takes >= allowed:
        yield phrase(
            "The newest backup took {takes}, and SENTINEL_LOG_THRESHOLD_SECONDS allows {allowed} without a "
            "stored log: the gate closes until the first backup is over. Allow more, or override the gate "
            "meanwhile.",
            takes=formatting.duration(takes),
            allowed=formatting.approximate_duration(allowed),
        )


def _told_gate(archive: LogArchive) -> Iterator[str]:
    """Have the gate look at how old the log is, from now on; why that is not so yet."""
    try:
        # First what the list says is to be read.
        heartbeat_files.write_last_logged([archive])
        heartbeat_files.write_gates()
    except Problem as problem:
        yield problem.sentence()


def _was_off(database: Database) -> Problem:
    return Problem(
        phrase("The log of {database} was switched off for a while.", database=database),
        code=gaps.SWITCHED_OFF,
    )
