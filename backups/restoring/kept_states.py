"""The states of a database that can be brought back after restores: which, how, and until when.

Each swap and each restore in place lays a new state upon the one of before. An undo takes the newest
away again; what it takes away is kept in its turn, and is brought back only by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from backups.choices import RestoreMode, Swap
from backups.errors import Problem
from backups.models import Database, Restore, Snapshot
from backups.snapshots.retention import SAFETY_KEPT
from backups.text.sentences import joined, phrase

# Of a row of a restore, what nobody needs who looks at many.
LARGE = ("definitions_before", "definitions_after", "tables_after")


@dataclass(frozen=True)
class State:
    """What a database was before `restore`, and how it can be that again.

    `until` is None where only a person ends it; `is_next` marks what `undo_restore` goes to.
    """

    restore: Restore
    way: str
    until: datetime | None
    is_next: bool = False

    @property
    def what(self) -> str:
        """Which state it is, in words."""
        restore = self.restore
        verb = phrase("undo") if restore.mode == RestoreMode.UNDO else phrase("restore")
        at = timezone.localtime(restore.swapped_at or restore.run.finished_at or restore.run.queued_at)
        only = phrase(", {tables} alone", tables=", ".join(restore.tables)) if restore.tables else ""
        return phrase(
            "{target} as it was before {verb} {run_id} of {at}{only}",
            target=restore.target,
            verb=verb,
            run_id=restore.run_id,
            at=f"{at:%Y-%m-%d %H:%M}",
            only=only,
        )

    @property
    def end(self) -> str:
        """Until when it can be brought back, in words."""
        if self.until is None:
            return phrase("until somebody drops its kept tables; nothing drops them by itself")
        return phrase("at least until {until}", until=f"{timezone.localtime(self.until):%Y-%m-%d %H:%M}")

    def as_json(self) -> dict[str, Any]:
        """For `--json`; times in UTC."""
        return {
            "restore": self.restore.run_id,
            "target": self.restore.target,
            "state": self.what,
            "tables": self.restore.tables,
            "kept_in": self.restore.kept_in if self.restore.keeps_tables else "",
            "way": self.way,
            "until": self.until.isoformat() if self.until else None,
            "end": self.end,
            "next": self.is_next,
        }


def laid(database: Database, target: str) -> list[Restore]:
    """What lies upon the first state of a target, oldest first; undone ones are not among it."""
    return _replayed(database, target)[0]


def _replayed(database: Database, target: str) -> tuple[list[Restore], list[Restore]]:
    """What lies upon the first state, and those of whom the state of now comes: what they left out lacks."""
    lying: list[Restore] = []
    here: list[Restore] = []
    below: dict[int, list[Restore]] = {}
    for row in _rows(database, target).exclude(mode=RestoreMode.NEW).order_by("pk"):
        if not row.overwrote:
            continue
        undone = next((one for one in lying if one.pk == row.undo_of_id), None)
        if undone is None:
            below[row.pk] = here
            here = [row]
            lying.append(row)
            continue
        here = [*below[undone.pk], row]
        at = lying.index(undone)
        lying = lying[:at] + [one for one in lying[at + 1 :] if not _share_tables(one, undone)]
    return lying, here


def _rows(database: Database, target: str) -> QuerySet[Restore]:
    """All restores of a target, without what is large in their rows."""
    there = Restore.objects.filter(
        database__server__host=database.server.host,
        database__server__port=database.server.port,
        target=target,
    ).exclude(mode=RestoreMode.FILE)
    related = there.select_related("run", "database__server", "snapshot", "safety_snapshot")
    return related.defer("snapshot__manifest", "safety_snapshot__manifest", *LARGE)


def may_define_again(restore: Restore) -> bool:
    """Whether what a restore left out can be tried again: its state is the one that is there now."""
    if not restore.definitions_left or not restore.is_settled:
        return False
    newer = list(_rows(restore.database, restore.target).filter(pk__gt=restore.pk))
    if any(not one.is_settled for one in newer):
        return False
    if restore.swap == Swap.FINISHED:
        return restore in _replayed(restore.database, restore.target)[1]
    return not any(one.overwrote for one in newer)


def next_undo(database: Database, target: str) -> Restore:
    """The restore whose undo brings back the state of just before. Raises Problem where there is none."""
    known = listed(database, target)
    lying = laid(database, target)
    ways = joined(f"{state.what}: {state.way}." for state in known)
    if not lying or not known:
        raise Problem(
            phrase("No restore of {target} keeps tables, so there is nothing to undo.", target=target)
            if not known
            else phrase(
                "No restore of {target} is left to undo. It is as it was before the first of them.",
                target=target,
            ),
            code="undo.nothing_kept",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase("What can be brought back: {ways}", ways=ways) if known else "",
        )
    newest = lying[-1]
    if newest.keeps_tables:
        return newest
    if newest.mode == RestoreMode.IN_PLACE:
        raise Problem(
            phrase(
                "The newest restore of {target}, {run_id}, was in place and keeps no tables.",
                target=target,
                run_id=newest.run_id,
            ),
            code="undo.in_place",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase(
                "Its way back is the backup that was made before it. What can be brought back: {ways}",
                ways=ways,
            ),
        )
    raise Problem(
        phrase(
            "The tables that the newest restore of {target}, {run_id}, kept are gone.",
            target=target,
            run_id=newest.run_id,
        ),
        code="undo.kept_is_gone",
        safe=phrase("{target} was not touched.", target=target),
        do=phrase("What can be brought back: {ways}", ways=ways),
    )


def listed(database: Database, target: str) -> list[State]:
    """All states that can be brought back, newest first."""
    lying = laid(database, target)
    there = _rows(database, target).filter(swapped_at__isnull=False)
    rows = {row.pk: row for row in [*there, *lying]}
    states = []
    for pk in sorted(rows, reverse=True):
        row = rows[pk]
        is_next = bool(lying) and row == lying[-1] and row.keeps_tables
        if row.keeps_tables:
            chosen = "" if is_next else f" --restore {row.run_id}"
            states.append(State(row, f"manage.py undo_restore{chosen}", None, is_next))
        elif row in lying and (saved := row.safety_snapshot) is not None and saved.forgotten_at is None:
            ended = row.run.finished_at or row.run.queued_at
            way = f"manage.py restore --snapshot {saved.short_id} --replace"
            states.append(State(row, way, ended + SAFETY_KEPT))
    return states


def refuse_out_of_order(restore: Restore) -> None:
    """Raise Problem where single tables would come back from under a newer restore of them.

    A whole state may come back whatever lies upon it; single tables would not fit what is there.
    """
    newer = [one for one in _newer(restore) if _share_tables(one, restore)]
    if restore.tables and newer:
        raise Problem(
            phrase(
                "Restore {run_id} of {target} is newer and has these tables as well. The tables that "
                "restore {restore_run_id} kept would not fit what is there.",
                run_id=newer[-1].run_id,
                target=restore.target,
                restore_run_id=restore.run_id,
            ),
            code="undo.newer_restore",
            safe=phrase("{target} was not touched.", target=restore.target),
            do=phrase("Undo restore {run_id} first.", run_id=newer[-1].run_id),
        )


def refuse_early_drop(restore: Restore) -> None:
    """Raise Problem where a state would be dropped to which undos still lead, one after the other."""
    newer = [one for one in _newer(restore) if one.keeps_tables]
    if newer and restore in laid(restore.database, restore.target):
        raise Problem(
            phrase(
                "Restore {run_id} of {target} is newer and can still be undone. After that, {kept_in} "
                "is the way back to what was there first.",
                run_id=newer[-1].run_id,
                target=restore.target,
                kept_in=restore.kept_in,
            ),
            code="undo.newer_restore",
            safe=phrase("Nothing was dropped."),
            do=phrase("Undo restore {run_id}, or drop what that one kept, first.", run_id=newer[-1].run_id),
        )


def held_snapshots(database: Database) -> Iterator[tuple[Snapshot, Restore, Restore]]:
    """Safety snapshots of older restores that a newer one of the same target still lies upon.

    Each with its restore and the newer one, as long as that can be undone.
    """
    targets = Restore.objects.filter(database=database, safety_snapshot__isnull=False)
    for target in targets.values_list("target", flat=True).distinct().order_by("target"):
        lying = laid(database, target)
        standing = [one for one in lying if one.keeps_tables or _is_fresh(one)]
        for older in lying:
            saved = older.safety_snapshot
            if standing and older.pk < standing[-1].pk and saved and saved.forgotten_at is None:
                yield saved, older, standing[-1]


def which_saved(databases: Iterable[int]) -> set[int]:
    """Of databases, by their keys, those of which `held_snapshots` may tell."""
    rows = Restore.objects.filter(database__in=databases, safety_snapshot__isnull=False)
    return set(rows.values_list("database_id", flat=True))


def _is_fresh(restore: Restore) -> bool:
    """Whether a restore in place still has its own safety snapshot for certain."""
    ended = restore.run.finished_at
    return restore.swap == Swap.NONE and (ended is None or ended > timezone.now() - SAFETY_KEPT)


def _newer(restore: Restore) -> list[Restore]:
    return [one for one in laid(restore.database, restore.target) if one.pk > restore.pk]


def _share_tables(one: Restore, other: Restore) -> bool:
    return not one.tables or not other.tables or bool(set(one.tables) & set(other.tables))
