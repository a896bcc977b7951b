"""What goes of the portal's own history, and what never does, on rows of years."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from backups.choices import RESTORE_ACTIONS, Action, RestoreMode, Status, SuspicionState, Swap, Trigger
from backups.models import (
    Database,
    Repository,
    Restore,
    Run,
    RunLine,
    Snapshot,
    Suspicion,
    Verification,
)
from backups.runs import history
from tests.rows import a_server

pytestmark = pytest.mark.django_db
NOW = datetime(2031, 5, 20, 3, 30, tzinfo=UTC)
KEPT_DAYS = 730


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(history._Night, "done", None)
    settings.RUN_KEEP_DAYS = KEPT_DAYS


@pytest.fixture
def database() -> Database:
    repository = Repository.objects.create(name="main", url="/repository")
    return Database.objects.create(name="shop", server=a_server(), database="shop", repository=repository)


def add_run(database: Database, action: str, days: float, *, lines: int = 0, **fields: Any) -> Run:
    """A run that was over so many days ago."""
    at = NOW - timedelta(days=days)
    known = {
        "action": action, "database": database, "repository": database.repository,
        "trigger": Trigger.SCHEDULE, "status": Status.SUCCEEDED,
        "queued_at": at, "started_at": at, "finished_at": at,
    }  # fmt: skip
    run = Run.objects.create(**{**known, **fields})
    RunLine.objects.bulk_create([RunLine(run=run, at=at, text=f"line {n}") for n in range(lines)])
    return run


def of_no_database(run: Run) -> Run:
    Run.objects.filter(pk=run.pk).update(database=None)
    return run


def add_snapshot(database: Database, days: float, made_by: Run | None, *, is_there: bool) -> Snapshot:
    at = NOW - timedelta(days=days)
    number = Snapshot.objects.count()
    snapshot = Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id=f"{number:064x}", time=at,
        path="/shop.sql", made_by=made_by, forgotten_at=None if is_there else at + timedelta(days=7),
    )  # fmt: skip
    if made_by:
        Run.objects.filter(pk=made_by.pk).update(snapshot=snapshot)
    return snapshot


def add_newest(database: Database) -> None:
    """Of each action one of today, lest an old one be the newest of its kind."""
    for action in Action:
        add_run(database, action, 0)


def tidy(now: datetime = NOW) -> tuple[int, bool]:
    return history.tidy(now, seconds=600)


def left(*runs: Run) -> list[bool]:
    there = set(Run.objects.values_list("pk", flat=True))
    return [run.pk in there for run in runs]


def test_lines_go_before_their_runs_and_those_of_failed_ones_later(database: Database) -> None:
    add_newest(database)
    ages = (89, 91, 364, 366)
    good = [add_run(database, Action.BACKUP, days, lines=3) for days in ages]
    bad = [add_run(database, Action.BACKUP, days, lines=3, status=Status.FAILED) for days in ages]

    assert tidy() == (3 * 3 + 3, True)

    assert [run.lines.count() for run in good] == [3, 0, 0, 0]
    assert [run.lines.count() for run in bad] == [3, 3, 3, 0]
    assert left(*good, *bad) == [True] * 8


@pytest.mark.parametrize("action", [each for each in Action if each not in history.OF_BACKUPS])
def test_maintenance_is_kept_for_a_year(action: Action, database: Database) -> None:
    add_newest(database)
    younger, older = add_run(database, action, 364), add_run(database, action, 366, lines=2)

    tidy()

    assert left(younger, older) == [True, False]
    assert not RunLine.objects.exists()


@pytest.mark.parametrize("action", [Action.BACKUP, Action.VERIFY, *sorted(RESTORE_ACTIONS)])
def test_what_backs_up_and_restores_is_kept_as_long_as_the_setting_says(
    action: Action, database: Database, settings: Settings
) -> None:
    add_newest(database)
    younger, older = add_run(database, action, 729), add_run(database, action, 731, status=Status.LOST)

    tidy()
    assert left(younger, older) == [True, False]

    settings.RUN_KEEP_DAYS = 800
    newest_gone = add_run(database, action, 801)
    tidy()
    assert left(younger, newest_gone) == [True, False]


def test_whose_snapshot_is_there_stays_for_ever(database: Database) -> None:
    add_newest(database)
    for is_there in (True, False):
        backup = add_run(database, Action.BACKUP, 3000)
        snapshot = add_snapshot(database, 3000, backup, is_there=is_there)
        verify = add_run(database, Action.VERIFY, 2999, snapshot=snapshot)
        Verification.objects.create(run=verify, snapshot=snapshot, verdict="good")
        restore = add_run(database, Action.RESTORE, 2998, snapshot=snapshot)
        Restore.objects.create(
            run=restore, database=database, snapshot=snapshot, mode=RestoreMode.NEW, target="other"
        )

        tidy()

        assert left(backup, verify, restore) == [is_there] * 3
        assert Snapshot.objects.filter(pk=snapshot.pk).exists() == is_there


def test_a_restore_whose_safety_snapshot_is_there_stays(database: Database) -> None:
    add_newest(database)
    safety = add_run(database, Action.BACKUP, 2000, trigger=Trigger.RESTORE)
    saved = add_snapshot(database, 2000, safety, is_there=True)
    gone = add_snapshot(database, 2500, None, is_there=False)
    run = add_run(database, Action.RESTORE, 2000, snapshot=gone)
    Restore.objects.create(
        run=run,
        database=database,
        snapshot=gone,
        mode=RestoreMode.REPLACE,
        target="shop",
        safety_snapshot=saved,
    )

    tidy()

    assert left(run, safety) == [True, True]
    assert Snapshot.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "stays"),
    [
        ({"kept_in": "kept"}, True),
        ({"kept_in": "kept", "undone_at": NOW}, False),
        ({"kept_in": "kept", "dropped_at": NOW}, False),
        ({"swap": Swap.PREPARED}, True),
        ({}, False),
    ],
)
def test_a_restore_that_can_be_undone_or_is_half_way_stays(
    fields: dict[str, Any], stays: bool, database: Database
) -> None:
    add_newest(database)
    gone = add_snapshot(database, 2500, None, is_there=False)
    run = add_run(database, Action.RESTORE, 2000, snapshot=gone)
    Restore.objects.create(
        run=run, database=database, snapshot=gone, mode=RestoreMode.REPLACE, target="shop", **fields
    )

    tidy()

    assert left(run) == [stays]


def test_a_restore_whose_undo_is_kept_stays(database: Database) -> None:
    add_newest(database)
    gone = add_snapshot(database, 2500, None, is_there=False)
    runs = [add_run(database, Action.RESTORE, 2000), add_run(database, Action.UNDO, 700)]
    undone = None
    for run in runs:
        undone = Restore.objects.create(
            run=run, database=database, snapshot=gone, mode=RestoreMode.UNDO, target="shop", undo_of=undone
        )

    tidy()

    assert left(*runs) == [True, True]


@pytest.mark.parametrize("is_there", [True, False])
def test_an_undo_stays_as_long_as_what_it_undid(is_there: bool, database: Database) -> None:
    add_newest(database)
    saved = add_snapshot(database, 2000, None, is_there=is_there)
    gone = add_snapshot(database, 2500, None, is_there=False)
    runs = [add_run(database, Action.RESTORE, 2000), add_run(database, Action.UNDO, 1999)]
    undone = None
    for run in runs:
        undone = Restore.objects.create(
            run=run, database=database, snapshot=gone, mode=RestoreMode.UNDO, target="shop", undo_of=undone,
            safety_snapshot=None if undone else saved,
        )  # fmt: skip

    tidy()

    assert left(*runs) == [is_there, is_there]


def test_no_newer_run_goes_with_an_older_one(database: Database) -> None:
    add_newest(database)
    old = add_run(database, Action.BACKUP, 2000)
    young = add_run(database, Action.FORGET, 10, parent=old)
    waited_for = add_run(database, Action.CHECK, 2000)
    add_run(database, Action.BACKUP, 0, status=Status.QUEUED, finished_at=None, waits_for=waited_for)
    holder = add_run(database, Action.CHECK, 2000)
    Repository.objects.update(lease_run=holder)

    tidy()
    assert left(old, young, waited_for, holder) == [True] * 4

    old_child = add_run(database, Action.FORGET, 1000, parent=old)
    Run.objects.filter(pk=young.pk).delete()
    tidy()
    assert left(old, old_child) == [False, False]


def test_the_newest_of_each_kind_stays_and_the_newest_that_succeeded(database: Database) -> None:
    other = Database.objects.create(
        name="blog", server=a_server(), database="blog", repository=database.repository
    )
    add_run(database, Action.BACKUP, 0)
    kept = [
        add_run(database, Action.CHECK, 1000),
        add_run(database, Action.CHECK, 900, status=Status.FAILED),
        add_run(other, Action.CHECK, 2000),
        of_no_database(add_run(database, Action.CHECK, 1500)),
        add_run(other, Action.BACKUP, 3000, status=Status.FAILED),
    ]
    gone = [
        add_run(database, Action.CHECK, 1001),
        add_run(database, Action.CHECK, 950, status=Status.FAILED),
        of_no_database(add_run(database, Action.CHECK, 1501)),
    ]

    tidy()

    assert left(*kept, *gone) == [True] * 5 + [False] * 3


def test_what_is_not_over_stays(database: Database) -> None:
    add_newest(database)
    runs = [
        add_run(database, Action.STATS, 2000, status=status, finished_at=None, lines=1)
        for status in (Status.QUEUED, Status.RUNNING)
    ]

    tidy()

    assert left(*runs) == [True, True]
    assert RunLine.objects.count() == 2


@pytest.mark.parametrize(
    ("state", "found_days", "stays"),
    [
        (SuspicionState.WAITING, 2000, True),
        (SuspicionState.ACCEPTED, 2000, False),
        (SuspicionState.OVER, 2000, False),
        # What is held because of it is held for 90 days, also where history is kept for 30 alone.
        (SuspicionState.OVER, 89, True),
        (SuspicionState.OVER, 91, False),
        (SuspicionState.ACCEPTED, 89, False),
    ],
)
def test_a_forgotten_snapshot_of_which_a_person_is_to_say_something_stays(
    state: SuspicionState, found_days: int, stays: bool, database: Database, settings: Settings
) -> None:
    settings.RUN_KEEP_DAYS = 30
    add_newest(database)
    snapshot = add_snapshot(database, 2000, None, is_there=False)
    young = add_snapshot(database, 30, None, is_there=False)
    found_at = NOW - timedelta(days=found_days)
    Suspicion.objects.create(snapshot=snapshot, database=database, state=state, found_at=found_at)

    tidy()

    assert Snapshot.objects.filter(pk=snapshot.pk).exists() == stays
    assert Snapshot.objects.filter(pk=young.pk).exists()


# ---------------------------------------------------------------- By night, in portions


def add_years(database: Database) -> None:
    """Of four years, each tenth day a backup with all that follows."""
    for days in range(0, 1460, 10):
        backup = add_run(database, Action.BACKUP, days, lines=5)
        add_snapshot(database, days, backup, is_there=days < 200 or days % 300 == 0)
        for action in (Action.FORGET, Action.PORTAL):
            add_run(database, action, days, lines=2, parent=backup)


class _KilledError(Exception):
    """The worker's end, between two portions."""


