"""What should have happened in time and did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from backups.alerting import each_minute, subjects
from backups.alerting.each_minute import Looked
from backups.choices import AlertState, StandDownKind
from backups.models import Database, StandDown
from backups.scheduling import staleness
from backups.text import formatting
from backups.text.sentences import english, phrase, template


def news(now: datetime) -> list[subjects.Change]:
    """Of every database's newest good backup and newest verification what stands otherwise than it is known.

    Against what is allowed. What nobody was told of yet is news as well. Each minute all databases are looked
    at, and of almost none there is any.
    """
    found = list(_found(now))
    rows = Database.objects.in_bulk([each.row.pk for each in found]) if found else {}
    paused = StandDown.objects.standing(now).of(StandDownKind.PAUSE).by_database() if found else {}
    return [
        subjects.Change(each.subject, _standing(each, rows[each.row.pk], paused), rows[each.row.pk])
        for each in found
        if each.row.pk in rows
    ]


class _Found(NamedTuple):
    """One subject that stands otherwise than it is known."""

    row: Looked
    noun: str
    newest: datetime | None
    allowed: timedelta
    is_overdue: bool

    @property
    def subject(self) -> str:
        """What alerts of it are called."""
        return phrase(_SUBJECT, noun=self.noun, database=self.row.name)


_SUBJECT = template("Timely {noun} of {database}")
_BACKUP, _VERIFICATION = phrase("backup"), phrase("verification")


def _found(now: datetime) -> Iterator[_Found]:
    known = _Known()
    allowed = _Allowed(now)
    begin_of = {noun: english(phrase(_SUBJECT, noun=noun, database="")) for noun in (_BACKUP, _VERIFICATION)}
    for row in each_minute.databases(now).values():
        for noun, newest, most in (
            (_BACKUP, row.backed_up, allowed.for_backup(row)),
            (_VERIFICATION, row.proved, allowed.for_verification(row)),
        ):
            if most is None:
                continue
            subject = begin_of[noun] + row.name
            state = known.states.get(subject)
            # Nothing yet is overdue for as long as it stays nothing.
            since = newest or known.since.get(subject, now)
            is_overdue = now - since > most or (newest is None and state == AlertState.OVERDUE)
            if state != (AlertState.OVERDUE if is_overdue else AlertState.GOOD):
                yield _Found(row, noun, newest, most, is_overdue)


class _Known:
    """How these subjects stand by their alerts, and since when."""

    @cached_property
    def states(self) -> Mapping[str, str]:
        """Of all that has ever been looked at."""
        return each_minute.states()

    @cached_property
    def since(self) -> dict[str, datetime]:
        """Read only where a database has nothing by which its age is counted."""
        alerts = each_minute.TIMELY.filter(state__in=[AlertState.GOOD, AlertState.OVERDUE])
        return dict(alerts.values_list("subject", "since"))


class _Allowed:
    """How old the newest may be. Of expressions that many databases have it is worked out once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._by_cron: dict[str, timedelta | None] = {}

    def for_backup(self, row: Looked) -> timedelta | None:
        """None where nobody expects one."""
        if not (row.backup_cron or row.gates):
            return None
        return staleness.backup_allowed_by(row.threshold)

    def for_verification(self, row: Looked) -> timedelta | None:
        """None where nobody expects one."""
        cron = row.verify_cron
        if cron not in self._by_cron:
            self._by_cron[cron] = staleness.verification_allowed_by(cron, self._now)
        return self._by_cron[cron]


def _standing(
    found: _Found, database: Database, paused: Mapping[int, Mapping[str, StandDown]]
) -> subjects.Standing:
    if not found.is_overdue:
        return subjects.Standing(AlertState.GOOD)
    sentence = _overdue_sentence(found.noun, database, found.newest, found.allowed)
    if database.pk in paused:
        sentence += _paused_sentence(paused[database.pk][StandDownKind.PAUSE])
    return subjects.Standing(AlertState.OVERDUE, sentence)


def _paused_sentence(pause: StandDown) -> str:
    """That schedules stand still, after what is told of any other."""
    if pause.until is None:
        return phrase(" It is paused ({by}: {reason}).", by=pause.made_by, reason=pause.reason.rstrip(" ."))
    return phrase(
        " It is paused until {until} ({by}: {reason}).",
        until=subjects.when(pause.until),
        by=pause.made_by,
        reason=pause.reason.rstrip(" ."),
    )


def _overdue_sentence(noun: str, database: Database, newest: datetime | None, allowed: timedelta) -> str:
    known = (
        phrase("the newest good one is of {when}", when=subjects.when(newest))
        if newest
        else phrase("there is none yet")
    )
    return phrase(
        "{database} had no good {noun} for more than {allowed}: {known}. See whether the worker "
        "runs and what its newest run says.",
        database=database,
        noun=noun,
        allowed=formatting.approximate_duration(allowed),
        known=known,
    )
