"""Asking that one snapshot be forgotten, whatever the policy says, by who knows what holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from backups.choices import ACTIVE, FORGET_SNAPSHOT, TEST_RESTORES, Action
from backups.errors import Problem, Refused
from backups.keeping import pins, suspicions
from backups.models import Database, Run, Snapshot
from backups.requests.base import About, Request
from backups.requests.retention_plan import plan_of
from backups.runs.refusals import describe
from backups.snapshots import holds, retention
from backups.text.sentences import joined, phrase

_SHORT, _WHOLE = 8, 64
_NOTHING_FORGOTTEN = phrase("Nothing was forgotten.")


@dataclass(frozen=True)
class KeptBy:
    """What keeps a snapshot: people's pins, other holds, rules of the policy; a sentence each.

    `is_last` says, in a sentence, what would be lost with it that no other has; empty where nothing.
    What `is_of_nobody` is of no database that is set up here, and no run forgets it.
    """

    pins: Sequence[str]
    holds: Sequence[str]
    rules: Sequence[str]
    is_last: str
    is_of_nobody: bool = False

    @property
    def all_but_pins(self) -> list[str]:
        """Why it would stay without any pin; empty where the next forget would take it."""
        return [*self.holds, *self.rules]

    @property
    def goes_without_pins(self) -> bool:
        """Whether nothing but pins keeps it."""
        return not self.all_but_pins and not self.is_of_nobody


def kept_by(snapshot: Snapshot, now: datetime) -> KeptBy:
    """What keeps a snapshot that is there, by the plan that the next forget makes."""
    present = Snapshot.objects.present().filter(
        repository=snapshot.repository_id, database=snapshot.database_id
    )
    present = present.defer("manifest")
    database = snapshot.database
    if database is None:
        # Of no database that is set up here: no run forgets it, and none holds it.
        present = present.filter(path=snapshot.path)
        reasons = holds.held(holds.present_of(present), now).get(snapshot.snapshot_id, [])
    else:
        policy = retention.Policy(database.keep_daily, database.keep_weekly, database.keep_monthly)
        reasons = list(plan_of(database, present, policy, now).keep.get(snapshot.snapshot_id, ()))
    alone = sum(each.file_stem == snapshot.file_stem for each in present) == 1
    pinned = [holds.pin_words(pin) for pin in pins.standing(snapshot, now)]
    held = [each for each in reasons if each not in retention.RULES and each not in pinned]
    return KeptBy(
        pins=pinned,
        holds=[*held, *_waits(database)],
        rules=[each for each in reasons if each in retention.RULES],
        is_last=_is_last(snapshot, reasons, alone=alone),
        is_of_nobody=database is None,
    )


def _waits(database: Database | None) -> list[str]:
    """That nothing of a database is forgotten until a person has looked at a suspicious backup of it."""
    # The plan itself is made as if none waited.
    found = suspicions.sentences(database) if database else []
    # Whoever names it puts it among others, and a full stop after the last.
    return [each.rstrip(".") for each in found]


def _is_last(snapshot: Snapshot, reasons: Sequence[str], *, alone: bool) -> str:
    if alone:
        return phrase("It is the only snapshot of {source} that is left.", source=snapshot.source)
    if holds.NEWEST_VERIFIED in reasons:
        return phrase("It is the newest one that a verification proved to come back.")
    return ""


def without_pins_words(snapshot: Snapshot, kept: KeptBy) -> str:
    """What becomes of a pinned snapshot once it is unpinned."""
    if kept.is_of_nobody:
        return phrase(
            "Unpinned, snapshot {snapshot} stays: it is of no database that is set up here, and no run "
            "forgets such ones.",
            snapshot=snapshot.short_id,
        )
    if kept.goes_without_pins:
        return phrase(
            "Unpinned, snapshot {snapshot} goes with the next forget: no rule keeps it, nothing holds it.",
            snapshot=snapshot.short_id,
        )
    return phrase(
        "Unpinned, snapshot {snapshot} stays for now: {reasons}.",
        snapshot=snapshot.short_id,
        reasons="; ".join(kept.all_but_pins),
    )


@dataclass(frozen=True)
class ForgetSnapshotRequest(Request):
    """Forget one snapshot: `typed` is its id as who asks typed it, at least the first eight digits.

    A pinned one is refused. What else holds it is to be confirmed with `although_held`, and of the last
    one of its kind the whole id is to be typed.
    """

    action = Action.FORGET
    form = FORGET_SNAPSHOT

    snapshot: Snapshot
    reason: str
    by: str
    typed: str
    although_held: bool = False

    @property
    def about(self) -> About:
        """The snapshot, where it lies, and whose it is."""
        return About(self.snapshot.database, self.snapshot.repository, self.snapshot)

    def parameters(self) -> dict[str, Any]:
        """Who wants it, why, and what was confirmed."""
        return {
            "reason": self.reason,
            "by": self.by,
            "typed": self.typed,
            "although_held": self.although_held,
        }

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where its snapshot is not known any more."""
        if run.snapshot is None:
            raise Problem(
                phrase("The snapshot that {run} should forget is not known any more.", run=run),
                code="snapshot.unknown",
                safe=_NOTHING_FORGOTTEN,
            )
        return cls(
            run.snapshot,
            str(payload["reason"]),
            str(payload["by"]),
            str(payload["typed"]),
            payload["although_held"] is True,
        )

    def refuse_unfit(self) -> None:
        """Raise Problem for what is kept, is not there, or was not confirmed as it has to be.

        Raises Refused while a restore, a verification or a comparison is to read it.
        """
        pins.refuse_unfit_reason(self.reason)
        _refuse_gone(self.snapshot)
        kept = kept_by(self.snapshot, timezone.now())
        self._refuse_untyped(kept)
        if kept.pins:
            raise Problem(
                phrase(
                    "Snapshot {snapshot} is pinned, so it is not forgotten: {pins}.",
                    snapshot=self.snapshot.short_id,
                    pins="; ".join(kept.pins),
                ),
                code="forget.pinned",
                safe=_NOTHING_FORGOTTEN,
                do=phrase("Unpin it first, if whoever pinned it agrees."),
            )
        _refuse_read(self.snapshot)
        if kept.holds and not self.although_held:
            raise Problem(
                phrase(
                    "Snapshot {snapshot} is held: {holds}.",
                    snapshot=self.snapshot.short_id,
                    holds="; ".join(kept.holds),
                ),
                code="forget.held",
                safe=_NOTHING_FORGOTTEN,
                do=phrase("To forget it all the same, say --although-held, or tick that on its page."),
            )

    def _refuse_untyped(self, kept: KeptBy) -> None:
        whole = self.snapshot.snapshot_id
        needed = _WHOLE if kept.is_last else _SHORT
        if len(self.typed) >= needed and whole.startswith(self.typed):
            return
        words = (
            phrase("The whole id has to be typed, all {digits} digits.", digits=len(whole))
            if kept.is_last
            else phrase("At least the first {digits} digits of its id have to be typed.", digits=_SHORT)
        )
        raise Problem(
            phrase("What was typed is not the id of snapshot {snapshot}.", snapshot=self.snapshot.short_id),
            code="forget.id_not_typed",
            safe=_NOTHING_FORGOTTEN,
            do=joined(each for each in (kept.is_last, words) if each),
        )


