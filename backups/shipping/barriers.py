"""What no replay goes past: a backup is asked for until one stands behind it, and people are told until then.

One whose position is not exact, or that fails, is of no use for it, so it is not enough that one was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from backups.alerting import log_subjects, subjects
from backups.choices import TERMINAL, Action, AlertState
from backups.models import Alert, Database, LogArchive, LogPiece, Run
from backups.moments.large_rows import is_one as is_large_row
from backups.moments.refusals import why
from backups.moments.rows import log_of
from backups.moments.timeline import Barrier
from backups.moments.windows import open_barrier
from backups.shipping import bases
from backups.text.sentences import phrase

# Whoever makes a barrier each minute is not backed up each minute.
MOST_AN_HOUR = 2
_HOUR = timedelta(hours=1)
# After each that came to nothing the wait is twice as long, up to a day.
_LONGEST = timedelta(days=1)


def see_to(archive: LogArchive) -> None:
    """Ask for a backup where the newest barrier has none behind it, and tell people of it and of its end."""
    database = archive.database
    noted = _noted(database)
    barrier = open_barrier(log_of(database, with_marks=False)) if noted else None
    if barrier is None:
        good = phrase(
            "Moments of {database} can be restored again, from a newer backup on.", database=database
        )
        standing = subjects.Standing(AlertState.GOOD, word=phrase("go on"), good=good)
    else:
        standing = _standing(database, barrier, _ask(database, noted))
    subjects.change(log_subjects.of_barrier(database), standing, database=database)


def _noted(database: Database) -> list[datetime]:
    """When barriers were noted, of all that may have no dump behind them: a few rows in each minute."""
    pieces = LogPiece.objects.filter(database=database, forgotten_at=None)
    if newest := bases.exact_dumps(database)[:1]:
        # What is behind a dump was stored after it; an hour is for clocks that differ.
        pieces = pieces.filter(stored_at__gte=newest[0].time - _HOUR)
    return [
        datetime.fromisoformat(barrier["seen"]) if barrier.get("seen") else stored
        for stored, found in pieces.values_list("stored_at", "barriers")
        for barrier in found
        if not is_large_row(barrier)
    ]


def _ask(database: Database, noted: Sequence[datetime]) -> datetime | None:
    """Queue a backup if it is time for one; answers when the next may be, None where one is under way."""
    newest = max(noted)
    if bases.is_newer(database, newest):
        # It counts as soon as the log is stored up to it.
        return None
    backups = Run.objects.filter(database=database, action=Action.BACKUP).order_by("-pk")
    since = list(backups.filter(queued_at__gte=newest))
    if any(run.status not in TERMINAL for run in since):
        return None
    due = _after_useless(since) if since else _after_others(backups, noted)
    if due is None or due <= timezone.now():
        bases.queue(database)
        return None
    return due


def _after_useless(since: Sequence[Run]) -> datetime:
    """When the next may be, after those that were made behind the barrier and failed or are not exact."""
    ended = since[0].finished_at or since[0].queued_at
    return ended + min(_HOUR * 2 ** min(len(since) - 1, 10), _LONGEST)


def _after_others(backups: QuerySet[Run], noted: Sequence[datetime]) -> datetime | None:
    """When the next may be, after those that were made for earlier barriers of this hour; None for now."""
    hour_ago = timezone.now() - _HOUR
    first = min(each for each in noted if each >= hour_ago) if max(noted) >= hour_ago else None
    lately = [] if first is None else list(backups.filter(queued_at__gte=first)[:MOST_AN_HOUR])
    return lately[-1].queued_at + _HOUR if len(lately) == MOST_AN_HOUR else None


def _standing(database: Database, barrier: Barrier, due: datetime | None) -> subjects.Standing:
    since = subjects.when(barrier.moment or timezone.now())
    if bases.is_at_rest(database):
        then = phrase("It is paused, so no backup is made by itself: make one for later moments.")
    elif due is not None:
        then = phrase(
            "The backups made for that did not bring later moments, so the next is made at {due}. Make one "
            "before if you need them; its page says why it has no exact position in the log, if it has none.",
            due=subjects.when(due),
        )
    else:
        then = phrase("A backup is made, from which they can be had again.")
    sentence = phrase(
        "Moments of {database} after {since} cannot be restored: the log cannot be replayed past that. {why} "
        "{then} Backups and earlier moments can be restored as before.",
        database=database,
        since=since,
        why=why(barrier),
        then=then,
    )
    known = (
        Alert.objects.filter(subject=log_subjects.of_barrier(database))
        .values_list("state", flat=True)
        .first()
    )
    # That it takes longer than a backup is news of its own, and that it is tried again is none.
    is_stuck = due is not None or bases.is_at_rest(database) or known == AlertState.FAILED
    state = AlertState.FAILED if is_stuck else AlertState.OVERDUE
    return subjects.Standing(state, sentence, word=phrase("end at {since}", since=since))
