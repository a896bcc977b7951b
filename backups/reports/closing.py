"""When one database alone would close the gate: for who is about to have nothing more made of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from backups.gate import heartbeat_files
from backups.models import Database, LogArchive
from backups.scheduling import staleness
from backups.text import formatting
from backups.text.sentences import phrase


def closes_at(database: Database) -> datetime | None:
    """When the gate closes for it if nothing more is backed up or verified, which may be over.

    None where the gate does not look at it, and where nothing good is known of it. Its log goes on being
    stored, so that counts only where it is too old already.
    """
    if not database.gates_app:
        return None
    ends = []
    if (backed_up := heartbeat_files.last_ok(database)) is not None:
        ends.append(backed_up + staleness.backup_allowed(database))
    allowed = timedelta(seconds=settings.SENTINEL.verified_threshold_seconds)
    if allowed and (verified := heartbeat_files.last_verified(database)) is not None:
        ends.append(verified + allowed)
    if (stale_since := _log_stale_since(database)) is not None:
        ends.append(stale_since)
    return min(ends, default=None)


def _log_stale_since(database: Database) -> datetime | None:
    allowed = timedelta(seconds=settings.SENTINEL.log_threshold_seconds)
    if not allowed or not LogArchive.objects.wanted().filter(database=database).exists():
        return None
    logged = heartbeat_files.last_logged(database)
    end = None if logged is None else logged + allowed
    return end if end is not None and end < timezone.now() else None


def gate_words(database: Database) -> str:
    """When it closes if nothing more is made of a database."""
    if not database.gates_app:
        return _DOES_NOT_LOOK
    at = closes_at(database)
    if at is None:
        return phrase("There is no good backup yet by which it could go.")
    if at <= timezone.now():
        return phrase("This database keeps it closed already, since {at}.", at=formatting.clock(at))
    return phrase(
        "It goes by the age of the backups as always: it closes {at} ({age}), unless somebody backs the "
        "database up. Who wants it open for longer overrides it on the page Gate.",
        at=formatting.clock(at),
        age=formatting.age(at),
    )


def gate_words_without(database: Database) -> str:
    """What it goes by once a database is retired."""
    if not database.gates_app:
        return _DOES_NOT_LOOK
    if others_gate(database):
        return phrase("It does not look at this database any more.")
    return phrase(
        "This is the last database that it looks at. It stays as it is and closes when the newest backup is "
        "too old. Let another database gate before, or take the gate out of your web server."
    )


_DOES_NOT_LOOK = phrase("It does not look at this database.")


def others_gate(database: Database) -> bool:
    """Whether the gate has others in service to look at."""
    return heartbeat_files.gating().in_service().exclude(pk=database.pk).exists()
