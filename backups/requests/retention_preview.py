"""What the next forget would do, for people to see beforehand: the plan of the run that does it, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from backups.catalog import series
from backups.catalog.portal_copies import copied_with
from backups.models import Database, Repository, Snapshot
from backups.requests.retention_plan import DatabasePlan, plan_of_repository
from backups.text import formatting
from backups.text.sentences import joined, phrase, plural


@dataclass(frozen=True)
class Line:
    """A snapshot, and why it stays or goes: a sentence for each reason."""

    snapshot: Snapshot
    reasons: Sequence[str]

    @property
    def added(self) -> int | None:
        """What it added to the repository when it was made, compressed where restic said so."""
        packed = self.snapshot.data_added_packed
        return self.snapshot.data_added if packed is None else packed


@dataclass(frozen=True)
class Preview:
    """Of one database, the newest first: what goes, what stays, and what a person should know of it."""

    database: Database
    goes: Sequence[Line]
    stays: Sequence[Line]
    notes: Sequence[str] = field(default_factory=tuple)


def previews(
    repository: Repository, now: datetime, *, databases: Iterable[Database] | None = None
) -> list[Preview]:
    """What a forget at `now` would do in a repository, of each of its databases or of some."""
    plans = list(plan_of_repository(repository, now, databases=databases))
    words = series.words([each.database for each in plans], series.Others.read())
    return [_preview(each, words[each.database.pk]) for each in plans]


def repository_notes(repository: Repository) -> list[str]:
    """What becomes of what lies in a repository besides the snapshots of its databases: a sentence each."""
    notes = []
    of_nobody = Snapshot.objects.present().filter(repository=repository, database=None).count()
    if of_nobody:
        notes.append(
            plural(
                "{n} snapshot of databases that are not set up here stays.",
                "{n} snapshots of databases that are not set up here stay.",
                n=of_nobody,
            )
        )
    if copied_with(repository) and not settings.BACKUP_KEEP_ALL:
        notes.append(
            phrase("The forget at night also removes old copies of the portal, which are not listed.")
        )
    return notes


def _preview(planned: DatabasePlan, notes: Sequence[str]) -> Preview:
    keeps_all = phrase("nothing is forgotten, as BACKUP_KEEP_ALL says") if settings.BACKUP_KEEP_ALL else ""
    whole = keeps_all or planned.waits or planned.failed or planned.stays
    goes, stays = [], []
    policy = policy_words(planned.database)
    for snapshot in planned.snapshots:
        reasons = planned.plan.keep.get(snapshot.snapshot_id, ())
        if whole:
            stays.append(Line(snapshot, [whole, *reasons]))
        elif snapshot.snapshot_id in planned.plan.keep:
            stays.append(Line(snapshot, reasons))
        else:
            goes.append(Line(snapshot, [policy]))
    return Preview(
        planned.database, goes, stays, [*filter(None, [planned.waits, planned.failed, planned.stays]), *notes]
    )


def policy_words(database: Database) -> str:
    """Why a snapshot goes that no rule keeps."""
    return phrase(
        "no rule keeps it ({daily} daily, {weekly} weekly, {monthly} monthly), and nothing holds it",
        daily=database.keep_daily,
        weekly=database.keep_weekly,
        monthly=database.keep_monthly,
    )


def room_words(goes: Sequence[Line]) -> str:
    """How much room becomes free, as far as can be said without asking restic; empty where nothing goes.

    What a snapshot added when it was made is known. Newer ones may use the same data, which then stays.
    """
    if not goes:
        return ""
    added = [line.added for line in goes]
    known = [each for each in added if each is not None]
    unknown = len(added) - len(known)
    count = plural("{n} snapshot", "{n} snapshots", n=len(goes))
    if not known:
        return phrase("{count} would go. How much room that frees is not known.", count=count)
    return joined(
        [
            phrase(
                "{count} would go, with {size} that was added as they were made: an estimate of the room "
                "that becomes free. What newer snapshots share stays, so it may be much less.",
                count=count,
                size=formatting.size(sum(known)),
            ),
            *([plural("Of {n} it is not known.", "Of {n} it is not known.", n=unknown)] if unknown else []),
        ]
    )


def as_json(found: Sequence[Preview], notes: Sequence[str] = ()) -> dict[str, Any]:
    """What `retention --preview --json` answers; `notes` are those of the whole repository."""
    goes = [line for each in found for line in each.goes]
    return {
        "forget": [
            {"snapshot_id": line.snapshot.snapshot_id, "reason": "; ".join(line.reasons)} for line in goes
        ],
        "keep": [
            {"snapshot_id": line.snapshot.snapshot_id, "reasons": list(line.reasons)}
            for each in found
            for line in each.stays
        ],
        "added_bytes": sum(line.added or 0 for line in goes),
        "notes": [*(note for each in found for note in each.notes), *notes],
    }