def everything() -> list[list[Any]]:
    return [sorted(model.objects.values_list("pk", flat=True)) for model in (Run, RunLine, Snapshot)]


def test_years_go_in_small_portions_and_the_same_whether_it_is_broken_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_years(database)
    monkeypatch.setattr(history, "_LINES_AT_ONCE", 50)
    monkeypatch.setattr(history, "_ROWS_AT_ONCE", 7)
    removed: list[int] = []
    remove = history._remove

    def dying(rows: Any, most: int) -> int:
        removed.append(remove(rows, most))
        if len(removed) % 5 == 4:
            raise _KilledError
        return removed[-1]

    monkeypatch.setattr(history, "_remove", dying)
    for _ in range(200):
        try:
            if tidy()[1]:
                break
        except _KilledError:
            continue
    monkeypatch.setattr(history, "_remove", remove)
    assert max(removed) == 50
    after = everything()

    assert tidy() == (0, True)
    assert everything() == after
    backups = Run.objects.filter(action=Action.BACKUP)
    days = sorted(
        round((NOW - run.finished_at).total_seconds() / 86400) for run in backups if run.finished_at
    )
    assert days == [*range(0, 731, 10), 900, 1200]
    assert not Run.objects.exclude(action=Action.BACKUP).filter(queued_at__lt=NOW - timedelta(366)).exists()
    assert not RunLine.objects.filter(at__lt=NOW - timedelta(days=91)).exists()
    assert Snapshot.objects.present().count() == 24


