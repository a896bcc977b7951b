"""What a restore may be aimed at: a target that fits its mode, a snapshot that fits its target.

Asked where a restore is begun, whoever begins it, and again when its run starts.
"""

from __future__ import annotations

import shlex

from django.core.exceptions import ValidationError

from backups import validators
from backups.choices import OVERWRITING_MODES, RestoreMode
from backups.errors import Problem
from backups.models import Database, Restore, Snapshot
from backups.snapshots import selection

_NOTHING = "Nothing was started and nothing was touched."


def refuse_unfit_target(database: Database, mode: RestoreMode, target: str, undo_of: Restore | None) -> None:
    """Raise Problem unless the target is one that this mode may write to."""
    if not target.strip():
        raise Problem("It is not said where to restore to.", code="restore.no_target_named", safe=_NOTHING)
    if mode == RestoreMode.NEW:
        try:
            validators.target_name(target)
        except ValidationError as error:
            raise Problem(
                f"{target!r} cannot be the name of a database: {error.messages[0]}",
                code="restore.target_name",
                safe=_NOTHING,
            ) from error
    elif mode in OVERWRITING_MODES and target != database.database:
        raise Problem(
            f"{mode.label} is for {database} itself, which is {database.database}, not {target}.",
            code="restore.other_target",
            safe=_NOTHING,
        )
    elif (mode == RestoreMode.UNDO) != (undo_of is not None and undo_of.target == target):
        raise Problem(
            "An undo is of a restore, and goes where that went.", code="undo.other_target", safe=_NOTHING
        )


def refuse_unfit_snapshot(
    database: Database, snapshot: Snapshot, mode: RestoreMode, across: tuple[str, str] | None
) -> None:
    """Raise Problem for one that is gone, or that would overwrite another database than its own unasked."""
    if snapshot.forgotten_at is not None:
        raise Problem(
            f"Snapshot {snapshot.short_id} was forgotten and is not there any more.",
            code="snapshot.forgotten",
            safe=_NOTHING,
        )
    both = (snapshot.source, database.database)
    if mode not in OVERWRITING_MODES or both[0] == both[1]:
        return
    if across != both:
        raise Problem(
            f"Snapshot {snapshot.short_id} is of {both[0]}, and would overwrite {both[1]}.",
            code="restore.across",
            safe=_NOTHING,
            do="Restore it into a new database (--into), or, if it is to take the place of "
            f"{both[1]}, name both: {shlex.join(['--across', *both])}.",
        )


def refuse_known_bad(snapshot: Snapshot, *, insisted: bool) -> None:
    """Raise Problem for one that its newest verification found bad, unless a person insists on it."""
    # Whoever chose it may have done so before a verification ended.
    snapshot.refresh_from_db(fields=["verdict"])
    if insisted or not snapshot.is_known_bad:
        return
    raise Problem(
        selection.known_bad_words(snapshot),
        code="snapshot.known_bad",
        safe=_NOTHING,
        do=f"{selection.instead_of(snapshot)} To restore this one all the same, add --known-bad to "
        "the command, "
        "or switch that on where the portal asks for it.",
    )
