"""How a run stands, what asked for it, and how loud the lines of its log are."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class Status(OpenChoices):
    """queued → running → succeeded | failed | cancelled | lost; queued → cancelled | failed."""

    QUEUED = "queued", phrase("Queued")
    RUNNING = "running", phrase("Running")
    SUCCEEDED = "succeeded", phrase("Succeeded")
    FAILED = "failed", phrase("Failed")
    CANCELLED = "cancelled", phrase("Cancelled")
    LOST = "lost", phrase("Lost")


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


class Trigger(OpenChoices):
    """What asked for a run."""

    SCHEDULE = "schedule", phrase("Schedule")
    ADMIN = "admin", phrase("Portal")
    CLI = "cli", phrase("Command line")
    BACKUP = "backup", phrase("After a backup")
    VERIFY = "verify", phrase("After a verification")
    RESTORE = "restore", phrase("Before a restore")
    RECOVERED = "recovered", phrase("Rebuilt from the repository")


class Level(OpenChoices):
    """How loud a line of a run's log is."""

    INFO = "info", phrase("Info")
    WARNING = "warning", phrase("Warning")
    ERROR = "error", phrase("Error")
