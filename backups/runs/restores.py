"""How far the swap of a restore is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.choices import TERMINAL, UNSETTLED, Swap
from backups.models import Restore

# Why `manage.py recover` restores: it takes no choices.
FOR_RECOVERY = "recover"


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
    return list(over.select_related("run", "database__repository", "database__server", "snapshot"))
