"""What should have happened in time and did not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, QuerySet

from backups.alerting import subjects
from backups.choices import AlertState, StandDownKind, SuspicionState, Verdict
from backups.models import Alert, Database, Snapshot, StandDown, Verification
from backups.scheduling import staleness
from backups.snapshots.selection import CLOCKS_DIFFER
from backups.text import formatting
from backups.text.sentences import phrase


def deadlines(now: datetime) -> Iterator[subjects.Change]:
    """Every database's newest good backup and newest verification, against what is allowed."""
    # One that a wrong clock put into the future would be timely for as long.
    past = now + CLOCKS_DIFFER
    backed_up = _newest(Snapshot.objects.trusted().meant().present().filter(time__lte=past), "time")
    proved = _newest_proved(past)
    alerts = Alert.objects.filter(state__in=[AlertState.GOOD, AlertState.OVERDUE])
    known = {
        subject: (state, since) for subject, state, since in alerts.values_list("subject", "state", "since")
    }
    paused = StandDown.objects.standing(now).of(StandDownKind.PAUSE).by_database()
    for database in Database.objects.in_service().order_by("pk"):
        for noun, times, allowed in (
            (phrase("backup"), backed_up, _backup_allowed(database)),
            (phrase("verification"), proved, staleness.verification_allowed(database, now)),
        ):
            if allowed is None:
                continue
            subject = phrase("Timely {noun} of {database}", noun=noun, database=database)
            newest = times.get(database.pk)
            stands, since = known.get(subject, (AlertState.GOOD, now))
            # Nothing yet is overdue for as long as it stays nothing.
            overdue = now - (newest or since) > allowed or (newest is None and stands == AlertState.OVERDUE)
            state = AlertState.OVERDUE if overdue else AlertState.GOOD
            sentence = _overdue_sentence(noun, database, newest, allowed) if overdue else ""
            if overdue and database.pk in paused:
                sentence += _paused_sentence(paused[database.pk][StandDownKind.PAUSE])
            yield subjects.Change(subject, subjects.Standing(state, sentence), database)


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


def _backup_allowed(database: Database) -> timedelta | None:
    if not (database.backup_cron or database.gates_app):
        return None
    return staleness.backup_allowed(database)


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
