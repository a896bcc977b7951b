"""Rows of a portal with very many databases and their history, for tests and benchmarks of pages.

Nothing is backed up. Each has two backups a day at a time of its own, all good but for the newest of one in
forty, and one verification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone
from django_q.models import Schedule

from backups.alerting import overdue
from backups.choices import Action, Health, Status, Trigger, Verdict
from backups.models import Alert, Database, Repository, Run, Server, Snapshot, Verification, WorkerPulse
from backups.scheduling.schedules import name_of, schedules_sync

_APART = timedelta(hours=12)
_TAKES = timedelta(seconds=8)
# As retention leaves them.
_PRESENT = timedelta(days=8)
_SIZE = 20_000
_ONE_FAILS_IN = 40
_SERVERS = 4
_AT_ONCE = 500


def make(count: int, *, days: int = 30, now: datetime | None = None) -> list[Database]:
    """Fill an empty portal with `count` databases, the first of which is the environment's."""
    now = now or timezone.now()
    databases = _databases(count, now)
    runs = [
        _run(database, Action.BACKUP, now - _APART * number - timedelta(minutes=database.pk % 600))
        for number in range(days * 2, 0, -1)
        for database in databases
    ]
    Run.objects.bulk_create(runs, batch_size=_AT_ONCE)
    snapshots = Snapshot.objects.bulk_create((_snapshot(run, now) for run in runs), batch_size=_AT_ONCE)
    _verify(snapshots[-count:])
    failed = [_run(database, Action.BACKUP, now, Status.FAILED) for database in databases[1::_ONE_FAILS_IN]]
    Run.objects.bulk_create(failed)
    WorkerPulse.objects.bulk_create(
        WorkerPulse(cluster=name, seen_at=now - _TAKES) for name in ("vedetta", "restores")
    )
    schedules_sync()
    Alert.objects.bulk_create(
        (
            Alert(subject=found.subject, state=found.standing.state, database=found.database, since=now)
            for found in overdue.news(now)
        ),
        batch_size=_AT_ONCE,
    )
    return databases


def back_up(database: Database, now: datetime | None = None) -> Snapshot:
    """Note one more good backup of a database, in as many writes as its run does at least."""
    now = now or timezone.now()
    run = _run(database, Action.BACKUP, now - _TAKES, Status.QUEUED)
    run.save()
    # One that has a schedule, as it is passed on: to a time, and no other column.
    for schedule in Schedule.objects.filter(name=name_of("backup", database.pk)):
        Schedule.objects.filter(pk=schedule.pk).update(next_run=schedule.next_run)
    Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(status=Status.RUNNING)
    Database.objects.filter(pk=database.pk).update(client_version="mysqldump 11.8")
    snapshot = _snapshot(run, now)
    snapshot.save()
    Run.objects.filter(pk=run.pk, status=Status.RUNNING).update(status=Status.SUCCEEDED, error="")
    return snapshot


def _databases(count: int, now: datetime) -> list[Database]:
    repository = Repository.objects.create(
        name="main", url="/srv/restic", health=Health.GOOD, checked_at=now - _APART, restic_id="1" * 64
    )
    servers = [
        Server.objects.create(name=f"db{number}:3306", host=f"db{number}", user="backup", flavour="mariadb")
        for number in range(_SERVERS)
    ]
    Database.objects.bulk_create(
        (
            Database(
                name=f"shop{number:05}", database=f"shop{number:05}", repository=repository,
                server=servers[number % _SERVERS], is_primary=number == 0, backup_cron=_twice_a_day(number),
            )
            for number in range(count)
        ),
        batch_size=_AT_ONCE,
    )  # fmt: skip
    return list(Database.objects.select_related("repository", "server").order_by("pk"))


def _twice_a_day(number: int) -> str:
    minute, hour = number % 60, number // 60 % 12
    return f"{minute} {hour},{hour + 12} * * *"


def _run(database: Database, action: Action, at: datetime, status: Status = Status.SUCCEEDED) -> Run:
    return Run(
        action=action, database=database, repository=database.repository, status=status,
        trigger=Trigger.SCHEDULE, worker="vedetta:7:5eb1d4f0-1",
        queued_at=at, started_at=at, finished_at=at + _TAKES,
        error="" if status == Status.SUCCEEDED else "The server does not answer.",
    )  # fmt: skip


def _snapshot(run: Run, now: datetime) -> Snapshot:
    return Snapshot(
        repository=run.repository, database=run.database, made_by=run, time=run.queued_at, host="vedetta",
        snapshot_id=hashlib.sha256(str(run.pk).encode()).hexdigest(), path=f"/mysql/{run.database}.sql",
        tags=["vedetta", f"database:{run.database}"], total_bytes_processed=_SIZE, data_added=_SIZE // 20,
        data_added_packed=_SIZE // 40, made_here=True,
        manifest={"sections": [{"kind": "rows", "name": f"t{i}", "bytes": 1000} for i in range(8)]},
        forgotten_at=None if now - run.queued_at < _PRESENT else now,
    )  # fmt: skip


def _verify(snapshots: Sequence[Snapshot]) -> None:
    runs = [
        _run(snapshot.database, Action.VERIFY, snapshot.time + _TAKES)
        for snapshot in snapshots
        if snapshot.database
    ]
    Run.objects.bulk_create(runs, batch_size=_AT_ONCE)
    Verification.objects.bulk_create(
        (
            Verification(
                run=run, snapshot=snapshot, verdict=Verdict.IDENTICAL, finished_at=snapshot.time + 2 * _TAKES,
                restore_seconds=3.0,
            )
            for run, snapshot in zip(runs, snapshots, strict=True)
        ),
        batch_size=_AT_ONCE,
    )  # fmt: skip
    for snapshot in snapshots:
        snapshot.verified_at = snapshot.time + 2 * _TAKES
    Snapshot.objects.bulk_update(snapshots, ["verified_at"], batch_size=_AT_ONCE)
