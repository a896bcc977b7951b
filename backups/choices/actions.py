"""What a run does, in which order of locks, and which right a person needs to start it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Action(OpenChoices):
    """What a run does."""

    BACKUP = "backup", phrase("Backup")
    VERIFY = "verify", phrase("Verification")
    REPLAY = "replay", phrase("Proof by replay")
    RESTORE = "restore", phrase("Restore")
    UNDO = "undo", phrase("Undo of a restore")
    DROP_KEPT = "drop_kept", phrase("Drop of kept tables")
    DEFINE = "define", phrase("Left-out definitions")
    FORGET = "forget", phrase("Forget")
    PRUNE = "prune", phrase("Prune")
    CHECK = "check", phrase("Check")
    STATS = "stats", phrase("Statistics")
    REPAIR_INDEX = "repair_index", phrase("Repair index")
    REPAIR_SNAPSHOTS = "repair_snapshots", phrase("Repair snapshots")
    UNLOCK = "unlock", phrase("Unlock")
    INIT = "init", phrase("Initialise repository")
    SNAPSHOTS = "snapshots", phrase("Read snapshots")
    RECOVER = "recover", phrase("Rebuild history")
    PORTAL = "portal", phrase("Copy of the portal")
    PREFLIGHT = "preflight", phrase("Connection test")
    DIFF = "diff", phrase("Comparison")
    ROWS_BACK = "rows_back", phrase("Rows back")


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


# What restores into a scratch database, where test restores go, and looks at what came of it.
TEST_RESTORES = frozenset({Action.VERIFY, Action.REPLAY})
# Played by the worker that is kept free for them, so that none waits behind a queue of backups.
RESTORE_ACTIONS = frozenset({Action.RESTORE, Action.UNDO, Action.DROP_KEPT, Action.DEFINE, Action.ROWS_BACK})
# So are those that somebody waits for and that are over within a minute.
PROMPT_ACTIONS = RESTORE_ACTIONS | {Action.PREFLIGHT}
# The form of request that is played as a connection test, and shuts the gate for a moment.
DRILL = "drill"
# The form of request by which one snapshot is forgotten by hand.
FORGET_SNAPSHOT = "forget_snapshot"
# The form of request by which a script that was proved is applied.
APPLY_ROWS = "apply_rows"
# The form of request that finds out what chosen transactions of the log changed: it is kept as a comparison.
UNDO_TRANSACTIONS = "undo_transactions"
# Which right of a person's starts what, by the form of its request; every other one is maintenance.
_RIGHTS: dict[str, str] = {
    Action.BACKUP: "run_backup",
    **dict.fromkeys(TEST_RESTORES, "run_verify"),
    Action.PREFLIGHT: "run_backup",
    DRILL: "override_gate",
    # It shows what rows a restore would bring back.
    Action.DIFF: "run_restore",
    APPLY_ROWS: "run_restore",
    UNDO_TRANSACTIONS: "run_restore",
    **dict.fromkeys(RESTORE_ACTIONS, "run_restore"),
}


def may_still(person: User, *rights: str) -> bool:
    """Whether somebody who asked for something is still let in, and has one of these rights."""
    return person.is_active and person.is_staff and any(map(person.has_perm, rights))


def right_to_start(form: str) -> str:
    """The right that a person needs to start an action, or what is asked for by a form of its own."""
    return f"backups.{_RIGHTS.get(form, 'run_maintenance')}"
