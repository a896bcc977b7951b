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
from backups.text.sentences import phrase

_NOTHING = phrase("Nothing was started and nothing was touched.")


def refuse_unfit_target(database: Database, mode: RestoreMode, target: str, undo_of: Restore | None) -> None:
    """Raise Problem unless the target is one that this mode may write to."""
    if not target.strip():
        raise Problem(
            phrase("No target was given for the restore."), code="restore.no_target_named", safe=_NOTHING
        )
    if mode == RestoreMode.NEW:
        try:
            validators.target_name(target)
        except ValidationError as error:
            raise Problem(
                phrase(
                    "{target} cannot be the name of a database: {messages}",
                    target=repr(target),
                    messages=error.messages[0],
                ),
                code="restore.target_name",
                safe=_NOTHING,
            ) from error
    elif mode in OVERWRITING_MODES and target != database.database:
        raise Problem(
            phrase(
                "“{mode}” works only on {database} itself, which is {database_database}, not on {target}.",
                mode=mode.label,
                database=database,
                database_database=database.database,
                target=target,
            ),
            code="restore.other_target",
            safe=_NOTHING,
        )
    elif (mode == RestoreMode.UNDO) != (undo_of is not None and undo_of.target == target):
        raise Problem(
            phrase("An undo goes to the same database as the restore that it undoes."),
            code="undo.other_target",
            safe=_NOTHING,
        )


def refuse_unfit_snapshot(
    database: Database, snapshot: Snapshot, mode: RestoreMode, across: tuple[str, str] | None
) -> None:
    """Raise Problem for one that is gone, or that would overwrite another database than its own unasked."""
    if snapshot.forgotten_at is not None:
        raise Problem(
            phrase(
                "Snapshot {snapshot} was forgotten and is not there any more.", snapshot=snapshot.short_id
            ),
            code="snapshot.forgotten",
            safe=_NOTHING,
        )
    both = (snapshot.source, database.database)
    if mode not in OVERWRITING_MODES or both[0] == both[1]:
        return
    if across != both:
        raise Problem(
            phrase(
                "Snapshot {snapshot} is of {source}, and would overwrite {target}.",
                snapshot=snapshot.short_id,
                source=both[0],
                target=both[1],
            ),
            code="restore.across",
            safe=_NOTHING,
            do=phrase(
                "Restore it into a new database (--into), or, if it is to take the place of {source}, "
                "name both: {names}.",
                source=both[1],
                names=shlex.join(["--across", *both]),
            ),
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
        do=phrase(
            "{instead_of} To restore this one all the same, add --known-bad to the command, or switch "
            "that on where the portal asks for it.",
            instead_of=selection.instead_of(snapshot),
        ),
    )
