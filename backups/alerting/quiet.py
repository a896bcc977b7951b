"""A channel's quiet hours: when they are, what they hold back, and what comes after them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property

from django.db import transaction
from django.utils import timezone

from backups.alerting import outbox
from backups.choices import AlertEvent, DeliveryState
from backups.models import Channel, Delivery
from backups.reports import standing
from backups.text.sentences import joined, plural

# Nobody who sleeps would want to have slept through these.
_ALWAYS = frozenset({AlertEvent.RESTORE, AlertEvent.WORKER, AlertEvent.GATE, AlertEvent.TEST})
# What closes a gate later, where nobody does anything.
_CLOSES = frozenset({AlertEvent.FAILED, AlertEvent.OVERDUE, AlertEvent.SUSPICIOUS})
# Of so many messages at once to a person, one is made.
MOST_AT_ONCE = 5
_LONGEST = 3000


def quiet_until(channel: Channel, now: datetime) -> datetime | None:
    """When its quiet hours end, in which `now` lies; None outside them.

    By the clock on the wall in TIME_ZONE: when that is put forward or back, they are shorter or longer.
    """
    begin, end = channel.quiet_from, channel.quiet_until
    if begin is None or end is None or begin == end:
        return None
    local = timezone.localtime(now)
    time = local.time()
    is_quiet = begin <= time < end if begin < end else time >= begin or time < end
    if not is_quiet:
        return None
    day = local.date() if time < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, tzinfo=timezone.get_current_timezone())


class _Gate:
    """When the gate closes where nobody does anything, looked at once and only if it is asked for."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    @cached_property
    def closes_at(self) -> datetime | None:
        return standing.read(self._now).closes_at


def hold_back(now: datetime) -> None:
    """Hold back what may wait, let go what may not any more, and after the quiet hours send it as one."""
    left = (DeliveryState.WAITING, DeliveryState.HELD)
    rows = Delivery.objects.filter(state__in=left, tries=0, channel__is_enabled=True)
    gate = _Gate(now)
    held: dict[Channel, list[Delivery]] = {}
    waiting: dict[Channel, list[Delivery]] = {}
    for each in rows.select_related("channel", "alert__database").order_by("pk"):
        until = quiet_until(each.channel, now)
        if until is None:
            (held if each.state == DeliveryState.HELD else waiting).setdefault(each.channel, []).append(each)
        else:
            state = DeliveryState.WAITING if _passes(each, until, gate) else DeliveryState.HELD
            if state != each.state:
                Delivery.objects.filter(pk=each.pk, state=each.state).update(state=state)
    for channel, found in held.items():
        _join(channel, found, now)
    for channel, found in waiting.items():
        # Programs want each of them. What quiet hours do not hold back goes by itself: they may begin first.
        may_wait = [each for each in found if each.event not in _ALWAYS]
        if len(may_wait) > MOST_AT_ONCE and channel.kind != "webhook":
            _join(channel, may_wait, now)


def _passes(delivery: Delivery, until: datetime, gate: _Gate) -> bool:
    """Whether it is told in quiet hours that last `until` then."""
    if delivery.event in _ALWAYS:
        return True
    database = delivery.alert.database if delivery.alert else None
    if delivery.event not in _CLOSES or (database is not None and not database.gates_app):
        return False
    return gate.closes_at is not None and gate.closes_at <= until


def _join(channel: Channel, found: list[Delivery], now: datetime) -> None:
    """One message of several; one alone goes as it is. Of two processes that do it, one does."""
    rows = Delivery.objects.filter(pk__in=[each.pk for each in found], state=found[0].state, tries=0)
    if len(found) == 1:
        rows.update(state=DeliveryState.WAITING, next_at=now)
        return
    count = len(found)
    title = plural("Vedetta: {n} message", "Vedetta: {n} messages", n=count)
    with transaction.atomic():
        if rows.update(state=DeliveryState.JOINED, tried_at=now) != count:
            transaction.set_rollback(True)
            return
        outbox.delivery(channel, AlertEvent.SEVERAL, (title, _list_of(found)), None, now).save()


def _list_of(found: Iterable[Delivery]) -> str:
    """Each with its time and title, and with its text as far as a message goes."""
    texts: list[str] = []
    length, left = 0, 0
    for each in found:
        when = f"{timezone.localtime(each.made_at):%Y-%m-%d %H:%M}"
        told = joined([f"{when}  ", each.in_words("title")], "")
        if length + len(told) > _LONGEST:
            left += 1
            continue
        if length + len(told) + len(each.text) <= _LONGEST:
            told = joined([told, each.in_words("text")], "\n")
        length += len(told)
        texts.append(told)
    if left:
        texts.append(plural("{n} more is in the portal.", "{n} more are in the portal.", n=left))
    return joined(texts, "\n\n")
