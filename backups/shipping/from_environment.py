"""What the environment wants of the first database's binary log (ARCHIVE_LOGS)."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from backups.choices import Action, Status
from backups.errors import Problem
from backups.models import Database, LogArchive, Run
from backups.shipping import bases, switching
from backups.text.sentences import phrase


def is_wanted(database: Database) -> bool:
    """Whether the environment wants the log stored, and nobody has switched it on or off yet."""
    is_ours = settings.ARCHIVE_LOGS and database.is_primary
    return is_ours and not LogArchive.objects.filter(database=database).exists()


def switch_on_unless_decided(database: Database) -> Iterator[str]:
    """Have the log of the first database stored where that is wanted; answers what is to be known of it.

    A server that is not ready for it is said, and keeps nothing else waiting.
    """
    if not is_wanted(database):
        return
    if bases.is_at_rest(database):
        # It would be decided now, and nothing that a log begins at is made.
        yield phrase(
            "ARCHIVE_LOGS is set, but {database} is paused or retired, so its binary log is not stored yet. "
            "Run `manage.py bootstrap` once the database is backed up again.",
            database=database,
        )
        return
    try:
        _, warnings = switching.switch_on(database, "ARCHIVE_LOGS")
    except Problem as problem:
        yield not_yet(database)
        yield problem.sentence()
        return
    yield from warnings
    if Run.objects.filter(database=database, action=Action.BACKUP, status=Status.QUEUED).exists():
        yield phrase(
            "The log of {database} is stored from its next backup on, which is queued.", database=database
        )
    else:
        yield phrase("The log of {database} is stored from its next backup on.", database=database)


def not_yet(database: Database) -> str:
    """That it is wanted and is not stored, and what to do."""
    return phrase(
        "ARCHIVE_LOGS is set, but the binary log of {database} is not stored yet. Run "
        "`manage.py bootstrap`, which says what is missing.",
        database=database,
    )
