"""What a run that did not end well left, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from backups.choices import Action, RestoreMode, Swap
from backups.models import Restore, Run
from backups.text.kinds import of_kind
from backups.text.sentences import joined, phrase


def left_out(definitions: Sequence[Mapping[str, Any]]) -> str:
    """Definitions by kind and name, for a sentence: the first few of them."""
    names = [of_kind(one["kind"], one["name"]) for one in definitions[:_NAMED]]
    more = len(definitions) - len(names)
    return joined(names, ", ") + (phrase(" and {more} more", more=more) if more else "")


_NAMED = 5


_SAFE_WHEN_LOST: dict[str, str] = {
    Action.BACKUP: phrase("No heartbeat was written and earlier snapshots are untouched."),
    Action.VERIFY: phrase("The live database and the snapshots are untouched."),
    Action.REPLAY: phrase("The live database, the snapshots and the log are untouched."),
    Action.DROP_KEPT: phrase("The live database was not touched."),
    Action.DIFF: phrase("A comparison changes nothing."),
    Action.ROWS_BACK: phrase("The live database was not touched."),
    Action.FORGET: phrase("The newest and the newest verified snapshot are kept in any case."),
    Action.DEFINE: phrase("No table was touched; try it again."),
}


def lost_sentence(run: Run) -> str:
    """Why a run is lost, what is safe and what to do."""
    beat = timezone.localtime(run.beat_at or run.queued_at)
    safe = snapshot_was_made(run) or _SAFE_WHEN_LOST.get(run.action, phrase("The snapshots are untouched."))
    restore = Restore.objects.filter(run=run).first()
    if restore is not None:
        safe = _safe_when_lost(restore)
    if left := rows_left(run):
        safe = left
    return phrase(
        "The worker died in the middle of this run (last sign of life {beat}). {safe} Start it "
        "again; if it happens again, see the worker's own log.",
        beat=f"{beat:%H:%M:%S}",
        safe=safe,
    )


def snapshot_was_made(run: Run) -> str:
    """What is true of a backup that ended after its dump was stored, empty for all others."""
    if run.action != Action.BACKUP:
        return ""
    return {
        "confirm": phrase("Its snapshot was made, but no heartbeat was written."),
        "heartbeat": phrase("Its snapshot was made and is good; its heartbeat may have been written."),
    }.get(run.phase, "")


# The phase in which a script of rows runs in the live database.
APPLIES_ROWS = "apply"
# And that in which its rows are looked at, once it was committed.
LOOKS_AFTERWARDS = "look"
ALL_OR_NONE = phrase(
    "All of its rows were given back, or none: it was one transaction, and nobody heard how that ended. "
    "Apply it again: it looks first, and changes nothing that is done."
)


def rows_left(run: Run) -> str:
    """What an application of rows left that ended while its script ran, empty for all other runs."""
    if run.action != Action.ROWS_BACK or run.phase not in (APPLIES_ROWS, LOOKS_AFTERWARDS):
        return ""
    return ALL_OR_NONE if run.phase == APPLIES_ROWS else phrase("All rows were given back.")


def restore_left(restore: Restore) -> str:
    """What a restore or an undo left of the live database, empty where it was not touched."""
    if restore.swap == Swap.FINISHED and restore.definitions_left:
        return phrase(
            "The tables are in {target}, but {left_out} could not be made.",
            target=restore.target,
            left_out=left_out(restore.definitions_left),
        )
    if restore.swap == Swap.FINISHED:
        return phrase("{target} is wholly restored.", target=restore.target)
    if _is_loading_into_live(restore):
        return phrase("What was loaded into {target} is taken away.", target=restore.target)
    if not restore.is_settled:
        return phrase("It was swapping tables. The swap is completed or taken back within minutes.")
    if restore.mode == RestoreMode.IN_PLACE and restore.run.phase == "load":
        saved = restore.safety_snapshot
        way_back = (
            phrase(", or restore snapshot {snapshot}, which has what it held before", snapshot=saved.short_id)
            if saved
            else ""
        )
        return phrase(
            "{target} may be partly overwritten: restore again{way_back}.",
            target=restore.target,
            way_back=way_back,
        )
    return ""


def _safe_when_lost(restore: Restore) -> str:
    """What a restore whose worker died left of its target; how a swap ended is added once it has."""
    untouched = phrase("The live database was not touched")
    beside = "" if _is_loading_into_live(restore) else f"{untouched}; "
    if restore.mode == RestoreMode.NEW and "scratch" in restore.run.result:
        return phrase(
            "{beside}{target} was half loaded and is taken away.", beside=beside, target=restore.target
        )
    if restore.mode == RestoreMode.NEW and restore.run.phase in ("load", "check"):
        return phrase(
            "{beside}{target} may hold a part of the snapshot.", beside=beside, target=restore.target
        )
    return restore_left(restore) or f"{untouched}."


def _is_loading_into_live(restore: Restore) -> bool:
    """Whether the new database is the live one itself, which was lost."""
    return (
        restore.mode == RestoreMode.NEW
        and restore.target == restore.database.database
        and restore.run.phase in ("load", "check")
    )
