"""Times of which the log is not stored: written down before anything goes on, and told once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.alerting import log_subjects, subjects
from backups.choices import AlertState, ArchiveState
from backups.errors import Problem
from backups.models import Database, LogArchive, LogGap, LogPiece
from backups.shipping import bases
from backups.text.sentences import english, phrase

# A person's own doing is no news to people.
SWITCHED_OFF = "log.switched_off"
# A prune or a check may have the repository for itself, and a server be begun anew.
LATE = timedelta(minutes=15)


def opened(archive: LogArchive, why: Problem) -> LogGap:
    """Note that the log of a database breaks off, before anything else is done about it.

    One gap stands open at a time: what breaks while it is open is within it.
    """
    with transaction.atomic():
        LogArchive.objects.select_for_update().get(pk=archive.pk)
        gap = standing(archive.database)
        if gap is None:
            gap = LogGap.objects.create(
                database=archive.database,
                begins=archive.stored_until or archive.switched_at,
                code=why.code,
                params=_plain(why.params),
                sentence=english(why.what),
                after_file=archive.file,
                after_position=archive.position,
            )
        _begin_anew(archive)
    if why.code != SWITCHED_OFF:
        _tell(archive.database, gap, why.what)
    return gap


def lost_piece(archive: LogArchive, row: LogPiece, why: Problem, ends: datetime | None) -> LogGap | None:
    """Note that a piece which was stored cannot be had any more; None where that is noted.

    `ends` is when a dump was made from which on moments can be had again; without any, the log begins anew.
    """
    known = LogGap.objects.filter(database=archive.database, after_file=row.file, after_position=row.start)
    if known.exists():
        return None
    what = phrase("Piece {piece} of the log: {what}", piece=row, what=why.what)
    with transaction.atomic():
        gap = LogGap.objects.create(
            database=archive.database,
            begins=row.first_moment or row.stored_at,
            ends=ends,
            code=why.code,
            params={"piece": str(row)},
            sentence=english(what),
            after_file=row.file,
            after_position=row.start,
        )
        if ends is None:
            _begin_anew(archive)
    _tell(archive.database, gap, what)
    return gap


def ended(archive: LogArchive, moment: datetime) -> None:
    """Note that moments from here on can be had; within the transaction that has the archive go on."""
    LogGap.objects.filter(database=archive.database, ends=None).update(ends=moment)


def _begin_anew(archive: LogArchive) -> None:
    LogPiece.objects.filter(database=archive.database, sealed=False).update(sealed=True)
    archive.state = ArchiveState.BROKEN
    archive.file, archive.file_made, archive.position, archive.gtids = "", None, None, None
    archive.save(update_fields=["state", "file", "file_made", "position", "gtids"])


def tell_end(database: Database) -> None:
    """Tell people that the log is stored again, where they were told that it is not."""
    good = subjects.Standing(AlertState.GOOD, word=phrase("stored again"))
    subjects.change(log_subjects.of_gap(database), good, database=database)


def tell_lateness(archive: LogArchive) -> None:
    """Tell people where the log could not be stored for a while, which is no gap yet, and when it could."""
    since = archive.problem_since
    is_late = since is not None and timezone.now() - since > LATE
    state = AlertState.OVERDUE if is_late else AlertState.GOOD
    sentence = phrase(
        "The binary log of {database} could not be stored since {since}. {problem} Nothing is lost as long "
        "as the server keeps its log.",
        database=archive.database,
        since=subjects.when(since or timezone.now()),
        problem=archive.problem,
    )
    standing = subjects.Standing(state, sentence)
    subjects.change(log_subjects.of_lateness(archive.database), standing, database=archive.database)


def standing(database: Database) -> LogGap | None:
    """The gap that is open; None where the log is stored."""
    return LogGap.objects.filter(database=database, ends=None).order_by("pk").first()


def _tell(database: Database, gap: LogGap, what: str) -> None:
    if bases.is_at_rest(database):
        then = phrase("It is paused, so no backup is made by itself: make one, from which the log goes on.")
    else:
        then = phrase("A backup is made, from which it goes on.")
    sentence = phrase(
        "The binary log of {database} is not stored from {begins} on. {sentence} Backups and restores go on "
        "as before; moments within the gap cannot be restored. {then}",
        database=database,
        begins=subjects.when(gap.begins),
        sentence=what,
        then=then,
    )
    bad = subjects.Standing(AlertState.FAILED, sentence, word=phrase("has a gap"))
    subjects.change(log_subjects.of_gap(database), bad, database=database)


def _plain(params: Any) -> dict[str, Any]:
    return {
        str(name): value if isinstance(value, int) else english(str(value)) for name, value in params.items()
    }
