"""The closed sets of values that the models store, with the colours of their labels."""

from __future__ import annotations

from django.db import models


class Action(models.TextChoices):
    """What a run does."""

    BACKUP = "backup", "Backup"
    VERIFY = "verify", "Verification"
    RESTORE = "restore", "Restore"
    UNDO = "undo", "Undo of a restore"
    DROP_KEPT = "drop_kept", "Drop of kept tables"
    DEFINE = "define", "Left-out definitions"
    FORGET = "forget", "Forget"
    PRUNE = "prune", "Prune"
    CHECK = "check", "Check"
    STATS = "stats", "Statistics"
    REPAIR_INDEX = "repair_index", "Repair index"
    REPAIR_SNAPSHOTS = "repair_snapshots", "Repair snapshots"
    UNLOCK = "unlock", "Unlock"
    INIT = "init", "Initialise repository"
    SNAPSHOTS = "snapshots", "Read snapshots"
    RECOVER = "recover", "Rebuild history"
    PORTAL = "portal", "Copy of the portal"
    PREFLIGHT = "preflight", "Connection test"


# Actions that restic runs under its exclusive lock, or that must not overlap with such a one.
EXCLUSIVE_ACTIONS = frozenset(
    {
        Action.FORGET,
        Action.PRUNE,
        Action.CHECK,
        Action.REPAIR_INDEX,
        Action.REPAIR_SNAPSHOTS,
        Action.INIT,
    }
)


# Played by the worker that is kept free for them, so that none waits behind a queue of backups.
RESTORE_ACTIONS = frozenset({Action.RESTORE, Action.UNDO, Action.DROP_KEPT, Action.DEFINE})
# So are those that somebody waits for and that are over within a minute.
PROMPT_ACTIONS = RESTORE_ACTIONS | {Action.PREFLIGHT}
# Which right of a person's starts what; every other action is maintenance.
_RIGHTS = {
    Action.BACKUP: "run_backup",
    Action.VERIFY: "run_verify",
    Action.PREFLIGHT: "run_backup",
    **dict.fromkeys(RESTORE_ACTIONS, "run_restore"),
}


def right_to_start(action: str) -> str:
    """The right that a person needs to start an action."""
    return f"backups.{_RIGHTS.get(Action(action), 'run_maintenance')}"


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


# restic's tag on what was saved before a restore: what was to be repaired, and no backup to go back to.
# In the repository, so that it is known as well to a portal that was rebuilt from there alone.
SAFETY_TAG = "before-restore"


class Trigger(models.TextChoices):
    """What asked for a run."""

    SCHEDULE = "schedule", "Schedule"
    ADMIN = "admin", "Portal"
    CLI = "cli", "Command line"
    BACKUP = "backup", "After a backup"
    VERIFY = "verify", "After a verification"
    RESTORE = "restore", "Before a restore"
    RECOVERED = "recovered", "Rebuilt from the repository"


class DumpFormat(models.TextChoices):
    """How the dump lies in the repository; the value is also the file's ending."""

    SQL = "sql", "Plain SQL (deduplicates best)"
    SQL_GZ = "sql.gz", "gzip --rsyncable"


class SslMode(models.TextChoices):
    """MySQL's own names for the ways to use TLS (mysql --ssl-mode)."""

    DISABLED = "DISABLED", "Disabled"
    PREFERRED = "PREFERRED", "Preferred"
    REQUIRED = "REQUIRED", "Required"
    VERIFY_CA = "VERIFY_CA", "Required, certificate authority checked"
    VERIFY_IDENTITY = "VERIFY_IDENTITY", "Required, authority and host name checked"


class Health(models.TextChoices):
    """What is known of a repository. Damage, found by a check, lasts until one of all data finds none.

    So does suspect: a snapshot in it was found bad, and no check has met damage since.
    """

    UNKNOWN = "unknown", "Not checked yet"
    GOOD = "good", "Good"
    SUSPECT = "suspect", "Suspect"
    DAMAGED = "damaged", "Damaged"


class Verdict(models.TextChoices):
    """What a verification found."""

    IDENTICAL = "identical", "Identical"
    DIFFERENT = "different", "Different"
    UNREADABLE = "unreadable", "Unreadable"


# A snapshot of which the newest verification said so is known to be bad.
BAD_VERDICTS = frozenset({Verdict.DIFFERENT, Verdict.UNREADABLE})

VERDICT_COLOURS = {
    Verdict.IDENTICAL: "success",
    Verdict.DIFFERENT: "danger",
    Verdict.UNREADABLE: "danger",
}


class RestoreMode(models.TextChoices):
    """Where a restore goes."""

    FILE = "file", "To a file"
    NEW = "new", "Into a new database"
    REPLACE = "replace", "Replace the live database"
    IN_PLACE = "in_place", "Straight into the existing database"
    UNDO = "undo", "Back to the kept tables"


# Modes after which a database is no longer what it was.
OVERWRITING_MODES = frozenset({RestoreMode.REPLACE, RestoreMode.IN_PLACE})


class Swap(models.TextChoices):
    """How far a swap of tables is, so that whoever finds it broken off can end it either way."""

    NONE = "", "Not begun"
    PREPARED = "prepared", "Prepared"
    RENAMED = "renamed", "Tables renamed"
    FINISHED = "finished", "Finished"
    ROLLED_BACK = "rolled_back", "Rolled back"


# A swap that somebody still has to end: nothing else may touch its target.
UNSETTLED = frozenset({Swap.PREPARED, Swap.RENAMED})


class DefinerPolicy(models.TextChoices):
    """What a restore does with DEFINER users of views, triggers, routines and events."""

    KEEP = "keep", "Keep as in the snapshot"
    CURRENT_USER = "current_user", "Set to the user that restores"


class Level(models.TextChoices):
    """How loud a line of a run's log is."""

    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    ERROR = "error", "Error"


class AlertState(models.TextChoices):
    """How a subject stands that people are told about."""

    GOOD = "good", "Good"
    FAILED = "failed", "Failed"
    LOST = "lost", "Lost"
    OVERDUE = "overdue", "Overdue"
    SUSPICIOUS = "suspicious", "Suspicious"
    TROUBLE = "trouble", "Trouble"


class SuspicionState(models.TextChoices):
    """What became of a backup of which a person is to say whether it is right."""

    WAITING = "waiting", "Waits for a person"
    ACCEPTED = "accepted", "Accepted"
    OVER = "over", "Over by itself"


ALERT_COLOURS = {
    AlertState.GOOD: "success",
    AlertState.FAILED: "danger",
    AlertState.LOST: "danger",
    AlertState.OVERDUE: "danger",
    AlertState.SUSPICIOUS: "warning",
    AlertState.TROUBLE: "danger",
}
