"""What a run does, in which order of locks, and which right a person needs to start it."""

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
