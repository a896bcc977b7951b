"""What should have happened in time and did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Max, OuterRef, QuerySet, Subquery

from backups.alerting import subjects
from backups.choices import AlertState, StandDownKind, SuspicionState, Verdict
from backups.models import Alert, Database, Snapshot, StandDown, Verification
from backups.scheduling import staleness
from backups.snapshots.selection import CLOCKS_DIFFER
from backups.text import formatting
from backups.text.sentences import english, phrase, template


class _Row(NamedTuple):
    """What decides of a database whether it is in time."""

    pk: int
    name: str
    gates: bool
    backup_cron: str
    threshold: int | None
    verify_cron: str
    backed_up: datetime | None


_COLUMNS = ("pk", "name", "gates_app", "backup_cron", "heartbeat_threshold", "verify_cron", "newest")


def news(now: datetime) -> list[subjects.Change]:
    """Of every database's newest good backup and newest verification what stands otherwise than it is known.

    Against what is allowed. What nobody was told of yet is news as well. Each minute all databases are looked
    at, and of almost none there is any.
    """
    # One that a wrong clock put into the future would be timely for as long.
    past = now + CLOCKS_DIFFER
    found = list(_found(now, past))
    rows = Database.objects.in_bulk([each.row.pk for each in found]) if found else {}
    paused = StandDown.objects.standing(now).of(StandDownKind.PAUSE).by_database() if found else {}
    return [
        subjects.Change(each.subject, _standing(each, rows[each.row.pk], paused), rows[each.row.pk])
        for each in found
        if each.row.pk in rows
    ]


class _Found(NamedTuple):
    """One subject that stands otherwise than it is known."""

    row: _Row
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


def _found(now: datetime, past: datetime) -> Iterator[_Found]:
    known = _Known()
    proved = _newest_proved(past)
    allowed = _Allowed(now)
    begin_of = {noun: english(phrase(_SUBJECT, noun=noun, database="")) for noun in (_BACKUP, _VERIFICATION)}
    for row in map(_Row._make, _rows(past)):
        for noun, newest, most in (
            (_BACKUP, row.backed_up, allowed.for_backup(row)),
            (_VERIFICATION, proved.get(row.pk), allowed.for_verification(row)),
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


def _rows(past: datetime) -> QuerySet[Any, Any]:
    backups = Snapshot.objects.trusted().meant().present().filter(database=OuterRef("pk"), time__lte=past)
    databases = Database.objects.in_service().order_by("pk")
    return databases.annotate(newest=Subquery(backups.newest_first().values("time")[:1])).values_list(
        *_COLUMNS
    )


class _Known:
    """How these subjects stand by their alerts, and since when."""

    _alerts = Alert.objects.filter(subject__startswith="Timely ").order_by()

    @cached_property
    def states(self) -> dict[str, str]:
        """Of all that has ever been looked at."""
        return dict(self._alerts.values_list("subject", "state"))

    @cached_property
    def since(self) -> dict[str, datetime]:
        """Read only where a database has nothing by which its age is counted."""
        alerts = self._alerts.filter(state__in=[AlertState.GOOD, AlertState.OVERDUE])
        return dict(alerts.values_list("subject", "since"))


class _Allowed:
    """How old the newest may be. Of expressions that many databases have it is worked out once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._by_cron: dict[str, timedelta | None] = {}

    def for_backup(self, row: _Row) -> timedelta | None:
        """None where nobody expects one."""
        if not (row.backup_cron or row.gates):
            return None
        return staleness.backup_allowed_by(row.threshold)

    def for_verification(self, row: _Row) -> timedelta | None:
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


def _newest_proved(past: datetime) -> dict[int, datetime]:
    """By when verifications ended; where the gate asks for them, as it does: by what they verified."""
    if settings.SENTINEL.verified_threshold_seconds:
        trusted = Snapshot.objects.trusted().meant()
        return _newest(trusted.verified().filter(time__lte=past), "time")
    good = Verification.objects.filter(verdict=Verdict.IDENTICAL, finished_at__lte=past).exclude(
        snapshot__suspicion__state__in=[SuspicionState.WAITING, SuspicionState.OVER]
    )
    return _newest(good, "finished_at", "snapshot__database")


def _newest(rows: QuerySet[Any], field: str, database: str = "database") -> dict[int, datetime]:
    return dict(rows.values_list(database).annotate(newest=Max(field)))


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
