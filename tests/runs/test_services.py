"""A run's life: every step that is allowed, every one that is not, and who wins when two want one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from django_q.models import OrmQ

from backups import process
from backups.catalog import learned, records
from backups.choices import ACTIVE, TERMINAL, Action, RestoreMode, Status, Trigger
from backups.errors import Failure, LeaseLost, Refused
from backups.models import Database, Repository, Restore, Run, Snapshot
from backups.restic import SnapshotInfo
from backups.runs import consequences, leases, lifecycle, queue
from backups.runs.asked import Asker, Wanted
from backups.runs.lifecycle import Beat, IllegalTransition
from tests.rows import a_server
from tests.together import at_once

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
BEAT = Beat("dump", 5, 10, "table orders")


def add_database(name: str = "shop") -> Database:
    repository, _ = Repository.objects.get_or_create(name="main", url="/nowhere")
    return Database.objects.create(name=name, server=a_server("h"), database=name, repository=repository)


@pytest.fixture
def database(db: None) -> Database:
    return add_database()


def enqueue(database: Database, action: Action = Action.BACKUP, *, send: bool = False) -> Run:
    trigger = Trigger.ADMIN if send else Trigger.CLI
    return lifecycle.run_enqueue(Wanted(action, database=database), Asker(trigger), send=send)


def claim(run: Run, *, now: datetime = NOW, worker: str = "") -> Run | None:
    return lifecycle.run_claim(run.pk, worker=worker or process.identity(), now=now)


def in_status(database: Database, status: Status) -> Run:
    run = enqueue(database)
    if status == Status.CANCELLED:
        lifecycle.run_cancel(run)
    elif status != Status.QUEUED:
        claim(run)
        if status == Status.LOST:
            lifecycle.runs_reap(is_gone=lambda _: True, now=NOW)
        elif status != Status.RUNNING:
            lifecycle.run_finish(run.pk, status=status)
    run.refresh_from_db()
    assert run.status == status
    return run


STEPS: dict[str, Callable[[Run], object]] = {
    "claim": lambda run: claim(run),
    "beat": lambda run: lifecycle.run_beat(run.pk, BEAT, now=NOW),
    "succeed": lambda run: lifecycle.run_finish(run.pk, status=Status.SUCCEEDED),
    "fail": lambda run: lifecycle.run_finish(
        run.pk, status=Status.FAILED, failure=Failure("why", "test.why")
    ),
    "cancel": lifecycle.run_cancel,
    "reap": lambda run: lifecycle.runs_reap(is_gone=lambda _: True, now=NOW),
}
LEADS_TO = {
    (Status.QUEUED, "claim"): Status.RUNNING,
    (Status.QUEUED, "cancel"): Status.CANCELLED,
    (Status.RUNNING, "beat"): Status.RUNNING,
    (Status.RUNNING, "succeed"): Status.SUCCEEDED,
    (Status.RUNNING, "fail"): Status.FAILED,
    (Status.RUNNING, "cancel"): Status.RUNNING,
    (Status.RUNNING, "reap"): Status.LOST,
}
# What does not raise, but answers that there is nothing to do.
QUIET = {"claim", "reap"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", Status)
def test_step_leads_where_it_may_and_nowhere_else(database: Database, status: Status, step: str) -> None:
    run = in_status(database, status)
    wanted = LEADS_TO.get((status, step))

    if wanted is None and step not in QUIET:
        with pytest.raises((IllegalTransition, LeaseLost)):
            STEPS[step](run)
    else:
        answer = STEPS[step](run)
        assert wanted is not None or not answer

    run.refresh_from_db()
    assert run.status == (wanted or status)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.LOST])
def test_run_does_not_finish_as_something_else(database: Database, status: Status) -> None:
    run = in_status(database, Status.RUNNING)

    with pytest.raises(IllegalTransition):
        lifecycle.run_finish(run.pk, status=status)


def test_statuses_are_either_active_or_over() -> None:
    assert set(Status) == ACTIVE | TERMINAL
    assert not ACTIVE & TERMINAL


def test_claim_notes_who_and_when(database: Database) -> None:
    run = claim(enqueue(database), worker="host:1:2")

    assert run is not None
    assert (run.started_at, run.beat_at, run.worker) == (NOW, NOW, "host:1:2")


def test_run_is_claimed_once(database: Database) -> None:
    run = enqueue(database)

    assert claim(run) is not None
    assert claim(run) is None


@pytest.mark.django_db(transaction=True)
def test_one_of_two_that_claim_at_once_gets_the_run(tmp_path: Path, file_database: None) -> None:
    """On a real file, since an in-memory database has one connection only."""
    for round_number in range(5):
        run = enqueue(add_database(f"shop {round_number}"))
        claimed = at_once(8, partial(claim, run))

        assert len(claimed) == 8
        assert sum(one is not None for one in claimed) == 1


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_twin_is_refused_while_the_first_is_not_over(database: Database, status: Status) -> None:
    first = in_status(database, status)

    with pytest.raises(Refused) as refused:
        enqueue(database)

    assert f"backup {first.pk} of shop" in refused.value.sentence()
    assert f"is {status} already" in refused.value.sentence()
    assert Run.objects.count() == 1


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_next_one_may_follow_whatever_the_first_came_to(database: Database, status: Status) -> None:
    in_status(database, status)

    assert claim(enqueue(database)) is not None


def test_another_database_or_action_is_no_twin(database: Database) -> None:
    enqueue(database)
    enqueue(database, Action.VERIFY)
    enqueue(add_database("other"))

    assert Run.objects.count() == 3


def test_maintenance_of_a_repository_is_one_at_a_time_whatever_the_database(database: Database) -> None:
    enqueue(database, Action.CHECK)

    with pytest.raises(Refused):
        enqueue(add_database("other"), Action.CHECK)


def test_each_database_of_a_repository_is_forgotten_for(database: Database) -> None:
    enqueue(database, Action.FORGET)
    other = enqueue(add_database("other"), Action.FORGET)

    assert other.status == Status.QUEUED
    with pytest.raises(Refused):
        enqueue(database, Action.FORGET)
    with pytest.raises(Refused):
        lifecycle.run_enqueue(
            Wanted(Action.FORGET, repository=database.repository), Asker(Trigger.CLI), send=False
        )


def test_what_forgets_for_all_databases_leaves_nothing_to_forget_for_one(database: Database) -> None:
    lifecycle.run_enqueue(
        Wanted(Action.FORGET, repository=database.repository), Asker(Trigger.CLI), send=False
    )

    with pytest.raises(Refused):
        enqueue(database, Action.FORGET)


def test_lease_keeps_another_maintenance_out_and_fails_it_with_a_sentence(database: Database) -> None:
    check = claim(enqueue(database, Action.CHECK))
    prune = enqueue(database, Action.PRUNE)

    with pytest.raises(Refused, match="is using the same repository"):
        claim(prune)

    prune.refresh_from_db()
    assert prune.status == Status.FAILED
    assert f"check {check and check.pk}" in prune.error
    assert leases.lease_holder(database.repository, NOW) == check


def test_lease_is_kept_by_beats_and_runs_out_without(database: Database) -> None:
    run = claim(enqueue(database))
    assert run is not None

    lifecycle.run_beat(run.pk, BEAT, now=NOW + timedelta(seconds=80))

    assert leases.lease_holder(database, NOW + timedelta(seconds=120)) == run
    assert leases.lease_holder(database, NOW + timedelta(seconds=171)) is None


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.LOST])
def test_lease_is_given_back_at_the_end(database: Database, status: Status) -> None:
    in_status(database, status)

    assert leases.lease_holder(database, NOW) is None


def test_beat_tells_how_far_and_learns_of_a_cancel(database: Database) -> None:
    run = claim(enqueue(database))
    assert run is not None
    later = NOW + timedelta(seconds=1)

    assert lifecycle.run_beat(run.pk, BEAT, now=later) is False
    lifecycle.run_cancel(run)
    assert lifecycle.run_beat(run.pk, BEAT, now=later) is True

    run.refresh_from_db()
    assert (run.phase, run.bytes_done, run.bytes_expected, run.detail) == ("dump", 5, 10, "table orders")
    assert run.beat_at == later


def test_queued_run_that_was_cancelled_never_starts(database: Database) -> None:
    run = enqueue(database)

    lifecycle.run_cancel(run)

    run.refresh_from_db()
    assert run.error == "Cancelled before it started."
    assert claim(run) is None


@pytest.mark.parametrize(
    ("silent_for", "gone", "is_lost"),
    [(1, False, False), (74, False, False), (76, False, True), (1, True, True)],
    ids=["alive", "slow", "silent", "gone"],
)
def test_reaper_takes_the_silent_and_the_gone(
    database: Database, silent_for: int, gone: bool, is_lost: bool
) -> None:
    run = claim(enqueue(database), worker="host:1:2")
    assert run is not None

    lost = lifecycle.runs_reap(
        is_gone=lambda worker: gone and worker == "host:1:2", now=NOW + timedelta(seconds=silent_for)
    )

    assert lost == ([run] if is_lost else [])
    run.refresh_from_db()
    assert (run.status == Status.LOST) is is_lost


def test_sentence_of_a_lost_run_says_when_it_died_and_what_is_safe(database: Database) -> None:
    run = in_status(database, Status.LOST)

    assert run.error == (
        "The worker died in the middle of this run (last sign of life 01:30:00). "
        "No heartbeat was written and earlier snapshots are untouched. "
        "Start it again; if it happens again, see the worker's own log."
    )
    assert run.finished_at == NOW


def test_a_lost_run_of_an_action_of_a_newer_vedetta_keeps_nobody_from_being_reaped(
    database: Database,
) -> None:
    """As after going back to an older one."""
    run = claim(enqueue(database), worker="host:1:2")
    assert run is not None
    Run.objects.update(action="of_tomorrow")

    assert lifecycle.runs_reap(is_gone=lambda _: True, now=NOW) == [run]
    run.refresh_from_db()
    assert "The snapshots are untouched." in run.error


def test_worker_that_wakes_up_after_it_was_given_up_is_told(database: Database) -> None:
    run = in_status(database, Status.LOST)

    with pytest.raises(LeaseLost):
        lifecycle.run_beat(run.pk, BEAT)


def test_this_process_is_not_gone_and_one_with_another_start_is() -> None:
    mine = process.identity()
    host, pid, _ = mine.rsplit(":", 2)

    assert not process.is_gone(mine)
    assert process.is_gone(f"{host}:{pid}:another-start")
    assert process.is_gone(f"{host}:4194304:1")
    assert not process.is_gone("another-host:1:1")


def test_a_run_that_whoever_asked_does_not_come_to_play_is_left_to_the_queue(database: Database) -> None:
    run = lifecycle.run_enqueue(Wanted(Action.FORGET, database), Asker(Trigger.BACKUP), send=False)
    of_a_command = lifecycle.run_enqueue(Wanted(Action.VERIFY, database), Asker(Trigger.CLI), send=False)

    assert queue.runs_left(run.queued_at + timedelta(minutes=4)) == 0
    assert queue.runs_left(run.queued_at + timedelta(minutes=6)) == 1
    assert list(queue.in_turn(prompt=False)) == [run]
    of_a_command.refresh_from_db()
    assert of_a_command.worker == queue.WHO_ASKED


@pytest.mark.django_db(transaction=True)
def test_message_is_sent_when_the_transaction_is_through_and_not_otherwise() -> None:
    from django.db import transaction

    database = add_database()
    with transaction.atomic():
        enqueue(database, send=True)
        transaction.set_rollback(True)

    assert not OrmQ.objects.exists()
    assert not Run.objects.exists()


def test_every_so_many_backups_a_check_is_due(database: Database) -> None:
    repository = database.repository
    repository.check_interval = 3
    repository.save()

    assert [_is_due_after_another(repository) for _ in range(4)] == [False, False, True, True]
    learned.check_recorded(repository, error="", all_data=False)
    assert not _is_due_after_another(repository)


def _is_due_after_another(repository: Repository) -> bool:
    learned.backup_counted(repository)
    return learned.check_is_due(repository)


def test_check_interval_of_zero_is_never(database: Database) -> None:
    database.repository.check_interval = 0
    database.repository.save()

    assert not any(_is_due_after_another(database.repository) for _ in range(10))


def test_damage_stays_until_a_check_of_all_data_is_good(database: Database) -> None:
    repository = database.repository
    assert learned.check_recorded(repository, error="", all_data=False) == "good"
    assert learned.check_recorded(repository, error="pack 12 is damaged", all_data=True) == "damaged"
    repository.refresh_from_db()
    assert repository.is_damaged
    learned.backup_counted(repository)

    assert learned.check_recorded(repository, error="", all_data=False, now=NOW) == "damaged"
    repository.refresh_from_db()
    assert (repository.is_damaged, repository.check_error) == (True, "pack 12 is damaged")
    assert (repository.checked_at, repository.backups_since_check) == (NOW, 0)

    assert learned.check_recorded(repository, error="", all_data=True) == "good"
    repository.refresh_from_db()
    assert (repository.health, repository.check_error) == ("good", "")


def test_list_of_snapshots_follows_the_repository(database: Database) -> None:
    one, two = (SnapshotInfo(letter * 64, NOW, "h", ("/mysql/shop.sql",), ("t",)) for letter in "ab")
    repository = database.repository

    assert records.snapshots_sync(repository, [(one, database), (two, None)], now=NOW) == (2, 0)
    assert records.snapshots_sync(repository, [(one, database)], now=NOW) == (0, 1)
    assert Snapshot.objects.get(snapshot_id=two.id).forgotten_at == NOW
    assert records.snapshots_sync(repository, [(one, database), (two, None)], now=NOW) == (1, 0)
    assert not Snapshot.objects.exclude(forgotten_at=None).exists()


def test_snapshots_read_before_their_database_was_set_up_become_its(database: Database) -> None:
    info = SnapshotInfo("a" * 64, NOW, "h", ("/mysql/shop.sql",), ("t",))
    repository, other = database.repository, add_database("other")
    records.snapshots_sync(repository, [(info, None)], now=NOW)

    assert records.snapshots_sync(repository, [(info, database)], now=NOW) == (0, 0)
    assert Snapshot.objects.get().database == database

    # Whose they are does not change any more.
    records.snapshots_sync(repository, [(info, None)], now=NOW)
    records.snapshots_sync(repository, [(info, other)], now=NOW)
    assert Snapshot.objects.get().database == database


@pytest.mark.parametrize(
    ("mode", "target", "phase", "left"),
    [
        (RestoreMode.NEW, "shop", "load", "What was loaded into shop is taken away."),
        (RestoreMode.NEW, "shop", "check", "What was loaded into shop is taken away."),
        (RestoreMode.NEW, "shop", "preflight", ""),
        (RestoreMode.NEW, "shop_copy", "load", ""),
        (RestoreMode.REPLACE, "shop", "load", ""),
    ],
)
def test_what_a_restore_left_of_the_live_database(
    mode: RestoreMode, target: str, phase: str, left: str
) -> None:
    database = Database(database="shop")

    restore = Restore(mode=mode, target=target, database=database, run=Run(phase=phase))

    assert consequences.restore_left(restore) == left
