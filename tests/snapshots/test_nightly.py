"""Scheduled backups leave forget, prune, portal copy and check to one maintenance a night and repository."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import restic as backups_restic
from backups.actions import portal_copy
from backups.actions.steps import alone
from backups.alerting import alerts
from backups.catalog import portal_copies
from backups.choices import Action, AlertState, Status, Trigger
from backups.endpoints import repository_access
from backups.keeping import pins
from backups.models import Alert, Database, Repository, Run, Snapshot
from backups.reports import standing
from backups.repositories import identity
from backups.requests import BackupRequest
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.scheduling import maintenance, schedules
from backups.worker import executor, nightly
from tests.actions.test_check import away
from tests.actions.tools import back_up, log_of, restic
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, copy_repository
from tests.rows import a_server
from tests.snapshots.test_forget import KEEP_NOTHING, NOON, ids, in_repository, made_at

Starts = list[str]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Which of restic's commands were started that derive the key from the password."""
    begun: Starts = []
    argv = backups_restic.Access.argv

    def counting(access: backups_restic.Access, args: tuple[str, ...]) -> tuple[str, ...]:
        if args[0] != "version":
            begun.append(args[0])
        return argv(access, args)

    monkeypatch.setattr(backups_restic.Access, "argv", counting)
    return begun


def row(repository: Repository, name: str = "shop") -> Database:
    """A database of which nothing is dumped here, so that none needs to be there."""
    return Database.objects.create(
        name=name, server=a_server(name), database=name, repository=repository, is_primary=name == "shop",
        **KEEP_NOTHING,
    )  # fmt: skip


def scheduled(database: Database) -> Run:
    """A backup that its schedule asked for, as a worker plays it."""
    run = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.SCHEDULE))
    return played(run)


def played(run: Run) -> Run:
    executor.execute(run.pk)
    run.refresh_from_db()
    return run


def night_comes() -> list[Run]:
    """What is asked for at the first time of MAINTENANCE_CRON after all that was done so far."""
    Run.objects.update(queued_at=timezone.now() - 2 * DAY)
    return nightly.ask_due()


def following(run: Run) -> list[str]:
    return list(run.children.order_by("pk").values_list("action", flat=True))


def test_five_backups_and_one_maintenance(
    database: Database, least_shop: Shop, make_database: MakeDatabase, starts: Starts, settings: Settings
) -> None:
    settings.BACKUP_PORTAL = True
    Repository.objects.update(check_interval=5)
    others = [make_database(least_shop, name=f"shop{n}", is_primary=False) for n in range(4)]
    databases = [database, *others]
    old = [made_at(each, NOON - timedelta(days=n)) for n, each in enumerate(databases)]
    Database.objects.update(**KEEP_NOTHING)

    each_started = []
    for each in databases:
        starts.clear()
        run = scheduled(each)
        assert run.status == "succeeded", run.error
        each_started.append(list(starts))

    assert each_started == [["backup"]] * 5
    assert not Run.objects.exclude(parent=None).exists()

    (run,) = night_comes()
    starts.clear()
    assert (run.action, run.database, run.trigger) == (Action.FORGET, None, Trigger.SCHEDULE)
    assert played(run).status == "succeeded", run.error
    assert starts == ["forget", "stats", "key"]
    assert set(run.result["forgotten"]) == ids(*old)
    assert in_repository(database.repository) == ids(*Snapshot.objects.present())
    assert Snapshot.objects.present().count() == 5
    assert following(run) == [Action.PORTAL, Action.CHECK]
    copy, check = run.children.order_by("pk")
    assert copy.trigger == check.trigger == Trigger.SCHEDULE
    # A copy is made over a connection of its own, which tests in one process have not.
    lifecycle.run_cancel(copy)
    assert played(check).status == "succeeded", check.error
    # Once a night, whoever looks and however often.
    assert nightly.ask_due() == []

    (run,) = night_comes()
    starts.clear()
    assert played(run).result["sentence"] == "0 snapshots forgotten, 5 kept."
    assert starts == []
    assert following(run) == [Action.PORTAL]