def test_it_stops_when_its_time_is_over_and_goes_on_the_next_minute(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_years(database)
    monkeypatch.setattr(history, "_SECONDS", 0.0)
    monkeypatch.setattr(history, "_LINES_AT_ONCE", 10)

    with time_machine.travel(NOW, tick=False), caplog.at_level("INFO", logger="backups"):
        assert history.tidy_at_night() == 10
        assert "went, as too old: 10 lines of logs" in caplog.text
        assert history.tidy_at_night() == 10


def test_it_looks_once_a_night_and_again_after_the_clock_was_set(
    database: Database, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    add_years(database)

    def looks(at: datetime) -> int:
        with time_machine.travel(at, tick=False):
            return history.tidy_at_night()

    with django_assert_num_queries(0):
        assert looks(NOW.replace(hour=1)) == 0
    assert looks(NOW) != 0
    with django_assert_num_queries(0):
        assert looks(NOW + timedelta(minutes=1)) == 0
        assert looks(NOW.replace(hour=23)) == 0
    before = everything()
    # Set back by years, and forth again.
    assert looks(NOW - timedelta(days=1000)) == 0
    assert looks(NOW) == 0
    assert everything() == before
    # Nine lines of one run, and a year-old run.
    assert looks(NOW + timedelta(days=1)) == 10


def test_a_clock_that_is_years_ahead_is_not_believed(database: Database) -> None:
    add_years(database)
    tidy(NOW + timedelta(days=2))
    before = everything()

    assert tidy(NOW + timedelta(days=5000)) == (0, True)
    assert everything() == before


def test_nothing_is_there_yet() -> None:
    assert tidy() == (0, True)
