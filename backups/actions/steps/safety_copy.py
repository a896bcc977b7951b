"""A backup of what a restore is to overwrite."""

from __future__ import annotations

from backups import mysql
from backups.choices import RestoreMode, Status, Trigger
from backups.errors import Cancelled, Problem
from backups.models import Restore
from backups.requests import BackupRequest
from backups.runs import restores
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def save_before(restore: Restore, progress: Progress) -> None:
    """A backup of the database as it is now; without it nothing is overwritten."""
    if restore.without_safety:
        progress.warn(phrase("No backup is made first, because you said that there is nothing left to save."))
        return
    progress.phase("safety backup")
    saved = progress.run_child(BackupRequest(restore.database), Trigger.RESTORE)
    if saved.status == Status.CANCELLED:
        raise Cancelled
    if saved.status != Status.SUCCEEDED or saved.snapshot is None:
        raise Problem(
            phrase(
                "The backup before the restore failed, so nothing was restored: {error}", error=saved.error
            ),
            code="restore.no_safety_backup",
            safe=phrase("{target} was not touched.", target=restore.target),
            do=_without_a_backup_before(restore),
        )
    restores.restore_note(restore, safety_snapshot=saved.snapshot)
    progress.log(
        phrase(
            "{target} as it is now is in snapshot {snapshot}.",
            target=restore.target,
            snapshot=saved.snapshot.short_id,
        )
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