def _refuse_read(snapshot: Snapshot) -> None:
    """Raise Refused while a restore, a verification or a comparison of a snapshot waits or runs."""
    is_read = Q(action__in=[*TEST_RESTORES, Action.RESTORE, Action.DIFF, Action.ROWS_BACK], snapshot=snapshot)
    is_read |= Q(action=Action.DIFF, database=snapshot.database_id, request__until=snapshot.snapshot_id)
    reading = Run.objects.filter(is_read, status__in=ACTIVE)
    reader = reading.select_related("database", "repository").order_by("pk").first()
    if reader is not None:
        raise Refused(
            phrase(
                "Not forgotten: {reader} is to read snapshot {snapshot}.",
                reader=describe(reader),
                snapshot=snapshot.short_id,
            ),
            code="forget.wanted",
            safe=_NOTHING_FORGOTTEN,
            do=phrase("Wait for it to end, or cancel it, then try again."),
        )


def _refuse_gone(snapshot: Snapshot) -> None:
    if settings.BACKUP_KEEP_ALL:
        raise Problem(
            phrase("Nothing is forgotten, as BACKUP_KEEP_ALL says."),
            code="forget.keeps_all",
            safe=_NOTHING_FORGOTTEN,
        )
    if not Snapshot.objects.present().filter(pk=snapshot.pk).exists():
        raise Problem(
            phrase("Snapshot {snapshot} is not in the repository any more.", snapshot=snapshot.short_id),
            code="snapshot.gone",
            safe=_NOTHING_FORGOTTEN,
        )
