"""How a subject stands that people are told about."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class AlertState(OpenChoices):
    """How a subject stands that people are told about."""

    GOOD = "good", phrase("Good")
    FAILED = "failed", phrase("Failed")
    LOST = "lost", phrase("Lost")
    OVERDUE = "overdue", phrase("Overdue")
    SUSPICIOUS = "suspicious", phrase("Suspicious")
    TROUBLE = "trouble", phrase("Trouble")


ALERT_COLOURS = {
    AlertState.GOOD: "success",
    AlertState.FAILED: "danger",
    AlertState.LOST: "danger",
    AlertState.OVERDUE: "danger",
    AlertState.SUSPICIOUS: "warning",
    AlertState.TROUBLE: "danger",
}
