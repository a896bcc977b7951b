"""How old backups and verifications may get, and whether their schedules keep within that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings

from backups.models import Database
from backups.scheduling.schedules import longest_age, longest_gap, usable
from backups.text import formatting
from backups.text.sentences import phrase


def backup_allowed(database: Database) -> timedelta:
    """The age past which a database's newest backup is stale: its own threshold, or the general one."""
    return backup_allowed_by(database.heartbeat_threshold)


def backup_allowed_by(own: int | None) -> timedelta:
    """The same by a database's own threshold in seconds, None where it has none."""
    return timedelta(seconds=settings.SENTINEL.threshold_seconds if own is None else own)


def verification_allowed(database: Database, now: datetime) -> timedelta | None:
    """The gate's threshold where one is set, else twice the longest time between two that are scheduled.

    None where neither is.
    """
    return verification_allowed_by(database.verify_cron, now)


def verification_allowed_by(verify_cron: str, now: datetime) -> timedelta | None:
    """The same by a database's cron expression."""
    if seconds := settings.SENTINEL.verified_threshold_seconds:
        return timedelta(seconds=seconds)
    cron = usable(verify_cron)
    return 2 * longest_gap(cron, after=now) if cron else None


def proof_counts(database: Database, now: datetime) -> timedelta:
    """For how long a proof is one: where nothing says how often there is to be another, a month."""
    return verification_allowed(database, now) or _PROOF_COUNTS


_PROOF_COUNTS = timedelta(days=31)


def conflicts(
    database: Database, now: datetime | None = None, *, takes: timedelta = timedelta()
) -> Iterator[str]:
    """What the schedules alone, all going well, would let become stale; a sentence for each.

    `takes` is how long a backup takes: it is as old as its begin, and there at its end.
    """
    allowed = backup_allowed(database)
    cron = usable(database.backup_cron)
    if cron and (gap := longest_gap(cron, after=now)) + takes >= allowed:
        length = phrase(", take {takes},", takes=formatting.duration(takes)) if gap < allowed else ""
        yield (
            phrase(
                "Backups are scheduled up to {gap} apart{length} and are stale after {allowed}: "
                "{consequence} in between. Back up more often, or allow more.",
                gap=formatting.approximate_duration(gap),
                length=length,
                allowed=formatting.approximate_duration(allowed),
                consequence=_consequence(database),
            )
        )
    allowed = timedelta(seconds=settings.SENTINEL.verified_threshold_seconds)
    if allowed and usable(database.verify_cron) and (age := _verified_age(database, now)) >= allowed:
        yield (
            phrase(
                "By the schedules, the newest verified backup gets {age} old, but "
                "SENTINEL_VERIFIED_THRESHOLD_SECONDS allows {allowed}: {consequence} in between. "
                "Verify more often, or allow more.",
                age=formatting.approximate_duration(age),
                allowed=formatting.approximate_duration(allowed),
                consequence=_consequence(database),
            )
        )


def _consequence(database: Database) -> str:
    return phrase("the gate closes") if database.gates_app else phrase("an alert comes")


def log_conflict(database: Database) -> str:
    """What is wrong with the threshold of a stored log, all going well; empty where nothing is."""
    allowed = timedelta(seconds=settings.SENTINEL.log_threshold_seconds)
    if not database.gates_app or not allowed or allowed >= _LOG_LEAST:
        return ""
    return phrase(
        "The binary log is fetched once a minute, but SENTINEL_LOG_THRESHOLD_SECONDS allows {allowed}: "
        "the gate closes in between. Allow {least} at least.",
        allowed=formatting.approximate_duration(allowed),
        least=formatting.approximate_duration(_LOG_LEAST),
    )


LOG_FETCHED_EVERY = timedelta(minutes=1)
# A minute, and what storing takes.
_LOG_LEAST = 3 * LOG_FETCHED_EVERY


def _verified_age(database: Database, now: datetime | None) -> timedelta:
    """The age of the backup that was verified, not of its verification, is what the gate goes by."""
    if not usable(database.backup_cron):
        return longest_gap(database.verify_cron, after=now)
    return longest_age(database.backup_cron, database.verify_cron, after=now)
