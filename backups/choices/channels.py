"""The ways to tell people that are set up in the portal, and of what they tell."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class ChannelKind(OpenChoices):
    """By which service a channel tells."""

    EMAIL = "email", phrase("E-mail")
    TELEGRAM = "telegram", "Telegram"
    NTFY = "ntfy", "ntfy"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    MATRIX = "matrix", "Matrix"
    WEBHOOK = "webhook", "Webhook"
    APPRISE = "apprise", phrase("Any Apprise address")


class AlertEvent(OpenChoices):
    """What happened, as far as a channel chooses by it."""

    FAILED = "failed", phrase("A backup, a verification or maintenance failed")
    RESTORE = "restore", phrase("A restore failed")
    SUSPICIOUS = "suspicious", phrase("Something is suspicious")
    OVERDUE = "overdue", phrase("Something is overdue")
    GATE = "gate", phrase("The gate is closed, or its process is in trouble")
    WORKER = "worker", phrase("Nobody backs up: the worker is silent, or the queue stands still")
    RECOVERED = "recovered", phrase("What was told of is good again")
    WEEKLY = "weekly", phrase("A summary each Monday at 08:00")
    SEVERAL = "several", phrase("Several at once")
    TEST = "test", phrase("Test")


# What a new channel tells of. A summary each week is asked for.
EVENTS_AT_FIRST = (
    AlertEvent.FAILED,
    AlertEvent.RESTORE,
    AlertEvent.SUSPICIOUS,
    AlertEvent.OVERDUE,
    AlertEvent.GATE,
    AlertEvent.WORKER,
    AlertEvent.RECOVERED,
)
EVENTS_TO_CHOOSE = (*EVENTS_AT_FIRST, AlertEvent.WEEKLY)
# Of these one wants to know at once. A channel for none of them watches nothing.
TROUBLES = EVENTS_AT_FIRST[:-1]


class DeliveryState(OpenChoices):
    """Where a message to a channel is."""

    WAITING = "waiting", phrase("Waiting")
    HELD = "held", phrase("Held back")
    JOINED = "joined", phrase("Sent with others")
    SENT = "sent", phrase("Sent")
    FAILED = "failed", phrase("Given up")


DELIVERY_COLOURS = {
    DeliveryState.WAITING: "warning",
    DeliveryState.HELD: "info",
    DeliveryState.JOINED: "success",
    DeliveryState.SENT: "success",
    DeliveryState.FAILED: "danger",
}
