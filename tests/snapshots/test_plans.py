"""What is planned for many databases at once is what is planned for each by itself, and asks for less."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.choices import Action, RestoreMode, StandDownKind, Status, SuspicionState, Swap, Trigger
from backups.keeping import stand_downs
from backups.keeping.stand_downs import Wish
from backups.models import Database, Repository, Restore, Run, Snapshot, Suspicion
from backups.requests import retention_plan
from backups.requests.retention_plan import plan_of, plan_of_repository
from backups.snapshots.retention import Policy
from tests.rows import a_server

DAY = timedelta(days=1)
FEW = Policy(2, 1, 1)


def _databases(count: int) -> list[Database]:
    repository, _ = Repository.objects.get_or_create(name="main", defaults={"url": "/nowhere"})
    server = a_server("plans")
    known = Database.objects.count()
    made = [
        Database.objects.create(
            name=f"shop{number}", database=f"shop{number}", server=server, repository=repository,
            keep_daily=FEW.daily, keep_weekly=FEW.weekly, keep_monthly=FEW.monthly,
        )
        for number in range(known, known + count)
    ]  # fmt: skip
    now = timezone.now()
    Snapshot.objects.bulk_create(
        Snapshot(
            repository=repository, database=database, snapshot_id=f"{database.pk:032x}{days:032x}",
            time=now - days * DAY, path=f"/mysql/{database.name}.sql", host="vedetta", made_here=True,
            tags=["vedetta", f"database:{database.name}"],
            manifest={"sections": [{"kind": "table", "name": f"t{days}", "bytes": 9, "sha256": ""}]},
        )
        for database in made
        for days in range(9)
    )  # fmt: skip
    return made


def _oldest(database: Database) -> Snapshot:
    return database.snapshots.order_by("time")[0]


def _restored(database: Database) -> None:
    """Twice, so that the older one's safety snapshot is what the newer one lies upon."""
    for number, saved in enumerate(database.snapshots.order_by("time")[:2]):
        at = timezone.now() - (50 - number) * DAY
        run = Run.objects.create(
            action=Action.RESTORE, trigger=Trigger.CLI, status=Status.SUCCEEDED, database=database,
            repository=database.repository, snapshot=saved, finished_at=at,
        )  # fmt: skip
        Restore.objects.create(
            run=run, database=database, target=database.database, mode=RestoreMode.REPLACE,
            swap=Swap.FINISHED, swapped_at=at, snapshot=saved, safety_snapshot=saved, kept_in=f"kept{number}",
        )  # fmt: skip


def _doubted(database: Database, state: SuspicionState) -> None:
    Suspicion.objects.create(
        snapshot=database.snapshots.order_by("time")[1], database=database, state=state,
        reasons=["It is empty."], found_at=timezone.now() - DAY,
    )  # fmt: skip


def _moved(database: Database) -> None:
    """Two snapshots are of another host, which nobody said to be ours."""
    database.snapshots.filter(pk__in=[each.pk for each in database.snapshots.order_by("time")[:2]]).update(
        host="elsewhere"
    )


@pytest.mark.django_db
def test_a_plan_among_many_is_the_plan_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, restored, doubted, waiting, moved, retired, odd = _databases(7)
    _restored(restored)
    _doubted(doubted, SuspicionState.OVER)
    _doubted(waiting, SuspicionState.WAITING)
    _moved(moved)
    stand_downs.begin(retired, StandDownKind.RETIREMENT, Wish("It is no longer needed.", "anna"))
    Snapshot.objects.filter(pk=_oldest(odd).pk).update(tags=5)
    monkeypatch.setattr(retention_plan, "_AT_ONCE", 4)
    now = timezone.now()
    everyone = Database.objects.order_by("pk")

    found = {
        plan.database: plan
        for plan in plan_of_repository(plain.repository, now, databases=everyone.iterator())
    }

    assert list(found) == list(everyone)
    for database in (plain, restored, doubted, moved):
        alone = plan_of(database, Snapshot.objects.filter(database=database).defer("manifest"), FEW, now)
        assert found[database].plan == alone
        assert [each.pk for each in found[database].snapshots] == [
            each.pk for each in database.snapshots.all()
        ]
    assert _oldest(restored).snapshot_id in found[restored].plan.keep
    assert found[waiting].waits
    assert found[retired].stays
    assert found[odd].failed
    assert [found[each].count for each in everyone] == [9] * 7


@pytest.mark.django_db
def test_each_database_more_asks_once_more() -> None:
    """For the tables in its manifests, which are not to be in memory together."""

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            plans = list(plan_of_repository(Repository.objects.get(), timezone.now()))
        assert sum(plan.count for plan in plans) == 9 * len(plans)
        return len(asked)

    _databases(1)
    one = queries()
    _databases(39)

    assert queries() == one + 39
