"""The way of a message by a channel: sent at once, again after a while, and each try kept with its answer.

Nothing here may hold up a run: sending has a deadline. Secrets leave their box for the program that sends
alone, and what it answers has none of them.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone, translation

from backups import __version__, keys, process
from backups.alerting import outbox, quiet
from backups.choices import AlertEvent, AlertState, DeliveryState
from backups.errors import Problem
from backups.models import Alert, Channel, Delivery, StandDown
from backups.notifications import channels, courier, sealing
from backups.text.sentences import english, joined, parts_of, phrase, told_again

logger = logging.getLogger(__name__)

SEND_SECONDS = 20.0
GIVE_UP = timedelta(days=1)
# After the first try, the second …, in minutes; the last is for all that follow.
_AGAIN = (1, 5, 15, 60)
_MOST_AT_ONCE = 20
_GOOD = frozenset({AlertEvent.RECOVERED, AlertEvent.TEST, AlertEvent.WEEKLY})


class Sender(Enum):
    """Who sends: the worker or a command, with the installation's key, or the portal, with its own."""

    WORKER = "worker"
    PORTAL = "portal"


class Outcome(NamedTuple):
    """What became of one message."""

    is_sent: bool
    code: int | None
    answer: str


def is_able() -> bool:
    """Whether this process has the installation's key, as a command need not."""
    with suppress(Problem):
        return keys.load() is not None
    return False


def is_worker_silent() -> bool:
    """Whether it was told that nobody backs up, so that the portal itself tells by what it may use."""
    return Alert.objects.filter(event=AlertEvent.WORKER, state=AlertState.TROUBLE).exists()


def deliver(
    now: datetime | None = None, *, seconds: float = SEND_SECONDS, by: Sender = Sender.WORKER
) -> None:
    """Send what is due, within `seconds`. Two processes that do this at once send once."""
    now = now or timezone.now()
    if not Delivery.objects.filter(state__in=[DeliveryState.WAITING, DeliveryState.HELD]).exists():
        return
    quiet.hold_back(now)
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING, channel__is_enabled=True)
    # Once the mute is over, they are sent.
    waiting = waiting.exclude(alert__database__in=StandDown.objects.muted(now))
    if by == Sender.PORTAL:
        waiting = waiting.exclude(channel__sealed_for_portal="")
    claimed: dict[Channel, list[Delivery]] = {}
    earlier: set[tuple[int, str]] = set()
    for each in waiting.select_related("channel", "alert__database").order_by("pk"):
        known = claimed.get(each.channel, [])
        subject = (each.channel_id, each.subject)
        is_next = not each.subject or subject not in earlier
        if is_next and len(known) < _MOST_AT_ONCE and _is_due(each, now) and _claimed(each, now):
            claimed.setdefault(each.channel, []).append(each)
        else:
            # Good again must not come before failed.
            earlier.add(subject)
    if claimed:
        _send_claimed(claimed, now, seconds, by)


def _is_due(delivery: Delivery, now: datetime) -> bool:
    """One whose next try lies further ahead than any was made before the clock was set back."""
    return delivery.next_at <= now or delivery.next_at > now + timedelta(minutes=2 * _AGAIN[-1])


def _claimed(delivery: Delivery, now: datetime) -> bool:
    """Whether it is ours to try. It is tried again later, also where this process dies."""
    again = now + timedelta(minutes=_AGAIN[min(delivery.tries, len(_AGAIN) - 1)])
    rows = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING, tries=delivery.tries)
    return rows.update(tries=delivery.tries + 1, tried_at=now, next_at=again) == 1


def _send_claimed(
    claimed: Mapping[Channel, Sequence[Delivery]], now: datetime, seconds: float, by: Sender
) -> None:
    orders: list[dict[str, Any]] = []
    places: list[Channel] = []
    for channel, deliveries in claimed.items():
        try:
            fields = sealing.opened(channel, in_portal=by == Sender.PORTAL)
        except Problem as problem:
            for each in deliveries:
                _note(each, Outcome(False, None, problem.sentence()), now)
            continue
        places.append(channel)
        messages = [_message(each) for each in deliveries]
        orders.append({"kind": channel.kind, "fields": fields, "messages": messages})
    for channel, outcomes in zip(places, _sent(orders, seconds), strict=True):
        for each, outcome in zip(claimed[channel], outcomes, strict=True):
            if outcome is None:
                # One before it did not get through: it was not tried.
                Delivery.objects.filter(pk=each.pk).update(tries=each.tries, tried_at=each.tried_at)
            else:
                _note(each, outcome, now)


def _note(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    state = DeliveryState.SENT if outcome.is_sent else DeliveryState.WAITING
    if not outcome.is_sent and now - delivery.made_at >= GIVE_UP:
        state = DeliveryState.FAILED
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state,
        answer_status=outcome.code,
        answer=outcome.answer,
        parts={**delivery.parts, "answer": parts_of(outcome.answer)},
    )
    note_last(delivery.channel, outcome, now)
    if not outcome.is_sent:
        logger.error("channel %s: %s", delivery.channel, outcome.answer)


def note_last(channel: Channel, outcome: Outcome, now: datetime) -> None:
    """Keep with the channel what became of its last message."""
    Channel.objects.filter(pk=channel.pk).update(
        last_at=now,
        last_ok=outcome.is_sent,
        last_answer=outcome.answer,
        parts={"last_answer": parts_of(outcome.answer)},
    )


