"""How each subject stands, and when that is news.

One row a subject; a change there is one message, however often it is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.alerting import outbox
from backups.choices import AlertEvent, AlertState
from backups.models import Alert, Database
from backups.text.sentences import parts_of, phrase


def when(time: datetime) -> str:
    """A time for a sentence, in TIME_ZONE."""
    return f"{timezone.localtime(time):%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class Standing:
    """How a subject stands, and the sentence that says why.

    `word` is for the title, where the state's own says too little, and `good` what it is good for where it
    does not just work again. `event` is what channels choose by, where the state does not say it.
    """

    state: AlertState
    sentence: str = ""
    word: str = ""
    good: str = ""
    event: AlertEvent | None = None


def change(
    subject: str,
    standing: Standing,
    *,
    database: Database | None = None,
    now: datetime | None = None,
    begin: bool = False,
) -> None:
    """Note how a subject stands; where that is news, somebody is to be told.

    A subject that was never bad gets a row with `begin` only, from which waiting is counted.
    """
    state = standing.state
    now = now or timezone.now()
    alert = Alert.objects.filter(subject=subject).first()
    if alert is None:
        if state == AlertState.GOOD and not begin:
            return
        alert, _ = Alert.objects.get_or_create(subject=subject, defaults={"database": database, "since": now})
    if alert.state == state:
        return
    title = phrase("{subject}: {words}", subject=subject, words=standing.word or _WORDS[state])
    text = standing.sentence if state != AlertState.GOOD else standing.good or _recovered(alert)
    event = standing.event or _EVENTS.get(state)
    # Of two processes that see the same change, one makes it.
    with transaction.atomic():
        if Alert.objects.filter(pk=alert.pk, state=alert.state).update(
            state=state,
            since=now,
            title=title,
            text=text,
            parts={"subject": parts_of(subject), "title": parts_of(title), "text": parts_of(text)},
            # What is good again was bad so.
            event=event or alert.event,
            # Also where we know no address: another process may.
            is_pending=True,
            reached=[],
            tried_at=None,
            told_at=None,
            error="",
        ):
            outbox.note(Alert.objects.select_related("database").get(pk=alert.pk))


_EVENTS = {
    AlertState.FAILED: AlertEvent.FAILED,
    AlertState.LOST: AlertEvent.FAILED,
    AlertState.OVERDUE: AlertEvent.OVERDUE,
    AlertState.SUSPICIOUS: AlertEvent.SUSPICIOUS,
    AlertState.TROUBLE: AlertEvent.FAILED,
}


@dataclass(frozen=True)
class Change:
    """How a subject stands, and of which database it is."""

    subject: str
    standing: Standing
    database: Database | None = None


def change_all(found: Iterable[Change], known: Mapping[str, str], *, now: datetime) -> None:
    """As `change` of each, in no query for what is no news by the states that are `known` by subject."""
    for each in found:
        # What was never bad and is good is as what is good already.
        if known.get(each.subject, AlertState.GOOD) != each.standing.state:
            change(each.subject, each.standing, database=each.database, now=now)


_WORDS = {
    AlertState.GOOD: phrase("good again"),
    AlertState.FAILED: phrase("failed"),
    AlertState.LOST: phrase("lost"),
    AlertState.OVERDUE: phrase("overdue"),
    AlertState.SUSPICIOUS: phrase("suspicious"),
    AlertState.TROUBLE: phrase("in trouble"),
}


def _recovered(alert: Alert) -> str:
    return phrase(
        "It works again, after it stood as {words} since {when}.",
        words=_WORDS[AlertState(alert.state)],
        when=when(alert.since),
    )
