"""The way of a message to people: sent at once, and again for those whom it did not reach.

Nothing here may hold up a run: sending has a deadline, and what goes wrong is noted in the row, which
the portal shows. Addresses hold secrets, so they are never logged, stored or shown.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone, translation

from backups import __version__, process
from backups.choices import AlertState
from backups.errors import Problem
from backups.models import Alert, StandDown
from backups.notifications import channels, sender
from backups.text.sentences import joined, parts_of, phrase, plural, told_again

logger = logging.getLogger(__name__)

SEND_SECONDS = 20.0
TRY_AGAIN = timedelta(minutes=5)
GIVE_UP = timedelta(days=1)
# Long enough for each process that looks once a minute, and tries again as above.
OTHERS_HAVE = 3 * TRY_AGAIN
# Shorter than until it is tried again.
_HUNG_SECONDS = TRY_AGAIN.total_seconds() - 60


def undelivered() -> QuerySet[Alert]:
    """Alerts of which somebody could not be told: the portal shows them."""
    return Alert.objects.exclude(error="")


def send_test() -> str:
    """Send everyone a test message; answers in a sentence. Raises Problem saying who was not reached."""
    addresses = settings.NOTIFY_URLS
    if not addresses:
        raise Problem(
            phrase("NOTIFY_URLS is not set, so nobody is told."),
            code="notify.not_set",
            do=phrase("Set it and start portal and worker again."),
        )
    message = _message(
        phrase("Vedetta: test"), phrase("Notifications from Vedetta reach you."), AlertState.GOOD, addresses
    )
    (complaints,) = _send([message])
    if complaint := _complaint(addresses, complaints):
        raise Problem(
            complaint,
            code="notify.not_delivered",
            do=phrase("Correct NOTIFY_URLS, or see whether the service is up."),
        )
    count = len(addresses)
    return plural(
        "A test message was sent to {n} address.", "A test message was sent to {n} addresses.", n=count
    )


def tell_again() -> None:
    """Try at once to reach those who could not be told, also where that was given up."""
    undelivered().update(is_pending=True, tried_at=None)
    _hanging_until.clear()
    deliver()


def deliver(now: datetime | None = None, seconds: float | None = None) -> None:
    """Send what is still to be told, within `seconds`. Two processes that do this at once send once.

    Others may know other addresses: what these have not heard stays pending for whoever knows them.
    """
    now = now or timezone.now()
    if not settings.NOTIFY_URLS:
        return
    alerts = []
    # What is held back stays to be told: once the mute is over, what is bad still is news.
    pending = Alert.objects.filter(is_pending=True)
    for alert in pending.exclude(database__in=StandDown.objects.muted(now)):
        if not _not_reached(alert) or _is_old_news(alert, now):
            _end_where_all_had_time(alert, now)
        elif _claimed(alert, now):
            alerts.append(alert)
    if not alerts:
        return
    left = [_not_reached(alert) for alert in alerts]
    messages = [
        _message(alert.in_words("title"), alert.in_words("text"), AlertState(alert.state), addresses)
        for alert, addresses in zip(alerts, left, strict=True)
    ]
    answers = _send_but_to_hanging(messages, seconds)
    for alert, addresses, complaints in zip(alerts, left, answers, strict=True):
        _note_delivery(alert, addresses, complaints, now)


def _is_old_news(alert: Alert, now: datetime) -> bool:
    """That it works again is nothing to be told of days later, by the first who could."""
    is_untried = alert.tried_at is None and not alert.error
    return is_untried and alert.state == AlertState.GOOD and now - alert.since > GIVE_UP


def _end_where_all_had_time(alert: Alert, now: datetime) -> None:
    """All whom this process knows were told; who knows others would have tried by now."""
    if alert.tried_at is None or now - alert.tried_at > OTHERS_HAVE:
        Alert.objects.filter(pk=alert.pk, since=alert.since, tried_at=alert.tried_at).update(
            is_pending=False, error="", told_at=alert.told_at or (now if alert.reached else None)
        )


def _due(now: datetime) -> Q:
    """A try that lies in the future was made before the clock was set back."""
    return Q(tried_at=None) | Q(tried_at__lt=now - TRY_AGAIN) | Q(tried_at__gt=now)


def _claimed(alert: Alert, now: datetime) -> bool:
    claim = Alert.objects.filter(
        _due(now), pk=alert.pk, state=alert.state, since=alert.since, is_pending=True
    )
    return claim.update(tried_at=now) == 1


def _not_reached(alert: Alert) -> list[str]:
    return [address for address in settings.NOTIFY_URLS if _digest(address) not in alert.reached]


def _note_delivery(alert: Alert, addresses: Sequence[str], complaints: Sequence[str], now: datetime) -> None:
    """Note who was reached; whoever was not, here or by another process, is tried again, for a day."""
    reached = [
        _digest(address) for address, complaint in zip(addresses, complaints, strict=True) if not complaint
    ]
    sentence = _complaint(addresses, complaints)
    Alert.objects.filter(pk=alert.pk, since=alert.since).update(
        reached=[*alert.reached, *reached],
        is_pending=now - alert.since < GIVE_UP,
        told_at=None if sentence else now,
        error=sentence,
        parts={**alert.parts, "error": parts_of(sentence)},
    )
    if sentence:
        logger.error("%s: %s", alert, sentence)


def _complaint(addresses: Sequence[str], complaints: Sequence[str]) -> str:
    """Who was not reached, in one sentence; empty when all were. By place, as an address is secret."""
    parts = [
        joined([channels.named(address), complaint])
        for address, complaint in zip(addresses, complaints, strict=True)
        if complaint
    ]
    return phrase("Not everyone was told: {parts}.", parts=joined(parts, "; ")) if parts else ""


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def _message(title: str, body: str, state: AlertState, addresses: Sequence[str]) -> dict[str, Any]:
    kind = "success" if state == AlertState.GOOD else "failure"
    with translation.override(settings.NOTIFY_LANGUAGE):
        # Apprise refuses a message without a body.
        text = f"{body or title}\n\nVedetta {__version__}"
        return {"title": str(title), "body": text, "kind": kind, "addresses": list(addresses)}


# Addresses, by digest, that gave no answer in time, and when they are asked again.
_hanging_until: dict[str, float] = {}


def _is_hanging(address: str) -> bool:
    return _hanging_until.get(_digest(address), 0.0) > time.monotonic()


def _send_but_to_hanging(messages: Sequence[Mapping[str, Any]], seconds: float | None) -> list[list[str]]:
    """As `_send`; one that hung a moment ago is waited for no second time, and is tried again later."""
    tried = [
        {**message, "addresses": [each for each in message["addresses"] if not _is_hanging(each)]}
        for message in messages
    ]
    if not any(message["addresses"] for message in tried):
        return [[_HUNG] * len(message["addresses"]) for message in messages]
    sent = [
        dict(zip(message["addresses"], complaints, strict=True))
        for message, complaints in zip(tried, _send(tried, seconds), strict=True)
    ]
    return [
        [complaints.get(address, _HUNG) for address in message["addresses"]]
        for message, complaints in zip(messages, sent, strict=True)
    ]


_HUNG = phrase("gave no answer a moment ago")


def _send(messages: Sequence[Mapping[str, Any]], seconds: float | None = None) -> list[list[str]]:
    """Send them; answers each address's complaint or an empty text, for each message."""
    seconds = SEND_SECONDS if seconds is None else seconds
    silent = phrase("was not tried, because the program that sends messages failed")
    answers: dict[tuple[int, int], str] = {}

    def hear(line: str) -> None:
        with suppress(ValueError, TypeError):
            message, address, complaint, parts = json.loads(line)
            answers[message, address] = told_again(complaint, parts)

    try:
        channels.ask_messenger(sender.order(messages), hear, seconds)
    except process.DeadlineExceeded:
        silent = phrase("gave no answer within {seconds} seconds", seconds=f"{seconds:.0f}")
        _note_hanging(messages, answers)
    return [
        [answers.get((place, number), silent) for number in range(len(message["addresses"]))]
        for place, message in enumerate(messages)
    ]


def _note_hanging(messages: Sequence[Mapping[str, Any]], answers: Mapping[tuple[int, int], str]) -> None:
    for place, message in enumerate(messages):
        for number, address in enumerate(message["addresses"]):
            if (place, number) not in answers:
                _hanging_until[_digest(address)] = time.monotonic() + _HUNG_SECONDS
