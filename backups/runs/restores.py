"""How a restore is asked for, and how far its swap is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from backups import aim
from backups.choices import TERMINAL, UNSETTLED, Action, DefinerPolicy, RestoreMode, Swap, Trigger
from backups.models import Database, Repository, Restore, Run, Snapshot
from backups.runs.lifecycle import run_enqueue
from backups.runs.refusals import refuse_same_target, refuse_unsettled

# Why `manage.py recover` restores: it takes no choices.
FOR_RECOVERY = "recover"


def restore_enqueue(
    *,
    database: Database,
    snapshot: Snapshot,
    mode: RestoreMode,
    target: str,
    trigger: Trigger,
    tables: Sequence[str] = (),
    definers: DefinerPolicy = DefinerPolicy.KEEP,
    without_safety: bool = False,
    known_bad: bool = False,
    reason: str = "",
    undo_of: Restore | None = None,
    across: tuple[str, str] | None = None,
    requested_by: User | None = None,
    send: bool = True,
) -> Run:
    """Insert a queued restore (or undo) with all that it needs to know.

    `across` are the names that a person gave of the snapshot's database and of the one that is to
    hold it, where they differ; `known_bad` says that they want one that is known to be bad. Raises
    Refused while another restore of the same target is queued or running, Problem for a target that does
    not fit the mode, or a snapshot that does not fit the target.
    """
    aim.refuse_unfit_target(database, mode, target, undo_of)
    if mode != RestoreMode.UNDO:
        aim.refuse_unfit_snapshot(database, snapshot, mode, across)
        aim.refuse_known_bad(snapshot, insisted=known_bad)
    with transaction.atomic():
        # In one order, for whoever locks both.
        both = Repository.objects.filter(pk__in=[database.repository_id, snapshot.repository_id])
        list(both.select_for_update().order_by("pk"))
        if mode != RestoreMode.FILE:
            refuse_same_target(database, target)
            refuse_unsettled(database, target)
        run = run_enqueue(
            action=Action.UNDO if undo_of else Action.RESTORE,
            trigger=trigger,
            database=database,
            snapshot=snapshot,
            requested_by=requested_by,
            options={"known_bad": True} if known_bad else {},
            send=send,
        )
        Restore.objects.create(
            run=run,
            database=database,
            snapshot=snapshot,
            mode=mode,
            target=target,
            tables=sorted(tables),
            definers=definers,
            without_safety=without_safety,
            reason=reason,
            undo_of=undo_of,
        )
    return run


def restore_note(restore: Restore, **facts: Any) -> None:
    """Store how far a restore is."""
    for name, value in facts.items():
        setattr(restore, name, value)
    restore.save(update_fields=list(facts))


def restore_finished_swap(
    restore: Restore, *, left: Sequence[Mapping[str, Any]] = (), now: datetime | None = None
) -> None:
    """The target's tables are what was to come; what it was before can be had back.

    `left` are the definitions that could not be made.
    """
    now = now or timezone.now()
    # Together: what is undone and does not say so would be undone once more, into nothing.
    with transaction.atomic():
        restore_note(restore, swap=Swap.FINISHED, swapped_at=now, definitions_left=list(left))
        if restore.undo_of is not None:
            restore_note(restore.undo_of, undone_at=now)


def restores_broken_off() -> list[Restore]:
    """Restores whose run is over and whose swap is neither finished nor rolled back."""
    over = Restore.objects.filter(run__status__in=TERMINAL, swap__in=UNSETTLED)
    return list(over.select_related("run", "database__repository", "snapshot"))
