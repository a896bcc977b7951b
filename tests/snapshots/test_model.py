"""After each forget of a random history, what is there is what the model says has to be there."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups.choices import Action, RestoreMode, Status, SuspicionState, Trigger, Verdict
from backups.models import Database, Pin, Repository, Restore, Run, Snapshot, Suspicion
from backups.requests.retention_plan import plan_of_repository
from tests.rows import a_server
from tests.snapshots.model import MONTH, Made, Rules, stays

# Nights in which clocks go forward and back are among these days.
BEGIN = datetime(2026, 3, 20, 2, 30, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kolkata")
TABLES = ("orders", "users", "notes", "_orders_gho")


class World:
    """Rows of a portal, and beside them what the model is told of each change."""

    def __init__(self, rules: Rules, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.rules, self.draw = rules, draw
        self.now = BEGIN
        self.history: list[Made] = []
        repository = Repository.objects.create(name="main", url="/nowhere")
        daily, weekly, monthly = rules.counts
        self.database = Database.objects.create(
            name="shop", database="shop", server=a_server(), repository=repository,
            keep_daily=daily, keep_weekly=weekly, keep_monthly=monthly,
        )  # fmt: skip
        self.rows: list[Snapshot] = []
        # What the database holds, and whether with rows; None is not any more.
        self.tables: dict[str, bool | None] = dict.fromkeys(TABLES, True)

    def run(self, action: Action, **more: Any) -> Run:
        """A run's row."""
        return Run.objects.create(
            action=action, database=self.database, repository=self.database.repository,
            **{"trigger": Trigger.SCHEDULE, "status": Status.SUCCEEDED, **more},
        )  # fmt: skip

    def backup(self, trigger: Trigger = Trigger.SCHEDULE) -> Made:
        """A snapshot, mostly with a manifest that tells what the database holds."""
        number = len(self.rows)
        if self.draw(st.integers(0, 2)) == 0:
            # One is made, emptied, filled or dropped.
            table, rows = self.draw(
                st.tuples(st.sampled_from(TABLES), st.sampled_from([None, None, True, False]))
            )
            self.tables = {**self.tables, table: rows}
        tables = {name: rows for name, rows in self.tables.items() if rows is not None}
        tells = self.draw(st.integers(0, 7)) > 0
        sections = [{"kind": "table", "name": name, "bytes": 90, "sha256": ""} for name in tables]
        for name, rows in tables.items():
            sections.append({"kind": "rows", "name": name, "bytes": 900 if rows else 90, "sha256": ""})
        # No two at the same time, however the clock goes.
        time = self.now + timedelta(microseconds=number)
        row = Snapshot.objects.create(
            repository=self.database.repository, database=self.database, snapshot_id=f"{number:064x}",
            time=time, host="vedetta", tags=["vedetta", "database:shop"],
            path=self.draw(st.sampled_from(["/mysql/shop.sql", "/mysql/shop.sql.gz"])),
            manifest={"sections": sections} if tells else None, made_here=True,
            made_by=self.run(Action.BACKUP, trigger=trigger),
        )  # fmt: skip
        self.rows.append(row)
        self.history.append(Made(number, time, tables if tells else None))
        return self.history[-1]

    def one(self) -> Made | None:
        """One that is there."""
        there = [made for made in self.history if not made.gone]
        return self.draw(st.sampled_from(there)) if there else None

    def pin(self, made: Made) -> None:
        """A person's word, for some days or for good; sometimes taken back at once."""
        until = self.draw(st.none() | st.integers(0, 60))
        day: date | None = None
        if until is not None:
            day = self.now.astimezone(self.rules.zone).date() + timedelta(days=until)
        is_ended = self.draw(st.booleans())
        Pin.objects.create(
            snapshot=self.rows[made.number], reason="before a migration", made_by="anna", until=day,
            ended_at=self.now if is_ended else None,
        )  # fmt: skip
        made.pins += [] if is_ended else [day]

    def verify(self, made: Made) -> None:
        """Good or bad: the newest verdict counts."""
        made.bad = self.draw(st.booleans())
        made.verified = not made.bad
        Snapshot.objects.filter(pk=self.rows[made.number].pk).update(
            verdict=Verdict.DIFFERENT if made.bad else Verdict.IDENTICAL,
            verified_at=None if made.bad else self.now,
        )

    def restore(self, made: Made) -> None:
        """One that waits, failed or succeeded; what it overwrote was saved before."""
        status = self.draw(st.sampled_from([Status.QUEUED, Status.FAILED, Status.SUCCEEDED]))
        saved = self.backup(Trigger.RESTORE)
        over = None if status == Status.QUEUED else self.now
        saved.saved_until = self.now + MONTH if over else datetime.max.replace(tzinfo=UTC)
        wanted = self.rows[made.number]
        run = self.run(Action.RESTORE, status=status, snapshot=wanted, finished_at=over)
        Restore.objects.create(
            run=run, database=self.database, snapshot=wanted, mode=RestoreMode.IN_PLACE,
            target=f"shop_{run.pk}", safety_snapshot=self.rows[saved.number],
        )  # fmt: skip
        made.wanted |= status == Status.QUEUED
        made.failed_at += [self.now] if status == Status.FAILED else []

    def doubt(self, made: Made) -> None:
        """Was suspicious, and is over without anybody having said that it is right."""
        if made.doubted_at is None:
            Suspicion.objects.create(
                snapshot=self.rows[made.number], database=self.database, state=SuspicionState.OVER,
                found_at=self.now,
            )  # fmt: skip
            made.doubted_at = self.now

    def forget(self) -> None:
        """As a run does: what goes by the plan is gone. It is what the model lets go, and no other."""
        (planned,) = plan_of_repository(self.database.repository, self.now)
        assert not planned.failed
        kept = {int(found, 16) for found in planned.plan.keep}
        assert kept == stays(self.history, self.now, self.rules)
        gone = {int(found, 16) for found in planned.plan.forget}
        assert kept | gone == {made.number for made in self.history if not made.gone}
        for number in gone:
            self.history[number].gone = True
        Snapshot.objects.filter(pk__in=[self.rows[n].pk for n in gone]).update(forgotten_at=self.now)


