"""What people do with the archive of a log that needs no server: switch it off, and say what they saw."""

from __future__ import annotations

from django.utils import timezone

from backups.choices import ArchiveState
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.models import Database, LogArchive, LogGap
from backups.text.sentences import phrase


def switch_off(database: Database, by: str) -> LogArchive | None:
    """Store no more of the log of a database. What is stored stays until retention forgets it.

    Raises Problem where the gate cannot be told, with the next backup at the latest it is.
    """
    archive = LogArchive.objects.filter(database=database).first()
    if archive is None or not archive.is_on:
        return archive
    archive.state = ArchiveState.OFF
    archive.switched_at, archive.switched_by = timezone.now(), by[:200]
    archive.save(update_fields=["state", "switched_at", "switched_by"])
    try:
        heartbeat_files.write_gates()
    except Problem as problem:
        problem.safe = phrase("The log is stored no more, but the gate still looks at how old it is.")
        raise
    return archive


def acknowledge(database: Database, upto: int, by: str) -> int:
    """Note that a person knows of all gaps up to one, by its key; answers of how many."""
    unseen = LogGap.objects.filter(database=database, pk__lte=upto, acknowledged_at=None)
    return unseen.update(acknowledged_at=timezone.now(), acknowledged_by=by[:200])
