"""Databases that are paused, muted or retired: a person's word, until somebody ends it or its end comes.

A pause stops what schedules ask for, and nothing else: the gate goes by the age of the backups as always. A
mute holds messages back, which pages show all the same. A retired database is backed up no more and gates
no more; its snapshots stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.choices import StandDownKind
from backups.errors import Problem
from backups.keeping.pins import NOTHING_CHANGED, refuse_unfit_reason
from backups.models import Database, StandDown
from backups.text import formatting
from backups.text.sentences import phrase, template


@dataclass(frozen=True)
class Wish:
    """Why, until when (None is until somebody ends it), and who says so."""

    reason: str
    by: str
    until: datetime | None = None


def begin(database: Database, kind: StandDownKind, wish: Wish) -> StandDown:
    """Have a database stand down; what stood of the same kind ends.

    Raises Problem for an unfit wish, and where the database is retired, so that nothing is left to stop.
    """
    refuse_unfit_reason(wish.reason)
    now = timezone.now()
    if wish.until is not None and wish.until <= now:
        raise Problem(
            phrase("{until} is over.", until=formatting.clock(wish.until, now)),
            code="stand_down.until_is_over",
            safe=NOTHING_CHANGED,
            do=phrase("Give a moment that is yet to come."),
        )
    if kind == StandDownKind.MUTE and wish.until is None:
        raise Problem(
            phrase("Messages are held back for a time only."),
            code="stand_down.mute_without_end",
            safe=NOTHING_CHANGED,
            do=phrase("Say until when."),
        )
    with transaction.atomic():
        # Two who press at once leave one behind.
        Database.objects.select_for_update().get(pk=database.pk)
        _refuse_retired(database)
        _end(database, kind, wish.by, now)
        return StandDown.objects.create(
            database=database, kind=kind, reason=wish.reason.strip(), until=wish.until, made_by=wish.by[:200]
        )


def end(database: Database, kind: StandDownKind, *, by: str) -> bool:
    """End it before its time; False where nothing of this kind stood."""
    return bool(_end(database, kind, by, timezone.now()))


def _refuse_retired(database: Database) -> None:
    if is_retired(database):
        raise Problem(
            phrase("{database} is retired: nothing of it starts by schedule.", database=database),
            code="stand_down.is_retired",
            safe=NOTHING_CHANGED,
            do=phrase("Take it back into service first."),
        )


def not_standing(database: Database, kind: StandDownKind) -> Problem:
    """That there is nothing to end."""
    return Problem(
        phrase(_NOT_STANDING[kind], database=database), code="stand_down.not_standing", safe=NOTHING_CHANGED
    )


_NOT_STANDING = {
    StandDownKind.PAUSE: template("{database} is not paused."),
    StandDownKind.MUTE: template("{database} is not muted."),
    StandDownKind.RETIREMENT: template("{database} is not retired."),
}
# What is told, and kept, of one that was ended.
ENDED = {
    StandDownKind.PAUSE: phrase("Resumed."),
    StandDownKind.MUTE: phrase("Unmuted."),
    StandDownKind.RETIREMENT: phrase("Taken back into service."),
}


def _end(database: Database, kind: StandDownKind, by: str, now: datetime) -> int:
    standing_now = StandDown.objects.standing(now).of(kind).filter(database=database)
    return standing_now.update(ended_at=now, ended_by=by[:200])


def standing(database: Database, now: datetime | None = None) -> dict[str, StandDown]:
    """What holds for a database, by kind."""
    found = StandDown.objects.standing(now or timezone.now()).filter(database=database)
    return found.by_database().get(database.pk, {})


def is_retired(database: Database) -> bool:
    """Whether somebody retired it."""
    return StandDown.objects.of(StandDownKind.RETIREMENT).filter(database=database, ended_at=None).exists()


def which_are_retired(databases: Iterable[int]) -> set[int]:
    """Of databases, by their keys, those that somebody retired."""
    rows = StandDown.objects.of(StandDownKind.RETIREMENT).filter(database__in=databases, ended_at=None)
    return set(rows.values_list("database_id", flat=True))


def retired_words(database: Database) -> str:
    """That nothing of it is forgotten; empty where it is in service."""
    if not is_retired(database):
        return ""
    return phrase("Nothing of {database} is forgotten, because it is retired.", database=database)


def told(one: StandDown) -> str:
    """Who said so, why, and until when, for a page."""
    if one.until is None:
        return phrase(
            "by {person}, {time}: {reason}",
            person=one.made_by,
            time=formatting.clock(one.made_at),
            reason=one.reason,
        )
    return phrase(
        "by {person}, {time}, until {until}: {reason}",
        person=one.made_by,
        time=formatting.clock(one.made_at),
        until=formatting.clock(one.until),
        reason=one.reason,
    )