def test_who_asks_for_a_backup_has_it_followed_at_once(database: Database, settings: Settings) -> None:
    asked = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.ADMIN))
    assert following(played(asked)) == [Action.FORGET]
    Run.objects.filter(action=Action.FORGET).delete()

    left = BackupRequest(database, scheduled=True).submit(Asker(Trigger.CLI), send=False)
    assert following(played(left)) == []
    assert following(scheduled(database)) == []

    settings.FORGET_AFTER = "backup"
    assert following(scheduled(database)) == [Action.FORGET]


def test_a_night_that_was_missed_is_made_up(repository: Repository) -> None:
    made_at(row(repository), NOON)
    Run.objects.create(action=Action.STATS, trigger=Trigger.CLI, repository=repository, status=Status.FAILED)
    (run,) = night_comes()
    with away(repository):
        assert played(run).status == "failed"
    assert nightly.ask_due() == []

    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - 2 * HOUR)
    (again,) = nightly.ask_due()
    # One that waits or runs is enough.
    assert nightly.ask_due() == []
    assert played(again).status == "succeeded", again.error
    assert nightly.ask_due() == []


def test_what_a_single_database_hinders_is_done_for_all_others(
    repository: Repository, settings: Settings
) -> None:
    settings.BACKUP_PORTAL = True
    database, odd = row(repository), row(repository, "odd")
    ours = [made_at(database, NOON - timedelta(days=days)) for days in (1, 0)]
    theirs = [made_at(odd, NOON - timedelta(days=days)) for days in (1, 0)]
    Snapshot.objects.filter(pk=theirs[0].pk).update(tags=5)

    run = played(lifecycle.run_enqueue(*whole(repository)))

    assert run.status == "failed"
    assert "Nothing of odd is forgotten, because no plan of it could be made" in run.error
    assert "All else was done: 1 snapshot forgotten" in run.error
    assert run.error_code == "forget.not_planned"
    assert following(run) == [Action.PORTAL]
    assert in_repository(database.repository) == ids(ours[1], *theirs)
    # Another try in an hour would end alike.
    Run.objects.update(finished_at=timezone.now() - 2 * HOUR)
    assert nightly.ask_due() == []


def test_restic_lists_a_folder_where_it_holds_anything_else_than_is_known(
    repository: Repository, starts: Starts
) -> None:
    kept = made_at(row(repository), NOON)

    def is_listed() -> bool:
        starts.clear()
        played(lifecycle.run_enqueue(Wanted(Action.FORGET, repository=repository), Asker(Trigger.CLI)))
        return "snapshots" in starts

    assert not is_listed()
    copy = restic(
        repository, "backup", "--json", "--host", "vedetta", "--tag", "vedetta", "--tag", "portal",
        "--stdin", "--stdin-filename", portal_copy.path(), stdin=b"rows",
    )  # fmt: skip
    assert is_listed(), "whose it is nobody knows"
    Run.objects.create(
        action=Action.PORTAL, trigger=Trigger.SCHEDULE, status="succeeded", repository=repository,
        result={"snapshot_id": json.loads(copy.splitlines()[-1])["snapshot_id"]},
    )  # fmt: skip
    assert is_listed(), "an earlier version noted nothing else"
    assert not is_listed()
    (noted,) = portal_copies.listed(repository)
    (listed,) = portal_copy.copies(repository_access(repository))
    assert [getattr(noted, name) for name in ("id", "time", "hostname", "paths", "tags")] == [
        getattr(listed, name) for name in ("id", "time", "hostname", "paths", "tags")
    ]

    file = Path(repository.url) / "snapshots" / kept.snapshot_id
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    assert is_listed(), "its file is damaged"


def whole(repository: Repository) -> tuple[Wanted, Asker]:
    return Wanted(Action.FORGET, repository=repository), Asker(Trigger.SCHEDULE)


