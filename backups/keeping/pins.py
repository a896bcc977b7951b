"""Pins: a person's word that a snapshot stays, until somebody ends it or its last day is over.

A pin is written down before it is answered for, and every forget looks for pins once more just before it
acts. One that a forget does not see any more is said to have come too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from backups.choices import ACTIVE, Action
from backups.errors import Problem
from backups.models import Pin, Repository, Run, Snapshot
from backups.text.sentences import phrase, plural

REASON_LEAST, REASON_MOST = 5, 300


@dataclass(frozen=True)
class Wish:
    """Why a snapshot is to stay, up to and with which day (None is for ever), and who says so."""

    reason: str
    by: str
    until: date | None = None

    def refuse_unfit(self) -> None:
        """Raise Problem for a reason that tells nothing and a day that is over."""
        refuse_unfit_reason(self.reason)
        if self.until is not None and self.until < timezone.localdate():
            raise Problem(
                phrase("{until} is over, so the pin would hold nothing.", until=f"{self.until:%Y-%m-%d}"),
                code="pin.until_is_over",
                safe=NOTHING_CHANGED,
                do=phrase("Give a day from today on, or none: then it stays until somebody unpins it."),
            )


NOTHING_CHANGED = phrase("Nothing was changed.")


def refuse_unfit_reason(reason: str) -> None:
    """Raise Problem for one that is too short to tell anything, or too long to be kept."""
    if not REASON_LEAST <= len(reason.strip()) <= REASON_MOST:
        raise Problem(
            phrase("A reason takes {least} to {most} characters.", least=REASON_LEAST, most=REASON_MOST),
            code="pin.reason_unfit",
            safe=NOTHING_CHANGED,
            do=phrase("Say why, in a few words."),
        )


def pin(snapshot: Snapshot, wish: Wish) -> Pin:
    """Have a snapshot kept. Raises Problem where it is gone, or the wish is unfit."""
    wish.refuse_unfit()
    with transaction.atomic():
        # A list of the repository that is being read may just find it gone.
        Repository.objects.select_for_update().get(pk=snapshot.repository_id)
        if not Snapshot.objects.present().filter(pk=snapshot.pk).exists():
            raise Problem(
                phrase(
                    "Snapshot {snapshot} is not in the repository any more, so it cannot be pinned.",
                    snapshot=snapshot.short_id,
                ),
                code="snapshot.gone",
                safe=NOTHING_CHANGED,
            )
        return pin_record(snapshot, wish)


def pin_record(snapshot: Snapshot, wish: Wish) -> Pin:
    """Note a pin. Whoever just made the snapshot need not look whether it is there."""
    return Pin.objects.create(
        snapshot=snapshot, reason=wish.reason.strip(), until=wish.until, made_by=wish.by[:200]
    )


def carry_over(original: str, snapshot: Snapshot) -> None:
    """Have a snapshot kept as the one was from which a repair wrote it anew, and whose id is `original`."""
    held = Pin.objects.filter(
        snapshot__repository=snapshot.repository_id, snapshot__snapshot_id=original, ended_at=None
    )
    for pin in held:
        Pin.objects.create(
            snapshot=snapshot, reason=pin.reason, until=pin.until, made_at=pin.made_at, made_by=pin.made_by
        )


def standing(snapshot: Snapshot, now: datetime | None = None) -> list[Pin]:
    """The pins that hold a snapshot, the oldest first."""
    return list(Pin.objects.standing(now or timezone.now()).filter(snapshot=snapshot).order_by("pk"))


def unpin(snapshot: Snapshot, *, by: str, reason: str) -> int:
    """End all pins of a snapshot; answers how many. Raises Problem where there is none."""
    refuse_unfit_reason(reason)
    now = timezone.now()
    ended = (
        Pin.objects.standing(now)
        .filter(snapshot=snapshot)
        .update(ended_at=now, ended_by=by[:200], end_reason=reason.strip())
    )
    if not ended:
        raise not_pinned(snapshot)
    return ended


def not_pinned(snapshot: Snapshot) -> Problem:
    """That there is nothing to end."""
    return Problem(
        phrase("Snapshot {snapshot} is not pinned.", snapshot=snapshot.short_id),
        code="pin.none",
        safe=NOTHING_CHANGED,
        do=phrase("`manage.py pins` lists those that are."),
    )


def maybe_too_late(snapshot: Snapshot) -> str:
    """What is to be said where a forget is under way that may have looked before; else nothing."""
    running = Run.objects.filter(
        repository=snapshot.repository_id, action=Action.FORGET, status__in=ACTIVE, phase="forget"
    ).first()
    if running is None:
        return ""
    return phrase(
        "{run} is removing snapshots at this moment, and may have begun with this one. Look again when it "
        "has ended.",
        run=running,
    )


def pinned_words(snapshot: Snapshot, made: Pin) -> str:
    """That it stays, and until when."""
    if made.until is None:
        return phrase(
            "Snapshot {snapshot} is pinned and stays until somebody unpins it.", snapshot=snapshot.short_id
        )
    return phrase(
        "Snapshot {snapshot} is pinned and stays until the end of {until}.",
        snapshot=snapshot.short_id,
        until=f"{made.until:%Y-%m-%d}",
    )


def unpinned_words(snapshot: Snapshot, ended: int) -> str:
    """That it is held by no pin any more."""
    return phrase(
        "Snapshot {snapshot} is not pinned any more: {pins} ended.",
        snapshot=snapshot.short_id,
        pins=plural("{n} pin", "{n} pins", n=ended),
    )
