"""Backups of databases that suddenly hold no table, or none of before: stored, and no quiet success.

The heartbeat stays where it was and nothing is forgotten, until a person says that it is right, or
the tables are back. Compared with the last backup that was not suspicious, or was accepted, however
many suspicious ones lie between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from backups.choices import SuspicionState, Trigger
from backups.dumpfile.sections import Kind
from backups.models import Database, Snapshot, Suspicion
from backups.snapshots.selection import CLOCKS_DIFFER
from backups.text.sentences import joined, phrase, plural

_SHOWN = 5
_WORTH_A_WORD = 1000


@dataclass(frozen=True)
class _Known:
    """What was held before: the newest backup that tells, None without; whether others are not known."""

    snapshot: Snapshot | None
    tables: Sequence[str] = ()
    others_unknown: bool = False


def judge(database: Database, snapshot: Snapshot) -> list[str]:
    """Why a new backup is suspicious, a sentence each, noted; a good one ends the wait for a person."""
    found = _reasons(database, snapshot)
    if found:
        suspicion_record(snapshot, database, found)
        return found
    for waits in waiting(database):
        suspicion_settle(
            waits,
            SuspicionState.OVER,
            by=phrase("snapshot {snapshot}, which has its tables", snapshot=snapshot.short_id),
        )
    return []


def waiting(database: Database) -> list[Suspicion]:
    """The backups that wait for a person, the oldest first."""
    rows = Suspicion.objects.filter(database=database, state=SuspicionState.WAITING)
    return list(rows.select_related("snapshot").defer("snapshot__manifest").order_by("pk"))


def which_wait(databases: Iterable[int]) -> set[int]:
    """Of databases, by their keys, those with a backup that waits for a person."""
    rows = Suspicion.objects.filter(database__in=databases, state=SuspicionState.WAITING)
    return set(rows.values_list("database_id", flat=True))


def doubts(snapshot: Snapshot) -> list[str]:
    """What is to be said to who restores a snapshot that nobody said to be right."""
    found = Suspicion.objects.filter(snapshot=snapshot).exclude(state=SuspicionState.ACCEPTED)
    return [
        phrase(
            "This backup is suspicious: {reasons} An earlier one may be what is wanted.",
            reasons=joined(each.reasons),
        )
        for each in found
    ]


def sentences(database: Database) -> list[str]:
    """What preflight says of those that wait: of the newest, which stands for all."""
    return [told(waits.snapshot.made_by_id, waits.reasons) for waits in waiting(database)[-1:]]


def told(run_id: int | None, reasons: Sequence[str]) -> str:
    """Why a backup waits, what it means, and what to do, for a person."""
    return phrase(
        "Backup {run_id} is stored and waits for a person: {reasons} Until then the heartbeat stays "
        "where it was and no snapshot is forgotten. If it is right: `manage.py accept {run_id} "
        "--reason …`, or its page in the portal. If not, restore an earlier snapshot, if there is "
        "one.",
        run_id=run_id,
        reasons=joined(reasons),
    )


# ---------------------------------------------------------------- What was held before


def _reasons(database: Database, snapshot: Snapshot) -> list[str]:
    tables = _tables(snapshot.manifest)
    before = _known_before(database, snapshot)
    if before.snapshot is None:
        if tables or not before.others_unknown:
            return []
        return [phrase("The database holds no table. It is not known here what its earlier snapshots hold.")]
    if not before.tables or _share_a_name(before.tables, tables):
        return []
    then = phrase(
        "{local_time} (snapshot {snapshot})",
        local_time=f"{before.snapshot.local_time:%Y-%m-%d %H:%M}",
        snapshot=before.snapshot.short_id,
    )
    names = ", ".join(before.tables[:_SHOWN]) + (" …" if len(before.tables) > _SHOWN else "")
    if not tables:
        return [
            phrase(
                "The database holds no table; on {then} it held {tables}: {names}.",
                then=then,
                tables=plural("{n} table", "{n} tables", n=len(before.tables)),
                names=names,
            )
        ]
    gone = plural(
        "The one table that the database held on {then} is not there any more",
        "None of the {n} tables that the database held on {then} is there any more",
        n=len(before.tables),
        then=then,
    )
    return [
        phrase(
            "{gone}: {names}. It holds {others}.",
            gone=gone,
            names=names,
            others=plural("{n} other", "{n} others", n=len(tables)),
        )
    ]


def _known_before(database: Database, snapshot: Snapshot) -> _Known:
    """The newest earlier backup that tells what the database held.

    One that was not judged here (adopted, or rebuilt from the repository) tells only if it held
    tables: that it held none may have been suspicious itself.
    """
    unknown = False
    earlier = (
        Snapshot.objects.trusted()
        .filter(database=database, time__lte=timezone.now() + CLOCKS_DIFFER)
        .exclude(pk=snapshot.pk)
        .select_related("made_by")
        .order_by("-time", "-pk")
    )
    for other in earlier.iterator(chunk_size=1):
        tables = _tables(other.manifest)
        if tables or (other.manifest is not None and _was_judged(other)):
            return _Known(other, tables)
        unknown = True
    return _Known(None, others_unknown=unknown)


def _was_judged(snapshot: Snapshot) -> bool:
    return snapshot.made_by is not None and snapshot.made_by.trigger != Trigger.RECOVERED


def _tables(manifest: dict[str, Any] | None) -> list[str]:
    return list((manifest or {}).get("inventory", {}).get("table", []))


def _share_a_name(one: Sequence[str], other: Sequence[str]) -> bool:
    """Without regard to case, which a server with other lower_case_table_names changes."""
    return not {name.casefold() for name in one}.isdisjoint(name.casefold() for name in other)


# ---------------------------------------------------------------- Fewer rows than there were


class Shrunk(NamedTuple):
    """A table whose rows take less than half of the bytes that they took in an earlier snapshot."""

    table: str
    before: int
    now: int
    snapshot: Snapshot


def shrunk(database: Database, snapshot: Snapshot) -> list[Shrunk]:
    """The tables that lost most of their rows since the last backup that tells what was held.

    No reason to suspect a backup, as queues and logs are emptied every day, but a server that has mended
    a damaged table by itself, and dropped rows for it, says so nowhere else.
    """
    before = _known_before(database, snapshot).snapshot
    if before is None:
        return []
    now, tables = _bytes_of_rows(snapshot), set(_tables(snapshot.manifest))
    return [
        Shrunk(table, then, now.get(table, 0), before)
        for table, then in sorted(_bytes_of_rows(before).items())
        if table in tables and then >= _WORTH_A_WORD and now.get(table, 0) * 2 < then
    ]


def _bytes_of_rows(snapshot: Snapshot) -> dict[str, int]:
    sections = (snapshot.manifest or {}).get("sections", [])
    return {each["name"]: each["bytes"] for each in sections if each["kind"] == Kind.ROWS}


# ---------------------------------------------------------------- Accepting


def settle(suspicion: Suspicion, *, by: str, reason: str) -> bool:
    """Take a waiting backup for right, and with it what it explains; answers whether it still waited.

    Those before it are over. Those after it are judged again, now against this one.
    """
    with transaction.atomic():
        if not suspicion_settle(suspicion, SuspicionState.ACCEPTED, by=by, reason=reason):
            return False
        for other in waiting(suspicion.database):
            if other.pk < suspicion.pk:
                suspicion_settle(other, SuspicionState.OVER, by=phrase("a newer backup that was accepted"))
            elif not _reasons(suspicion.database, other.snapshot):
                suspicion_settle(
                    other,
                    SuspicionState.ACCEPTED,
                    by=by,
                    reason=phrase("As snapshot {snapshot}", snapshot=suspicion.snapshot.short_id),
                )
    return True


def suspicion_record(snapshot: Snapshot, database: Database, reasons: Sequence[str]) -> None:
    """Note that a person is to say whether the backup is right."""
    Suspicion.objects.update_or_create(
        snapshot=snapshot,
        defaults={"database": database, "reasons": list(reasons), "state": SuspicionState.WAITING},
    )


def suspicion_settle(
    suspicion: Suspicion, state: SuspicionState, *, by: str, reason: str = "", now: datetime | None = None
) -> bool:
    """End the wait for a person; answers whether it was not ended before, by another one."""
    waits = Suspicion.objects.filter(pk=suspicion.pk, state=SuspicionState.WAITING)
    ended = {"settled_at": now or timezone.now(), "settled_by": by[:200], "reason": reason[:300]}
    hit = waits.update(state=state, **ended)
    suspicion.refresh_from_db()
    return hit == 1
