"""What a run that did not end well left, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from backups.choices import Action, RestoreMode, Swap
from backups.models import Restore, Run


def left_out(definitions: Sequence[Mapping[str, Any]]) -> str:
    """Definitions by kind and name, for a sentence: the first few of them."""
    names = [f"{one['kind']} {one['name']}" for one in definitions[:_NAMED]]
    more = len(definitions) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


_NAMED = 5


_SAFE_WHEN_LOST: dict[str, str] = {
    Action.BACKUP: "No heartbeat was written and earlier snapshots are untouched.",
    Action.VERIFY: "The live database and the snapshots are untouched.",
    Action.DROP_KEPT: "The live database was not touched.",
    Action.DEFINE: "No table was touched; try it again.",
}


def lost_sentence(run: Run) -> str:
    """Why a run is lost, what is safe and what to do."""
    beat = timezone.localtime(run.beat_at or run.queued_at)
    safe = snapshot_was_made(run) or _SAFE_WHEN_LOST.get(run.action, "The snapshots are untouched.")
    restore = Restore.objects.filter(run=run).first()
    if restore is not None:
        safe = _safe_when_lost(restore)
    return (
        f"The worker died in the middle of this run (last sign of life {beat:%H:%M:%S}). "
        f"{safe} Start it again; if it happens again, see the worker's own log."
    )


def snapshot_was_made(run: Run) -> str:
    """What is true of a backup that ended after its dump was stored, empty for all others."""
    if run.action != Action.BACKUP:
        return ""
    return {
        "confirm": "Its snapshot was made, but no heartbeat was written.",
        "heartbeat": "Its snapshot was made and is good; its heartbeat may have been written.",
    }.get(run.phase, "")


def restore_left(restore: Restore) -> str:
    """What a restore or an undo left of the live database, empty where it was not touched."""
    if restore.swap == Swap.FINISHED and restore.definitions_left:
        return (
            f"The tables are in {restore.target}, but {left_out(restore.definitions_left)} could not be made."
        )
    if restore.swap == Swap.FINISHED:
        return f"{restore.target} is wholly restored."
    if _is_loading_into_live(restore):
        return f"What was loaded into {restore.target} is taken away."
    if not restore.is_settled:
        return "It was swapping tables, which is ended either way within minutes."
    if restore.mode == RestoreMode.IN_PLACE and restore.run.phase == "load":
        saved = restore.safety_snapshot
        way_back = f", or restore snapshot {saved.short_id}, which has what it held before" if saved else ""
        return f"{restore.target} may be partly overwritten: restore again{way_back}."
    return ""


def _safe_when_lost(restore: Restore) -> str:
    """What a restore whose worker died left of its target; how a swap ended is added once it has."""
    untouched = "The live database was not touched"
    beside = "" if _is_loading_into_live(restore) else f"{untouched}; "
    if restore.mode == RestoreMode.NEW and "scratch" in restore.run.result:
        return f"{beside}{restore.target} was half loaded and is taken away."
    if restore.mode == RestoreMode.NEW and restore.run.phase in ("load", "check"):
        return f"{beside}{restore.target} may hold a part of the snapshot."
    return restore_left(restore) or f"{untouched}."


def _is_loading_into_live(restore: Restore) -> bool:
    """Whether the new database is the live one itself, which was lost."""
    return (
        restore.mode == RestoreMode.NEW
        and restore.target == restore.database.database
        and restore.run.phase in ("load", "check")
    )
