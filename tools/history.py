"""A history as a shop would have it after some weeks, for screenshots and for the tests of pages.

Nothing is backed up: these are rows only. The same rows at every run, counted back from `now`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Max, Model
from django.utils import timezone

from backups.choices import Action, Health, Level, RestoreMode, Status, Trigger, Verdict
from backups.models import (
    Database,
    Repository,
    Restore,
    Run,
    RunLine,
    Server,
    Snapshot,
    Verification,
    WorkerPulse,
)

MB = 1_000_000
GIVEN_UP = (
    "The database server at db:3306 does not answer (connection refused). No snapshot was made, no heartbeat "
    "was written; earlier snapshots are safe. See whether the server runs, then back up again."
)
LOST = (
    "The worker died in the middle of this run (last sign of life 03:02:41). No heartbeat was written and "
    "earlier snapshots are untouched. Start it again; if it happens again, see the worker's own log."
)
CANCELLED = "Cancelled. No snapshot was made, no heartbeat was written; earlier snapshots are safe."
TABLES = {
    "orders": 310, "order_items": 240, "customers": 78, "payments": 64, "products": 21, "shipments": 18,
    "audit_log": 14, "categories": 1, "settings": 0.02,
}  # fmt: skip


@dataclass
class History:
    """What was made."""

    repository: Repository
    databases: list[Database]
    running: Run


def make(*, days: int = 45, now: datetime | None = None) -> History:
    """Fill an empty portal with `days` of history."""
    now = now or timezone.now()
    repository = Repository.objects.create(
        name="main", url="s3:https://s3.eu-central-1.example.com/shop-backups", health=Health.GOOD,
        checked_at=now - timedelta(hours=13), size_bytes=4_312 * MB, sized_at=now - timedelta(hours=13),
        backups_since_check=1,
    )  # fmt: skip
    server = Server.objects.create(name="db:3306", host="db", user="backup", flavour="mysql", version="9.7.1")
    databases = [
        Database.objects.create(
            name="orders_tracker", database="orders_tracker", server=server, repository=repository,
            is_primary=True, client_version="mysqldump 9.7.1",
        ),
        Database.objects.create(
            name="newsletter", database="newsletter", server=server, repository=repository,
            backup_cron="30 3 * * *", verify_cron="0 6 * * 6", gates_app=False,
        ),
    ]  # fmt: skip
    for database, size, hours in ((databases[0], 690 * MB, 12), (databases[1], 58 * MB, 24)):
        _Story(database, size, now, random.Random(database.pk)).tell(days * 24 // hours, hours)  # noqa: S311
    _restores(databases[0], now)
    WorkerPulse.objects.bulk_create(
        WorkerPulse(cluster=name, seen_at=now - timedelta(seconds=8)) for name in ("vedetta", "restores")
    )
    return History(repository, databases, _running(databases[0], now))


class _Story:
    """One database's backups, one after the other, with what followed each.

    All rows of a kind are made at once, for which they get their numbers here: many tests begin so.
    """

    def __init__(self, database: Database, size: int, now: datetime, chance: random.Random) -> None:
        self.database = database
        self.size = size
        self.now = now
        self.chance = chance
        self.next_run, self.next_snapshot = _next(Run), _next(Snapshot)
        self.runs: list[Run] = []
        self.snapshots: list[Snapshot] = []
        self.lines: list[RunLine] = []
        self.verifications: list[Verification] = []

    def tell(self, count: int, hours: int) -> None:
        """`count` backups, `hours` apart, the last one some hours ago."""
        last = self.now - timedelta(hours=3)
        for number in range(count):
            at = last - timedelta(hours=hours * (count - 1 - number))
            self.size = int(self.size * self.chance.uniform(1.0005, 1.004))
            self._backup(number, at, newest=number == count - 1)
        with transaction.atomic():  # SQLite looks at its end whether all is there that is referred to
            Run.objects.bulk_create(self.runs)
            Snapshot.objects.bulk_create(self.snapshots)
            RunLine.objects.bulk_create(self.lines)
            Verification.objects.bulk_create(self.verifications)

    def _backup(self, number: int, at: datetime, *, newest: bool) -> None:
        ending = {17: GIVEN_UP, 38: LOST, 51: CANCELLED, 52: GIVEN_UP}.get(number)
        if ending:
            status = {LOST: Status.LOST, CANCELLED: Status.CANCELLED}.get(ending, Status.FAILED)
            run = self._run(
                Action.BACKUP, at, 14, ["preflight", "dump"][: 1 + (status != Status.FAILED)], status
            )
            run.error = ending
            return
        took = self.size / (27 * MB) * self.chance.uniform(0.85, 1.25)
        run = self._run(
            Action.BACKUP, at, took, ["preflight", "dump", "confirm", "heartbeat"], Status.SUCCEEDED
        )
        snapshot = self._snapshot(run, at, number)
        run.snapshot = snapshot
        run.bytes_done = run.bytes_expected = self.size
        run.result = {
            "snapshot_id": snapshot.snapshot_id, "dump_bytes": self.size, "data_added": snapshot.data_added,
            "data_added_packed": snapshot.data_added_packed, "sha256": snapshot.dump_sha256,
        }  # fmt: skip
        self.lines += _lines(run, snapshot)
        self._run(
            Action.FORGET, at + timedelta(seconds=took + 2), 6, ["forget"], Status.SUCCEEDED, parent=run
        )
        if number % 6 == 5:
            self._run(
                Action.CHECK, at + timedelta(seconds=took + 9), 41, ["check"], Status.SUCCEEDED, parent=run
            )
        if number % 14 == 12 or newest:
            self._verify(snapshot, at + timedelta(hours=2), verdict=Verdict.IDENTICAL)

    def _snapshot(self, run: Run, at: datetime, number: int) -> Snapshot:
        digest = hashlib.sha256(f"{self.database.pk}/{number}".encode()).hexdigest()
        age = self.now - at
        kept = [
            rule
            for rule, days in (("daily snapshot", 8), ("weekly snapshot", 32), ("monthly snapshot", 180))
            if age < timedelta(days=days) and (days == 8 or number % (14 if days == 32 else 30) == 12)
        ]
        added = int(self.size * self.chance.uniform(0.012, 0.03))
        snapshot = Snapshot(
            pk=self.next_snapshot + len(self.snapshots), repository=self.database.repository,
            database=self.database, made_by=run, snapshot_id=digest, time=at,
            host="vedetta", path=f"/mysql/{self.database.database}.sql",
            tags=["vedetta", f"database:{self.database.name}"], total_bytes_processed=self.size,
            data_added=added * 3, data_added_packed=added, dump_sha256=digest[::-1],
            manifest=_manifest(self.size, number), kept_because=kept,
            forgotten_at=None if kept else at + timedelta(days=8),
        )  # fmt: skip
        self.snapshots.append(snapshot)
        return snapshot

    def _verify(self, snapshot: Snapshot, at: datetime, verdict: Verdict) -> None:
        took = self.size / (6.2 * MB) * self.chance.uniform(0.92, 1.1)
        phases = ["preflight", "restore", "compare", "clear up"]
        run = self._run(Action.VERIFY, at, took * 1.3, phases, Status.SUCCEEDED)
        run.snapshot = snapshot
        snapshot.verified_at = at + timedelta(seconds=took * 1.3)
        verification = Verification(
            run=run, snapshot=snapshot, verdict=verdict, finished_at=at + timedelta(seconds=took * 1.3),
            compared=["stream digest", "object inventory", "every section, byte for byte"],
            restore_seconds=took, tables=len(TABLES), rows=self.size // 79, bytes=self.size,
            source_version="MySQL 9.7.1", scratch_version="MySQL 9.7.1",
        )  # fmt: skip
        self.verifications.append(verification)

    def _run(
        self, action: Action, at: datetime, seconds: float, phases: list[str], status: Status, **more: Any
    ) -> Run:
        shares = _shares(len(phases))
        story = [
            {"name": name, "at": (at + timedelta(seconds=seconds * share)).isoformat()}
            for name, share in zip(phases, shares, strict=True)
        ]
        run = Run(
            pk=self.next_run + len(self.runs), action=action, database=self.database,
            repository=self.database.repository, status=status,
            trigger=Trigger.BACKUP if more else Trigger.SCHEDULE, queued_at=at,
            started_at=at + timedelta(seconds=1),
            finished_at=at + timedelta(seconds=seconds), beat_at=at, phase=phases[-1], phases=story,
            restic_version="0.19.1", server_version="MySQL 9.7.1", client_version="mysqldump 9.7.1",
            worker="worker-1/812", **more,
        )  # fmt: skip
        self.runs.append(run)
        return run


def _next(kind: type[Model]) -> int:
    """The number that the next row of this kind gets."""
    last: int | None = kind._default_manager.aggregate(last=Max("pk"))["last"]
    return (last or 0) + 1


def _shares(count: int) -> list[float]:
    return [0.0, 0.05, 0.95, 0.98][:count]


def _manifest(size: int, number: int) -> dict[str, Any]:
    whole = sum(TABLES.values())
    names = dict(TABLES)
    if number > 70:
        names["returns"] = 3.1
    sections = [
        {"kind": "rows", "name": name, "bytes": int(size * weight / whole), "sha256": ""}
        for name, weight in names.items()
    ]
    inventory = {
        "table": sorted(names), "view": ["open_orders", "revenue_by_month"], "trigger": ["orders_audit"],
        "procedure": ["close_month"], "event": ["purge_sessions"],
    }  # fmt: skip
    return {"sections": sections, "inventory": inventory, "sha256": "", "bytes": size}


def _lines(run: Run, snapshot: Snapshot) -> Iterator[RunLine]:
    held = "table 10, view 2, trigger 1, procedure 1, event 1"
    for seconds, text in (
        (2, "MySQL 9.7.1, mysqldump 9.7.1 client, restic 0.19.1."),
        (24, f"Snapshot {snapshot.short_id} holds, by kind: {held}."),
        (25, "Heartbeat written to /status/last_ok."),
    ):
        yield RunLine(run=run, at=run.queued_at + timedelta(seconds=seconds), text=text)


def _restores(database: Database, now: datetime) -> None:
    admin = get_user_model().objects.filter(is_superuser=True).first()
    snapshot = database.snapshots.filter(verified_at__isnull=False).order_by("time").last()
    assert snapshot is not None  # noqa: S101
    for days, mode, target in (
        (9, RestoreMode.NEW, "orders_tracker_audit"),
        (2, RestoreMode.REPLACE, "orders_tracker"),
    ):
        at = now - timedelta(days=days)
        run = Run.objects.create(
            action=Action.RESTORE, database=database, repository=database.repository, snapshot=snapshot,
            status=Status.SUCCEEDED, trigger=Trigger.ADMIN, requested_by=admin, queued_at=at, started_at=at,
            finished_at=at + timedelta(seconds=139), phase="swap",
            phases=[{"name": "load", "at": at.isoformat()}],
            result=_counted() if mode == RestoreMode.REPLACE else {},
        )  # fmt: skip
        Restore.objects.create(
            run=run, database=database, snapshot=snapshot, mode=mode, target=target, restore_seconds=118,
            reason="A wrong price import was noticed on Monday.",
            kept_in=f"orders_tracker__before_{run.pk}" if mode == RestoreMode.REPLACE else "",
            swapped_at=at + timedelta(seconds=130) if mode == RestoreMode.REPLACE else None,
        )  # fmt: skip


def _counted() -> dict[str, Any]:
    """The rows that a restore counted: prices that were lost, one table more, one that was too large."""
    rows = [
        {"table": "audit_log", "before": None, "after": None},
        {"table": "customers", "before": 48_210, "after": 48_204},
        {"table": "import_of_monday", "before": 9_130},
        {"table": "orders", "before": 1_310_551, "after": 1_310_208},
        {"table": "prices", "before": 212, "after": 10_670},
        {"table": "settings", "before": 41, "after": 41},
    ]
    return {"rows": rows, "rows_left_out": 0, "kept_bytes": 905_969_664}


def _running(database: Database, now: datetime) -> Run:
    newest = database.snapshots.first()
    assert newest is not None  # noqa: S101
    began = now - timedelta(seconds=19)
    run = Run.objects.create(
        action=Action.BACKUP, database=database, repository=database.repository, status=Status.RUNNING,
        trigger=Trigger.SCHEDULE, queued_at=began, started_at=began, beat_at=now, worker="worker-1/812",
        phase="dump", bytes_done=(newest.total_bytes_processed or 0) * 62 // 100,
        bytes_expected=newest.total_bytes_processed, detail="orders",
        phases=[
            {"name": "preflight", "at": began.isoformat()},
            {"name": "dump", "at": (began + timedelta(seconds=2)).isoformat()},
        ],
        restic_version="0.19.1", server_version="MySQL 9.7.1", client_version="mysqldump 9.7.1",
    )  # fmt: skip
    RunLine.objects.create(run=run, at=began, text="MySQL 9.7.1, mysqldump 9.7.1 client, restic 0.19.1.")
    RunLine.objects.create(
        run=run, at=began, level=Level.WARNING,
        text="Not InnoDB, so not covered by the consistent snapshot: audit_log.",
    )  # fmt: skip
    return run