def test_a_snapshot_that_cannot_be_read_hinders_its_own_database_alone(
    repository: Repository, settings: Settings
) -> None:
    database, odd = row(repository), row(repository, "odd")
    ours = [made_at(database, NOON - timedelta(days=days)) for days in (1, 0)]
    theirs = [made_at(odd, NOON - timedelta(days=days)) for days in (2, 1, 0)]
    for folder in (Path(database.repository.url), *Path(settings.RESTIC_CACHE_DIR).iterdir()):
        for file in (folder / "snapshots").rglob(theirs[1].snapshot_id):
            file.chmod(0o600)
            file.write_bytes(b"no snapshot")

    run = played(lifecycle.run_enqueue(*whole(database.repository)))

    assert run.status == "failed"
    assert "The repository holds snapshots that cannot be read now" in run.error
    assert "Nothing of odd is forgotten: a snapshot of it cannot be read." in run.error
    assert set(run.result["forgotten"]) == ids(ours[0])
    present = set(Snapshot.objects.present().values_list("snapshot_id", flat=True))
    assert present == ids(ours[1], *theirs)


@contextmanager
def locked(repository: Repository) -> Iterator[subprocess.Popen[bytes]]:
    """Another program's backup that goes on until its input ends."""
    access = repository_access(repository)
    args = [access.program, "backup", "--stdin", "--stdin-filename", "/photos/cat.jpg"]
    held = subprocess.Popen(args, env=access.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    locks = Path(repository.url) / "locks"
    while not any(locks.iterdir()):
        assert held.poll() is None
    yield held
    assert held.stdin is not None
    held.stdin.close()
    held.wait()


# Below, a stranger that is not waited for to the end.
@pytest.mark.parametrize(
    "ours",
    [pytest.param(True, id="our own"), pytest.param(False, id="a stranger's", marks=pytest.mark.soak)],
)
def test_what_uses_the_repository_is_waited_for(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    database = row(repository)
    old, newest = made_at(database, NOON - DAY), made_at(database, NOON)
    monkeypatch.setattr("backups.restic.arguments._RETRY_LOCK", "1s")
    run = lifecycle.run_enqueue(*whole(database.repository))
    running = Run.objects.create(
        action=Action.VERIFY, trigger=Trigger.CLI, repository=database.repository, database=database,
        status=Status.RUNNING, phase="load" if ours else "preflight", beat_at=timezone.now(),
        started_at=timezone.now(),
    )  # fmt: skip
    monkeypatch.setattr(alone, "STRANGERS_SECONDS", 0.0 if ours else 600.0)
    waits_for, waits = alone._waits_for, list[str]()

    with locked(database.repository) as held:

        def for_a_while(ours: Run | None, locked: backups_restic.RepositoryLocked) -> str:
            assert held.stdin is not None
            waits.append(waits_for(ours, locked))
            if len(waits) == 2:
                held.stdin.close()
            return waits[-1]

        monkeypatch.setattr(alone, "_waits_for", for_a_while)
        played(run)

    assert run.status == "succeeded", run.error
    assert old.snapshot_id not in in_repository(database.repository)
    assert newest.snapshot_id in in_repository(database.repository)
    waited = f"Waiting for verification {running.pk} of" if ours else "Waiting for another program that uses"
    assert waited in log_of(run)


def test_what_is_pinned_while_a_forget_waits_stays(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = row(repository)
    older, old = made_at(database, NOON - 2 * DAY), made_at(database, NOON - DAY)
    newest = made_at(database, NOON)
    monkeypatch.setattr("backups.restic.arguments._RETRY_LOCK", "1s")
    waits_for = alone._waits_for
    run = lifecycle.run_enqueue(*whole(database.repository))

    with locked(database.repository) as held:

        def meanwhile(ours: Run | None, locked: backups_restic.RepositoryLocked) -> str:
            assert held.stdin is not None
            if not held.stdin.closed:
                pins.pin(old, pins.Wish("before migration 42", "anna"))
                held.stdin.close()
            return waits_for(ours, locked)

        monkeypatch.setattr(alone, "_waits_for", meanwhile)
        played(run)

    assert run.status == "succeeded", run.error
    assert ids(old, newest) <= in_repository(database.repository)
    assert older.snapshot_id not in in_repository(database.repository)
    assert run.result["forgotten"] == [older.snapshot_id]


def test_a_stranger_is_not_waited_for_all_night(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = row(repository)
    old = made_at(database, NOON - DAY)
    made_at(database, NOON)
    monkeypatch.setattr("backups.restic.arguments._RETRY_LOCK", "1s")
    monkeypatch.setattr(alone, "STRANGERS_SECONDS", 0.0)
    run = lifecycle.run_enqueue(*whole(database.repository))

    with locked(database.repository):
        played(run)

    assert (run.status, run.error_code) == ("failed", "restic.locked")
    assert old.snapshot_id in in_repository(database.repository)
    Run.objects.update(finished_at=timezone.now() - 2 * HOUR)
    assert len(nightly.ask_due()) == 1


@pytest.mark.soak
def test_another_repository_in_its_place_is_noticed_without_being_asked(
    database: Database, another_repository: Path, starts: Starts
) -> None:
    back_up(database)
    scheduled(database)
    starts.clear()
    assert scheduled(database).status == "succeeded"
    assert starts == ["backup"]

    shutil.rmtree(database.repository.url)
    copy_repository(another_repository, Path(database.repository.url))
    run = scheduled(database)

    assert (run.status, run.error_code) == ("failed", "restic.other_repository")


def test_a_repository_that_stays_silent_is_looked_at_after_all(
    repository: Repository, starts: Starts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    identity.meet(repository, repository_access(repository))
    access = repository_access(repository)
    command = backups_restic.Command(
        backups_restic.backup_args(path="/x.sql", host="h", tags=["t"], command=["cat", "/etc/hostname"]),
        "storing",
    )  # fmt: skip

    def stored(access: backups_restic.Access) -> set[str]:
        """What was started."""
        starts.clear()
        ignore: list[str] = []
        backups_restic.probed_call(
            access, command, on_stdout=ignore.append, on_stderr=ignore.append, tick=lambda: None
        )
        return set(starts)

    assert stored(access) == {"backup"}
    access = replace(access, program=str(restic_that_is_slow_to_open(access.program, tmp_path / "restic")))
    monkeypatch.setattr("backups.restic.probing._SILENT_SECONDS", 0.0)
    assert stored(access) == {"backup", "cat"}


def restic_that_is_slow_to_open(real: str, place: Path) -> Path:
    """restic, which keeps silent for longer than a look takes before it opens what it stores into."""
    place.write_text(f'#!/bin/sh\ncase " $* " in *" backup "*) sleep 1 ;; esac\nexec {real} "$@"\n')
    place.chmod(0o755)
    return place


# When a repository was tended last, what else its rows say, and whether it is due at six in the morning.
SIX = datetime(2026, 3, 31, 6, tzinfo=UTC)
DUE: dict[str, tuple[list[tuple[Action, Trigger, Status, timedelta]], bool]] = {
    "the first night of a new one": ([(Action.BACKUP, Trigger.CLI, Status.SUCCEEDED, 20 * HOUR)], True),
    "set up after its time": ([(Action.BACKUP, Trigger.CLI, Status.SUCCEEDED, HOUR)], False),
    "one of before, that forgot after each backup": (
        [(Action.BACKUP, Trigger.SCHEDULE, Status.SUCCEEDED, 15 * HOUR),
         (Action.BACKUP, Trigger.SCHEDULE, Status.SUCCEEDED, 3 * HOUR)], True,
    ),
    "tended tonight": (
        [(Action.BACKUP, Trigger.CLI, Status.SUCCEEDED, 40 * HOUR),
         (Action.FORGET, Trigger.SCHEDULE, Status.SUCCEEDED, HOUR)], False,
    ),
    "tended yesterday": ([(Action.FORGET, Trigger.SCHEDULE, Status.SUCCEEDED, 25 * HOUR)], True),
    "by hand alone, which copies no portal": (
        [(Action.FORGET, Trigger.SCHEDULE, Status.SUCCEEDED, 25 * HOUR),
         (Action.FORGET, Trigger.CLI, Status.SUCCEEDED, HOUR)], True,
    ),
    "waits": ([(Action.FORGET, Trigger.SCHEDULE, Status.QUEUED, HOUR)], False),
    "lost two hours ago": ([(Action.FORGET, Trigger.SCHEDULE, Status.LOST, timedelta(minutes=85))], True),
    "failed just now": ([(Action.FORGET, Trigger.SCHEDULE, Status.FAILED, timedelta(minutes=10))], False),
    "cancelled by somebody": ([(Action.FORGET, Trigger.SCHEDULE, Status.CANCELLED, 85 * HOUR / 60)], True),
    "came back from its copy": (
        [(Action.FORGET, Trigger.SCHEDULE, Status.SUCCEEDED, 50 * HOUR),
         (Action.RECOVER, Trigger.CLI, Status.SUCCEEDED, HOUR)], False,
    ),
}  # fmt: skip


def test_copy_and_check_are_asked_for_also_where_each_forget_fails(
    repository: Repository, settings: Settings
) -> None:
    settings.BACKUP_PORTAL = True
    database = row(repository)
    Repository.objects.update(check_interval=1, backups_since_check=1)
    Snapshot.objects.create(
        repository=repository, database=database, snapshot_id="1" * 64, time=SIX - 50 * HOUR,
        path="/mysql/shop.sql", tags=[],
    )  # fmt: skip
    failed = Run.objects.create(
        action=Action.FORGET, trigger=Trigger.SCHEDULE, repository=repository, status=Status.FAILED,
        queued_at=SIX - HOUR / 2, finished_at=SIX - timedelta(minutes=1),
    )  # fmt: skip

    # It has just ended, so what follows it may come of itself.
    assert nightly.ask_due(SIX) == []
    Run.objects.filter(pk=failed.pk).update(finished_at=SIX - HOUR / 4)
    assert [run.action for run in nightly.ask_due(SIX)] == [Action.PORTAL, Action.CHECK]
    assert nightly.ask_due(SIX + timedelta(minutes=1)) == []


@pytest.mark.parametrize("name", DUE)
def test_when_maintenance_is_due(repository: Repository, name: str) -> None:
    rows, is_due = DUE[name]
    database = row(repository)
    Snapshot.objects.create(
        repository=repository, database=database, snapshot_id="1" * 64, time=SIX - 50 * HOUR,
        path="/mysql/shop.sql", tags=[],
    )  # fmt: skip
    for action, trigger, status, ago in rows:
        Run.objects.create(
            action=action, trigger=trigger, status=status, repository=repository,
            queued_at=SIX - ago, finished_at=None if status == Status.QUEUED else SIX - ago,
        )  # fmt: skip

    assert maintenance.is_due(repository, SIX) is is_due
    Database.objects.update(repository=Repository.objects.create(name="next", url="/elsewhere"))
    assert not maintenance.is_due(repository, SIX)


def test_an_hour_that_comes_twice_has_one_night(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Rome"
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30, of which the second one is at 01:30 UTC

    for later in (timedelta(), HOUR, 2 * HOUR, 20 * HOUR):
        assert schedules.last_time("30 2 * * *", first + later) == first
    assert schedules.last_time("0 * * * *", first + HOUR) == first + HOUR / 2
    assert schedules.last_time("30 2 * * *", first - HOUR).astimezone(UTC) == first - DAY


def test_people_are_told_where_it_did_not_succeed_for_days(
    repository: Repository, admin_client: Client
) -> None:
    database = row(repository)
    old, _ = made_at(database, NOON - DAY), made_at(database, NOON)
    Run.objects.create(action=Action.STATS, trigger=Trigger.CLI, repository=repository, status=Status.FAILED)
    (run,) = night_comes()
    played(run)
    of_repository = reverse("admin:backups_repository_change", args=[repository.pk])
    for url in (reverse("admin:index"), of_repository):
        assert "1 snapshot forgotten, 1 kept." in admin_client.get(url).content.decode()
    assert old.snapshot_id in run.result["forgotten"]
    assert "maintenance_overdue" not in found()

    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - 3 * DAY - HOUR)

    assert found()["maintenance_overdue"].startswith("Repository main was last tended 3 days ago")
    alerts.tend()
    alert = Alert.objects.get(subject="Timely maintenance of main")
    assert alert.state == AlertState.TROUBLE
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now())
    alerts.tend()
    alert.refresh_from_db()
    assert alert.state == AlertState.GOOD


def found() -> dict[str, str]:
    return {each.key: each.reason for each in standing.read().overall.findings}