STEPS: tuple[tuple[str, int], ...] = (
    ("backup", 6), ("forget", 5), ("pin", 1), ("verify", 2), ("restore", 2), ("doubt", 1),
)  # fmt: skip
# Small ones: those of a short history would never be used up otherwise, and keep all of it.
COUNTS = ((0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (3, 2, 2))
# Mostly a night, sometimes months, and sometimes a clock that was set back or far ahead.
HOURS = st.sampled_from([7, 12, 24, 24, 24, 24, 24, 30, 24 * 8, -26, 24 * 40])


@pytest.mark.django_db
@pytest.mark.larger
@settings(
    max_examples=int(os.environ.get("VEDETTA_HISTORIES", "15")), deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    data=st.data(),
    counts=st.sampled_from(COUNTS),
    zone=st.sampled_from(ZONES),
    object_days=st.sampled_from([0, 5, 90]),
)
def test_a_forget_leaves_what_has_to_stay_and_nothing_else(
    data: st.DataObject, counts: tuple[int, int, int], zone: str, object_days: int
) -> None:
    any_step = st.sampled_from([name for name, often in STEPS for _ in range(often)])
    steps = data.draw(st.lists(any_step, min_size=10, max_size=30))
    with (
        override_settings(TIME_ZONE=zone, RETENTION_OBJECT_DAYS=object_days),
        patch("django.utils.timezone.now") as clock,
        transaction.atomic(),
    ):
        world = World(Rules(counts, ZoneInfo(zone), object_days), data.draw)
        for step in (*steps, "forget"):
            world.now += timedelta(hours=data.draw(HOURS))
            clock.return_value = world.now
            if step in ("backup", "forget"):
                getattr(world, step)()
            elif (made := world.one()) is not None:
                getattr(world, step)(made)
        transaction.set_rollback(True)
