"""When one database alone would close the gate: for who is about to have nothing more made of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from backups.gate import heartbeat_files
from backups.models import Database
from backups.scheduling import staleness


def closes_at(database: Database) -> datetime | None:
    """When the gate closes for it if nothing more is backed up or verified, which may be over.

    None where the gate does not look at it, and where nothing good is known of it.
    """
    if not database.gates_app:
        return None
    ends = []
    if (backed_up := heartbeat_files.last_ok(database)) is not None:
        ends.append(backed_up + staleness.backup_allowed(database))
    allowed = timedelta(seconds=settings.SENTINEL.verified_threshold_seconds)
    if allowed and (verified := heartbeat_files.last_verified(database)) is not None:
        ends.append(verified + allowed)
    return min(ends, default=None)
