"""How a run stands, what asked for it, and how loud the lines of its log are."""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    """queued → running → succeeded | failed | cancelled | lost; queued → cancelled | failed."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.LOST})
ACTIVE = frozenset({Status.QUEUED, Status.RUNNING})

# unfold's label variants.
STATUS_COLOURS = {
    Status.QUEUED: "info",
    Status.RUNNING: "primary",
    Status.SUCCEEDED: "success",
    Status.FAILED: "danger",
    Status.CANCELLED: "warning",
    Status.LOST: "danger",
}


class Trigger(models.TextChoices):
    """What asked for a run."""

    SCHEDULE = "schedule", "Schedule"
    ADMIN = "admin", "Portal"
    CLI = "cli", "Command line"
    BACKUP = "backup", "After a backup"
    VERIFY = "verify", "After a verification"
    RESTORE = "restore", "Before a restore"
    RECOVERED = "recovered", "Rebuilt from the repository"


class Level(models.TextChoices):
    """How loud a line of a run's log is."""

    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    ERROR = "error", "Error"
