"""Puts what is news into the outbox of each channel that wants to hear of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backups.choices import AlertEvent, AlertState
from backups.models import Alert, Channel, Delivery
from backups.text.sentences import parts_of


def note(alert: Alert) -> None:
    """Have channels told how a subject stands now; that it is good again, those that tell of the worse."""
    event = AlertEvent.RECOVERED if alert.state == AlertState.GOOD else AlertEvent(alert.event)
    texts = (alert.in_words("title"), alert.in_words("text"))
    Delivery.objects.bulk_create(
        delivery(channel, event, texts, alert, alert.since) for channel in wanting(alert, event)
    )


def wanting(alert: Alert, event: AlertEvent) -> Iterator[Channel]:
    """The channels that tell of this event of this subject."""
    needed = {event, alert.event} - {""} if event == AlertEvent.RECOVERED else {event}
    enabled = Channel.objects.filter(is_enabled=True).prefetch_related("databases")
    for channel in enabled.order_by("pk"):
        if needed <= set(channel.wanted) and is_of_its_databases(alert, channel):
            yield channel


def is_of_its_databases(alert: Alert, channel: Channel) -> bool:
    """Whether a subject is of a database that a channel tells of; what is of no single one is told by all."""
    chosen = {each.pk for each in channel.databases.all()}
    return not chosen or alert.database_id is None or alert.database_id in chosen


def delivery(
    channel: Channel, event: AlertEvent, texts: tuple[str, str], alert: Alert | None, now: datetime
) -> Delivery:
    """A message to a channel that waits to be sent: `texts` are its title and its text."""
    title, text = texts
    subject = alert.in_words("subject") if alert else ""
    return Delivery(
        channel=channel,
        alert=alert,
        event=event,
        subject=subject,
        title=title,
        text=text,
        parts={"subject": parts_of(subject), "title": parts_of(title), "text": parts_of(text)},
        made_at=now,
        next_at=now,
    )
