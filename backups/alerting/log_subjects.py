"""How alerts of a database's binary log are called, and their end where the log is switched off."""

from __future__ import annotations

from datetime import datetime

from backups.alerting import subjects
from backups.choices import AlertState, ArchiveState
from backups.models import Alert, Database
from backups.text.sentences import phrase


def of_gap(database: Database) -> str:
    """Of a time of which it is not stored."""
    return phrase("Log of {database}", database=database)


def of_barrier(database: Database) -> str:
    """Of moments that end at what no replay goes past."""
    return phrase("Moments of {database}", database=database)


def of_lateness(database: Database) -> str:
    """Of one that could not be stored for a while."""
    return phrase("Storing the log of {database}", database=database)


def note_switched_off(now: datetime) -> None:
    """Of what is stored no more nothing is wrong any more; who was told that it is is told this."""
    bad = Alert.objects.exclude(state=AlertState.GOOD).filter(database__log_archive__state=ArchiveState.OFF)
    for alert in bad.select_related("database"):
        assert alert.database is not None  # noqa: S101  as it was chosen
        if alert.subject not in [of(alert.database) for of in (of_gap, of_barrier, of_lateness)]:
            continue
        words = subjects.Standing(
            AlertState.GOOD,
            word=phrase("switched off"),
            good=phrase(
                "The binary log of {database} is stored no more, as somebody wanted. Its backups go on.",
                database=alert.database,
            ),
        )
        subjects.change(alert.in_words("subject"), words, now=now)
