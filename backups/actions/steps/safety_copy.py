"""A backup of what a restore is to overwrite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from backups import mysql
from backups.choices import RestoreMode, Status, Trigger
from backups.errors import Cancelled, Problem
from backups.models import Database, Restore, Snapshot
from backups.requests import BackupRequest
from backups.runs import restores
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def save_before(restore: Restore, progress: Progress) -> None:
    """A backup of the database as it is now; without it nothing is overwritten."""
    if restore.without_safety:
        progress.warn(phrase("No backup is made first, because you said that there is nothing left to save."))
        return
    saved = backed_up(restore.database, progress, partial(_not_saved, restore))
    restores.restore_note(restore, safety_snapshot=saved)
    progress.log(
        phrase(
            "{target} as it is now is in snapshot {snapshot}.",
            target=restore.target,
            snapshot=saved.short_id,
        )
    )


def backed_up(database: Database, progress: Progress, not_saved: Callable[[str], Problem]) -> Snapshot:
    """A backup of the database as it is now. Raises Cancelled, what `not_saved` makes of its failure."""
    progress.phase("safety backup")
    saved = progress.run_child(BackupRequest(database), Trigger.RESTORE)
    if saved.status == Status.CANCELLED:
        raise Cancelled
    if saved.status != Status.SUCCEEDED or saved.snapshot is None:
        raise not_saved(saved.error)
    return saved.snapshot


def _not_saved(restore: Restore, error: str) -> Problem:
    return Problem(
        phrase("The backup before the restore failed, so nothing was restored: {error}", error=error),
        code="restore.no_safety_backup",
        safe=phrase("{target} was not touched.", target=restore.target),
        do=_without_a_backup_before(restore),
    )


def _without_a_backup_before(restore: Restore) -> str:
    """How to restore though no backup can be made before, and what there is to lose by it."""
    if restore.tables:
        named = mysql.named(restore.tables)
        stake = phrase(
            "It overwrites only {named}. The other tables of {target} are not in danger.",
            named=named,
            target=restore.target,
        )
    elif restore.mode == RestoreMode.IN_PLACE:
        stake = phrase(
            "It overwrites all of {target}, so what no snapshot holds is lost. To bring back single "
            "tables, name them (--table): the others then stay as they are.",
            target=restore.target,
        )
    else:
        stake = phrase(
            "The present tables are kept beside it, except damaged ones that the server cannot move. "
            "To bring back single tables, name them (--table): the others then stay as they are."
        )
    return phrase(
        "If the reason cannot be mended, for example in the very table that you bring back, restore "
        "with --without-safety-backup (on the page: There is nothing left to save). {stake}",
        stake=stake,
    )
