"""The newest runs and snapshots of databases, as plain values of what of them is told.

Of thousands of databases, rows of models would take most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.utils import timezone

from backups.models import Run, Snapshot
from backups.models.as_stored import as_stored, moment
from backups.reports.rows import Row, by_key


class NewestRun(NamedTuple):
    """A run that is over, and what it proved if it was a verification that found something."""

    pk: int
    action: str
    error: str
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    # What its result says of the gate's heartbeat.
    heartbeat: str | None
    because: str | None
    proof: int | None
    verdict: str | None
    proved_at: datetime | None
    proved_id: str | None
    # Whose snapshot that is by now, what is known of it, and how long its restore took.
    proved_of: int | None
    proved_verdict: str | None
    restore_seconds: float | None

    @property
    def told(self) -> str:
        """What it does and its number, to be put into other texts."""
        return Run(pk=self.pk, action=self.action).told

    def duration(self) -> timedelta | None:
        """How long it took; None where it never started."""
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at


class NewestSnapshot(NamedTuple):
    """A snapshot that counts as a backup."""

    pk: int
    snapshot_id: str
    time: datetime
    verdict: str
    verified_at: datetime | None
    total_bytes_processed: int | None
    data_added_packed: int | None

    @property
    def short_id(self) -> str:
        """The first eight digits, as restic prints them."""
        return self.snapshot_id[:8]


def runs(keys: Iterable[int]) -> dict[int, NewestRun]:
    """Runs by their keys, in one query for thousands."""
    columns = (
        "pk", "action", "error", as_stored("queued_at"), as_stored("started_at"), as_stored("finished_at"),
        KT("result__heartbeat"), KT("result__withheld_because"), "verification__pk", "verification__verdict",
        as_stored("verification__finished_at"), "verification__snapshot__snapshot_id",
        "verification__snapshot__database", "verification__snapshot__verdict",
        "verification__restore_seconds",
    )  # fmt: skip
    return _RUNS.read(Run.objects.values_list(*columns), keys)


def snapshots(keys: Iterable[int]) -> dict[int, NewestSnapshot]:
    """Snapshots by their keys, in one query for thousands."""
    columns = (
        "pk", "snapshot_id", as_stored("time"), "verdict", as_stored("verified_at"), "total_bytes_processed",
        "data_added_packed",
    )  # fmt: skip
    return _SNAPSHOTS.read(Snapshot.objects.values_list(*columns), keys)


def _run(values: Any) -> NewestRun:
    pk, action, error, queued, started, finished, heartbeat, because, proof, verdict, proved, *of = values
    return NewestRun(
        pk, action, error, moment(queued), moment(started), moment(finished), heartbeat, because, proof,
        verdict, moment(proved), *of,
    )  # fmt: skip


def _snapshot(values: Any) -> NewestSnapshot:
    pk, snapshot_id, time, verdict, verified, size, added = values
    return NewestSnapshot(pk, snapshot_id, moment(time), verdict, moment(verified), size, added)


# Beside those that were asked for last, so many of before are kept.
_MOST_KEPT = 50_000


class _Made(Generic[Row]):
    """What was made of values, in this process. The same values are the same object again."""

    def __init__(self, make: Callable[[Any], Row]) -> None:
        self._make = make
        self._known: dict[int, tuple[Any, Row]] = {}

    def read(self, rows: QuerySet[Any, Any], keys: Iterable[int | None]) -> dict[int, Row]:
        """By their keys, from what the rows hold now."""
        known, make = self._known, self._make
        found: dict[int, tuple[Any, Row]] = {}
        for key, values in by_key(rows, keys, tuple).items():
            before = known.get(key)
            found[key] = before if before and before[0] == values else (values, make(values))
        is_part = 2 * len(found) < len(known) < _MOST_KEPT
        self._known = {**known, **found} if is_part else found
        return {key: made for key, (_, made) in found.items()}


_RUNS, _SNAPSHOTS = _Made(_run), _Made(_snapshot)
