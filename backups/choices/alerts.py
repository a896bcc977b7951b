"""How a subject stands that people are told about."""

from __future__ import annotations

from django.db import models


class AlertState(models.TextChoices):
    """How a subject stands that people are told about."""

    GOOD = "good", "Good"
    FAILED = "failed", "Failed"
    LOST = "lost", "Lost"
    OVERDUE = "overdue", "Overdue"
    SUSPICIOUS = "suspicious", "Suspicious"
    TROUBLE = "trouble", "Trouble"


ALERT_COLOURS = {
    AlertState.GOOD: "success",
    AlertState.FAILED: "danger",
    AlertState.LOST: "danger",
    AlertState.OVERDUE: "danger",
    AlertState.SUSPICIOUS: "warning",
    AlertState.TROUBLE: "danger",
}