# ---------------------------------------------------------------- A test


def send_tests(found: Sequence[Channel]) -> str:
    """Send a test message by each, and then what waits there; answers in sentences. Raises Problem."""
    now = timezone.now()
    tests = [outbox.delivery(channel, AlertEvent.TEST, _TEST, None, now) for channel in found]
    outcomes = _tried([(test, sealing.opened(test.channel)) for test in tests])
    for test, outcome in zip(tests, outcomes, strict=True):
        test.state = DeliveryState.SENT if outcome.is_sent else DeliveryState.FAILED
        test.tries, test.tried_at = 1, now
        test.answer_status, test.answer = outcome.code, outcome.answer
        test.parts = {**test.parts, "answer": parts_of(outcome.answer)}
        test.save()
        note_last(test.channel, outcome, now)
        if outcome.is_sent:
            waiting = Delivery.objects.filter(channel=test.channel, state=DeliveryState.WAITING)
            waiting.update(next_at=now)
    return _told({test.channel.name: outcome for test, outcome in zip(tests, outcomes, strict=True)})


def send_test_unsaved(kind: str, sealed: str) -> str:
    """Send a test message by what was typed and not saved; answers in a sentence. Raises Problem."""
    fields = sealing.opened_by_worker(kind, sealed, phrase("a channel that is not saved yet"))
    test = outbox.delivery(Channel(kind=kind), AlertEvent.TEST, _TEST, None, timezone.now())
    (outcome,) = _tried([(test, fields)])
    return _told({"": outcome})


_TEST = (phrase("Vedetta: test"), phrase("Notifications from Vedetta reach you."))


def _tried(tests: Sequence[tuple[Delivery, Mapping[str, str]]]) -> list[Outcome]:
    orders = [
        {"kind": test.channel.kind, "fields": fields, "messages": [_message(test)]} for test, fields in tests
    ]
    # The first of a channel is always tried.
    return [outcome for each in _sent(orders, SEND_SECONDS) for outcome in each if outcome is not None]


def _told(outcomes: Mapping[str, Outcome]) -> str:
    """By name of the channel; without one where it has none yet. Raises Problem where one is not reached."""
    sentences = [
        phrase("{channel}: {answer}", channel=name, answer=outcome.answer) if name else outcome.answer
        for name, outcome in outcomes.items()
        if not outcome.is_sent or all(each.is_sent for each in outcomes.values())
    ]
    answers = joined(sentences)
    if all(each.is_sent for each in outcomes.values()):
        return phrase("A test message was sent. {answers}", answers=answers)
    raise Problem(
        phrase("The test message did not get through. {answers}", answers=answers),
        code="channel.not_delivered",
        do=phrase("Correct the channel, or see whether the service is up."),
    )


# ---------------------------------------------------------------- The program that sends


def _message(delivery: Delivery) -> dict[str, Any]:
    """As services are told of it, in NOTIFY_LANGUAGE; for programs the subject is in English."""
    database = delivery.alert.database if delivery.alert else None
    is_good = delivery.event in _GOOD
    with translation.override(settings.NOTIFY_LANGUAGE):
        title, text = str(delivery.in_words("title")), str(delivery.in_words("text"))
    return {
        "key": str(delivery.key or uuid.uuid4()),
        "event": str(delivery.event),
        "state": "good" if is_good else "bad",
        "is_good": is_good,
        "subject": english(delivery.subject),
        "database": database.name if database else None,
        "title": title,
        "text": text,
        "body": f"{text or title}\n\nVedetta {__version__}",
        "at": delivery.made_at.isoformat(),
        "vedetta": __version__,
    }


def _sent(orders: Sequence[Mapping[str, Any]], seconds: float) -> list[list[Outcome | None]]:
    """Send them; answers what became of each message, None where one before it did not get through."""
    if not orders:
        return []
    silent = Outcome(False, None, phrase("Nothing was sent, because the program that sends messages failed."))
    answers: dict[tuple[int, int], Outcome] = {}

    def hear(line: str) -> None:
        with suppress(ValueError, TypeError):
            place, number, is_sent, code, answer, parts = json.loads(line)
            answers[place, number] = Outcome(bool(is_sent), code, told_again(answer, parts))

    try:
        channels.ask_messenger(courier.order(orders), hear, seconds, "courier")
    except process.DeadlineExceeded:
        silent = Outcome(
            False, None, phrase("It gave no answer within {seconds} seconds.", seconds=f"{seconds:.0f}")
        )
    return [
        _of_channel([answers.get((place, number)) for number in range(len(order["messages"]))], silent)
        for place, order in enumerate(orders)
    ]


def _of_channel(outcomes: list[Outcome | None], silent: Outcome) -> list[Outcome | None]:
    """The first without an outcome was under way, unless one before it was told to be the last."""
    for number, outcome in enumerate(outcomes):
        if outcome is None:
            if number == 0 or (outcomes[number - 1] is not None and _went_on(outcomes[number - 1])):
                outcomes[number] = silent
            break
    return outcomes


def _went_on(outcome: Outcome | None) -> bool:
    return outcome is not None and (outcome.is_sent or outcome.code is not None)
