"""What is kept of databases between two changes says the same as all of it read anew, whatever happened."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import marks
from backups.alerting import each_minute, overdue
from backups.choices import (
    Action,
    AlertState,
    Health,
    StandDownKind,
    Status,
    SuspicionState,
    Trigger,
    Verdict,
)
from backups.gate import heartbeat_files
from backups.models import (
    Alert,
    Database,
    Mark,
    Repository,
    Run,
    Server,
    Snapshot,
    StandDown,
    Suspicion,
    Verification,
)
from backups.reports import few_rows, figures_of_databases, metrics, run_counts, seen, standing
from tools import many

SEED = int(os.environ.get("VEDETTA_SEED", "7"))
STEPS = 2000 if "VEDETTA_SOAK" in os.environ else 25
KEEPING = (
    each_minute,
    figures_of_databases,
    heartbeat_files,
    metrics,
    run_counts,
    seen,
    few_rows,
    standing,
)


@contextmanager
def afresh() -> Iterator[None]:
    """Nothing is kept, and afterwards what was."""
    kept = [each for module in KEEPING for each in vars(module).values() if isinstance(each, marks.Kept)]
    held: list[list[Any]] = [vars(module)["_held"] for module in KEEPING if "_held" in vars(module)]
    of_kept, of_held = [each._kept for each in kept], [list(each) for each in held]
    assert len(kept) > 5
    assert len(held) == 4
    for one in kept:
        one._kept = None
    for each in held:
        each.clear()
    yield
    for one, was in zip(kept, of_kept, strict=True):
        one._kept = was
    for each, values in zip(held, of_held, strict=True):
        each[:] = values


class Clock:
    """What `timezone.now` says, and how often the bound was over for which things are kept."""

    def __init__(self) -> None:
        self.now = self.latest = timezone.now()
        self.bounds = 0

    def go(self, by: timedelta) -> None:
        """Let time pass, or have somebody set the clock back.

        What lies ahead of a clock that was set back is told of again only after the bound.
        """
        self.bounds += min(self.now, self.now + by) < self.latest
        self.now += by
        self.latest = max(self.latest, self.now)

    def __call__(self) -> datetime:
        return self.now


def answers(now: datetime) -> list[Any]:
    """All that is worked out from what is kept."""
    stands = standing.read(now, marks.Versions())
    return [
        replace(seen.of_all(now).facts, now=now),
        stands.overall,
        [(each.pk, each.name, stands.good(each), stands.newest(each)) for each in stands.databases],
        [(each.subject, each.standing) for each in overdue.news(now)],
        each_minute.withheld(each_minute.databases(now).values()),
        metrics.exposition().decode().splitlines(),
        list(heartbeat_files._of_the_list().items()),
    ]


def differing(kept: list[Any], read: list[Any]) -> list[Any]:
    """Only what differs, of thousands of lines."""
    if kept == read:
        return []
    both = [(one, other) for one, other in zip(kept, read, strict=True) if one != other]
    databases = [
        (one, other) for one, other in zip(kept[0].databases, read[0].databases, strict=False) if one != other
    ]
    return [databases or both]


class History:
    """What may happen to the rows of a portal, by the numbers of one seed."""

    def __init__(self, clock: Clock) -> None:
        self.random = random.Random(SEED)
        self.clock = clock
        self.number = 0

    def happens(self) -> str:
        """Do one thing, perhaps within a transaction, and answer which."""
        works = [work for name, work in sorted(vars(History).items()) if name.startswith("do_")]
        work: Callable[[History], None] = self.random.choice(works)
        self.number += 1
        within = self.random.choice(["", "", "transaction", "undone"])
        if not within:
            work(self)
        else:
            with transaction.atomic():
                work(self)
                transaction.set_rollback(within == "undone")
        return f"{work.__name__} {within}"

    def database(self) -> Database:
        return self.random.choice(list(Database.objects.select_related("repository").order_by("pk")))

    def snapshot(self) -> Snapshot:
        return self.random.choice(list(Snapshot.objects.order_by("-pk")[:12]))

    def run(self, status: Status, database: Database | None, **fields: Any) -> Run:
        now = self.clock.now
        return Run.objects.create(
            status=status, database=database, trigger=Trigger.SCHEDULE, queued_at=now, started_at=now,
            finished_at=None if status in {Status.QUEUED, Status.RUNNING} else now,
            error=f"error {self.number}",
            **{"action": Action.BACKUP, "repository": Repository.objects.earliest("pk"), **fields},
        )  # fmt: skip

    def do_back_up(self) -> None:
        many.back_up(self.database(), now=self.clock.now)

    def do_fail(self) -> None:
        self.run(self.random.choice([Status.FAILED, Status.LOST, Status.RUNNING]), self.database())

    def do_wait(self) -> None:
        self.run(Status.QUEUED, self.database())

    def do_look(self) -> None:
        self.run(self.random.choice([Status.FAILED, Status.SUCCEEDED]), None, action=Action.SNAPSHOTS)

    def do_tend(self) -> None:
        self.run(Status.SUCCEEDED, self.random.choice([None, self.database()]), action=Action.FORGET)

    def do_withhold(self) -> None:
        run = Run.objects.filter(status=Status.SUCCEEDED, action=Action.BACKUP).latest("pk")
        run.result = {"heartbeat": self.random.choice(["withheld", "written"]), "withheld_because": "so"}
        run.save(update_fields=["result"])

    def do_verify(self) -> None:
        snapshot, verdict = self.snapshot(), self.random.choice(list(Verdict))
        run = self.run(Status.SUCCEEDED, snapshot.database, action=Action.VERIFY)
        Verification.objects.create(
            run=run, snapshot=snapshot, verdict=verdict, finished_at=self.clock.now, restore_seconds=2.5
        )
        snapshot.verdict = verdict
        snapshot.verified_at = self.clock.now if verdict == Verdict.IDENTICAL else None
        snapshot.save(update_fields=["verdict", "verified_at"])

    def do_forget(self) -> None:
        Snapshot.objects.filter(pk=self.snapshot().pk).update(
            forgotten_at=self.random.choice([None, self.clock.now])
        )

    def do_forget_many(self) -> None:
        Snapshot.objects.filter(database=self.database()).update(forgotten_at=self.clock.now)

    def do_suspect(self) -> None:
        snapshot = Snapshot.objects.exclude(database=None).filter(suspicion=None).latest("pk")
        assert snapshot.database
        Suspicion.objects.create(snapshot=snapshot, database=snapshot.database, reasons=["None left."])

    def do_settle(self) -> None:
        Suspicion.objects.update(state=self.random.choice(list(SuspicionState)))

    def do_leave_out(self) -> None:
        until = self.random.choice([None, self.clock.now + timedelta(hours=self.random.randrange(1, 90))])
        StandDown.objects.create(
            database=self.database(), kind=self.random.choice(list(StandDownKind)), reason="so", until=until,
            made_at=self.clock.now, made_by="root",
        )  # fmt: skip

    def do_take_back(self) -> None:
        if last := StandDown.objects.filter(ended_at=None).first():
            StandDown.objects.filter(pk=last.pk).update(ended_at=self.clock.now)

    def do_edit(self) -> None:
        database = self.database()
        fields = {
            "name": f"name{self.number}", "heartbeat_threshold": self.random.choice([None, 60, 10**6]),
            "gates_app": not database.gates_app, "backup_cron": self.random.choice(["", "0 3 * * *"]),
            "verify_cron": self.random.choice(["", "0 5 * * 0"]), "hosts": {"other": True},
            "repository": self.random.choice(list(Repository.objects.all())),
        }  # fmt: skip
        name = self.random.choice(sorted(fields))
        setattr(database, name, fields[name])
        database.save()

    def do_add(self) -> None:
        Database.objects.create(
            name=f"new{self.number}", database="new", server=Server.objects.earliest("pk"),
            repository=Repository.objects.latest("pk"),
        )  # fmt: skip

    def do_add_repository(self) -> None:
        Repository.objects.create(
            name=f"other{self.number}", url=self.random.choice(["/srv/restic", f"/srv/{self.number}"])
        )

    def do_check(self) -> None:
        Repository.objects.filter(pk=Repository.objects.latest("pk").pk).update(
            health=self.random.choice(list(Health)), check_error=f"found {self.number}"
        )

    def do_probe(self) -> None:
        Server.objects.update(version=f"11.{self.number}")

    def do_refer(self) -> None:
        # The last of these is declared nowhere, as in a portal of before.
        database = self.database()
        database.verify_password_ref = self.random.choice(["", "env:MYSQL_PASSWORD", "env:OF_BEFORE"])
        database.save(update_fields=["verify_password_ref"])

    def do_move_server(self) -> None:
        references = ["env:MYSQL_PASSWORD", "env:MYSQL_PASSWORD", "env:OF_BEFORE"]
        Server.objects.filter(pk=Server.objects.latest("pk").pk).update(
            password_ref=self.random.choice(references), port=3306 + self.number % 2
        )

    def do_find_stray(self) -> None:
        snapshot = self.snapshot()
        snapshot.pk, snapshot.snapshot_id = None, f"{self.number:064}"
        snapshot.database = self.random.choice([None, self.database()])
        snapshot.host, snapshot.path = self.random.choice(
            [("vedetta", "/mysql/SHOP00001.sql"), ("old", "/x")]
        )
        snapshot.save()

    def do_give(self) -> None:
        Snapshot.objects.filter(pk=self.snapshot().pk).update(
            database=self.random.choice([None, self.database()])
        )

    def do_tell(self) -> None:
        what = self.random.choice(
            [f"Secrets of database {self.database()}", "Orders in the queue", "PING_URL"]
        )
        Alert.objects.update_or_create(
            subject=what,
            defaults={"state": self.random.choice(list(AlertState)), "text": f"text {self.number}"},
        )

    def do_write_raw(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE backups_run SET error = 'raw {self.number}' WHERE status = 'failed'")

    def do_write_some(self) -> None:
        runs = list(Run.objects.order_by("-pk")[:3])
        for run in runs:
            run.status = Status.FAILED
        Run.objects.bulk_update(runs, ["status"])

    def do_write_twice(self) -> None:
        with connection.cursor() as cursor:
            pairs = [(f"many {self.number}", run.pk) for run in Run.objects.order_by("-pk")[:3]]
            cursor.executemany('UPDATE "backups_run" SET "error" = %s WHERE "backups_run"."id" = %s', pairs)

    def do_add_some(self) -> None:
        database = self.database()
        Run.objects.bulk_create(
            Run(
                action=Action.BACKUP, database=each, repository=each.repository, status=Status.FAILED,
                trigger=Trigger.CLI, queued_at=self.clock.now, finished_at=self.clock.now, error="bulk",
            )
            for each in (database, self.database())
        )  # fmt: skip

    def do_touch_all(self) -> None:
        # All is read anew then, and of most databases it is what was read before.
        Mark.objects.update(value=F("value") + 1)

    def do_clean_up(self) -> None:
        old = Run.objects.filter(verification=None, made_snapshots=None).order_by("pk")[:1]
        Run.objects.filter(pk__in=[each.pk for each in old]).delete()

    def do_let_time_pass(self) -> None:
        # Backwards now and then, as where somebody sets the clock.
        hours = self.random.choice([-30, 1, 7, 20, 50, 200])
        self.clock.go(timedelta(hours=hours, seconds=self.random.randrange(3600)))


@pytest.fixture
def clock(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of a portal with seven databases whose time goes on by it alone."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "last_ok")
    settings.TIME_ZONE = "UTC"
    clock = Clock()
    # After the bound all is read anew, which would hide what marks do not tell.
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + clock.bounds * marks.BOUND_SECONDS)
    many.make(7, days=1, now=clock.now)
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.mark.django_db(transaction=True)
def test_a_proof_is_no_figure_once_its_snapshot_is_another_rows(clock: Clock) -> None:
    """It was found by a seed: what was found of the snapshot then was written to the other row's alone."""
    first, second = Database.objects.order_by("pk")[:2]
    snapshot = Snapshot.objects.filter(database=first).latest("time")
    history = History(clock)
    run = history.run(Status.SUCCEEDED, first, action=Action.VERIFY)
    Verification.objects.create(
        run=run, snapshot=snapshot, verdict=Verdict.IDENTICAL, finished_at=clock.now, restore_seconds=2.5
    )

    def proved() -> list[str]:
        """What metrics tell of its proof, kept and read anew alike."""
        kept = answers(clock.now)
        with afresh():
            assert differing(kept, answers(clock.now)) == []
        told = f'vedetta_restore_duration_seconds{{database="{first.name}"}}'
        return [line for line in kept[5] if line.startswith(told)]

    before = proved()
    assert before[0].endswith(" 2.5")
    Snapshot.objects.filter(pk=snapshot.pk).update(database=second)
    assert proved() != before
    snapshot.refresh_from_db()
    snapshot.verdict = Verdict.DIFFERENT
    snapshot.save(update_fields=["verdict"])
    assert proved() != before


@pytest.mark.larger
@pytest.mark.django_db(transaction=True)
def test_what_is_kept_is_what_would_be_read(clock: Clock) -> None:
    history = History(clock)
    done = [f"VEDETTA_SEED={SEED}"]
    for _ in range(STEPS):
        done.append(history.happens())
        kept = answers(clock.now)
        with afresh():
            read = answers(clock.now)
        assert differing(kept, read) == [], done
