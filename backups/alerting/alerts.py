"""Tells people when something fails and when it works again: one message a change, not an attempt.

Each subject (the backup of a database, the check of a repository, a database's freshness …) has a
row that says how it stands (`subjects`). `run_ended` and `tend` note a change there; the message goes
out at once, and is tried again by `tend` for those whom it did not reach (`delivery`).

Nothing here may fail or hold up a run.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec

from django.conf import settings
from django.utils import timezone

from backups.alerting import channel_delivery, channel_tending, delivery, overdue, pings, subjects
from backups.alerting.findings import note_findings, note_retired, note_secrets
from backups.alerting.log_subjects import note_switched_off
from backups.choices import (
    APPLY_ROWS,
    FORGET_SNAPSHOT,
    RESTORE_ACTIONS,
    Action,
    AlertEvent,
    AlertState,
    ReplayVerdict,
    Status,
)
from backups.keeping import suspicions
from backups.models import Alert, Database, Run
from backups.reports import standing
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")

_STATES = {
    Status.SUCCEEDED: AlertState.GOOD,
    Status.FAILED: AlertState.FAILED,
    Status.LOST: AlertState.LOST,
}
_ABOUT_THE_REPOSITORY = frozenset(
    {
        Action.CHECK,
        Action.FORGET,
        Action.PRUNE,
        Action.REPAIR_INDEX,
        Action.REPAIR_SNAPSHOTS,
        Action.SNAPSHOTS,
        Action.STATS,
        Action.UNLOCK,
        Action.INIT,
        Action.PORTAL,
    }
)


def _harmless(work: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """What goes wrong while telling people must not become a run's failure."""

    @functools.wraps(work)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  nor any other
            # Without its text, which may hold an address.
            logger.error("%s failed with %s", work.__name__, type(error).__name__)

    return wrapped


@_harmless
def run_began(run: Run) -> None:
    """Tell PING_URL that a backup starts, without waiting for its answer."""
    if run.action == Action.BACKUP and settings.PING_URL:
        threading.Thread(target=pings.ping, args=("start", pings.pair_of(run)), daemon=True).start()


@_harmless
def run_ended(run_id: int) -> None:
    """Tell people where the run's outcome changes how its subject stands; cancelled changes nothing."""
    run = Run.objects.select_related("database", "repository").get(pk=run_id)
    state = _STATES.get(Status(run.status))
    if state is None or _is_no_news(run):
        return
    whose = run.repository if run.database is None or run.action in _ABOUT_THE_REPOSITORY else run.database
    subject = phrase("{action} of {whose}", action=run.get_action_display(), whose=whose)
    sentence = run.error_told
    if state == AlertState.GOOD and (suspicious := run.result.get("suspicious")):
        state, sentence = AlertState.SUSPICIOUS, suspicions.told(run.pk, suspicious)
    stands = subjects.Standing(
        state, sentence, event=AlertEvent.RESTORE if run.action in RESTORE_ACTIONS else None
    )
    subjects.change(subject, stands, database=run.database if whose == run.database else None)
    until = time.monotonic() + delivery.SEND_SECONDS
    if run.action == Action.BACKUP and settings.PING_URL:
        pings.ended(run, state)
    # One deadline for all; whom it does not reach in time is tried again, here or by the worker.
    delivery.deliver(seconds=until - time.monotonic())
    if (left := until - time.monotonic()) > _WORTH_SECONDS and channel_delivery.is_able():
        channel_delivery.deliver(seconds=left)


# In less, a program that sends would be ended while it begins. The worker does it within a minute.
_WORTH_SECONDS = 5.0


def _is_no_news(run: Run) -> bool:
    """Whether who asked for it looks at it: a connection test, a comparison, a script that is proved, one
    snapshot forgotten by hand; or a proof by replay had nothing to prove, which neither raises nor clears
    anything.

    The last but one says nothing of the forget at night, whose alert it would raise or clear.
    """
    form = run.request.get("form") if isinstance(run.request, dict) else None
    is_proof = run.action == Action.ROWS_BACK and form != APPLY_ROWS
    proved_nothing = run.action == Action.REPLAY and run.result.get("verdict") == ReplayVerdict.NOTHING
    is_asked = run.action in (Action.PREFLIGHT, Action.DIFF) or is_proof or form == FORGET_SNAPSHOT
    return is_asked or proved_nothing


@_harmless
def backup_accepted(database: Database) -> None:
    """Tell people that a suspicious backup is right, where they were told that it is suspicious."""
    subject = phrase("{backup} of {database}", backup=Action.BACKUP.label, database=database)
    if Alert.objects.filter(subject=subject, state=AlertState.SUSPICIOUS).exists():
        subjects.change(subject, subjects.Standing(AlertState.GOOD), database=database)
        delivery.deliver()


@_harmless
def strange_order(sentence: str) -> None:
    """Note that the queue was told to play what is not ours. Told with the next `tend`."""
    subjects.change(
        standing.ORDERS, subjects.Standing(AlertState.SUSPICIOUS, sentence, word=phrase("one was removed"))
    )


def _forget_strange_order(now: datetime) -> None:
    """After a day, so that the next one is news again."""
    standing_alert = Alert.objects.filter(subject=standing.ORDERS, state=AlertState.SUSPICIOUS)
    if standing_alert.filter(since__lt=now - delivery.GIVE_UP).exists():
        subjects.change(standing.ORDERS, subjects.Standing(AlertState.GOOD), now=now)


@_harmless
def schedule_played(name: str, complaint: str, database: int | None = None) -> None:
    """Tell people where a schedule's time came and nothing could be queued, and when it could again."""
    state = AlertState.FAILED if complaint else AlertState.GOOD
    of = Database.objects.filter(pk=database).first() if complaint and database else None
    subjects.change(phrase("Schedule: {name}", name=name), subjects.Standing(state, complaint), database=of)


@_harmless
def tend(now: datetime | None = None) -> None:
    """Once a minute: notice what should have happened and did not, and try again to reach people."""
    now = now or timezone.now()
    for news in overdue.news(now):
        subjects.change(news.subject, news.standing, database=news.database, now=now, begin=True)
    note_secrets(now)
    note_findings(now)
    note_retired(now)
    note_switched_off(now)
    _forget_strange_order(now)
    delivery.deliver(now)
    channel_tending.tend(now)
    channel_delivery.deliver(now)


@_harmless
def watch(now: datetime | None = None) -> None:
    """Tell what no run's end tells, a silent worker above all: the portal asks for it once a minute.

    Whoever sees it first notes it in the alert's row, and only they send.
    """
    now = now or timezone.now()
    note_findings(now)
    delivery.deliver(now)
    if channel_delivery.is_worker_silent():
        channel_tending.tend(now)
        channel_delivery.deliver(now, by=channel_delivery.Sender.PORTAL)
