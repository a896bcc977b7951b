"""Whose turn it is among the runs that wait in the queue."""

from __future__ import annotations

import os
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from pytest_django.fixtures import Settings

from backups import process, tasks
from backups.choices import UNDO_TRANSACTIONS, Action, Status, Trigger
from backups.errors import Refused
from backups.models import Database, Question, Repository, Run, Snapshot
from backups.runs import leases, lifecycle, turns
from backups.runs.asked import Asker, Wanted
from backups.runs.outcome import Outcome
from backups.worker import executor, reaper
from backups.worker.queue import OwnOrders
from tests.rows import a_server

pytestmark = pytest.mark.django_db


def repository(name: str = "main") -> Repository:
    """A repository, the same for the same name."""
    return Repository.objects.get_or_create(name=name, defaults={"url": f"/srv/{name}"})[0]


def database(name: str, host: str, *, at: str = "main", **fields: object) -> Database:
    """A database on the server called `host`."""
    return Database.objects.create(
        name=name, server=a_server(host), database=name, repository=repository(at), **fields
    )


def running(action: Action, of: Database | Repository) -> Run:
    """A run under way."""
    taken = lifecycle.run_claim(waiting(action, of).pk, worker="host:1:1")
    assert taken is not None
    return taken


def waiting(action: Action, of: Database | Repository, trigger: Trigger = Trigger.SCHEDULE) -> Run:
    """A run that waits for its turn."""
    if isinstance(of, Repository):
        return lifecycle.run_enqueue(Wanted(action, repository=of), Asker(trigger))
    return lifecycle.run_enqueue(Wanted(action, database=of), Asker(trigger))


def picked(*, prompt: bool = False) -> Run | None:
    """The run that a worker takes now."""
    return lifecycle.run_pick(prompt=prompt, worker="host:1:2")


# Under way, then what waits, and whether it may begin beside that.
BESIDE = {
    "backups of two servers": (Action.BACKUP, "one", Action.BACKUP, "two", True),
    "backups of one server": (Action.BACKUP, "one", Action.BACKUP, "one", False),
    "a verification at the server of a backup": (Action.BACKUP, "one", Action.VERIFY, "one", False),
    "a restore at the server of a backup": (Action.BACKUP, "one", Action.RESTORE, "one", True),
    "restores at one server": (Action.RESTORE, "one", Action.RESTORE, "one", False),
    "a connection test at the server of a restore": (Action.RESTORE, "one", Action.PREFLIGHT, "one", True),
    "a backup beside a forget": (Action.FORGET, "one", Action.BACKUP, "two", False),
    "a forget beside a backup": (Action.BACKUP, "one", Action.FORGET, "two", False),
    "a forget beside a restore": (Action.RESTORE, "one", Action.FORGET, "two", False),
    "a restore beside a check": (Action.CHECK, "one", Action.RESTORE, "two", True),
    "a copy of the portal beside a backup": (Action.BACKUP, "one", Action.PORTAL, "two", True),
}


@pytest.mark.parametrize("story", BESIDE)
def test_what_may_begin_beside_what(story: str) -> None:
    first, its_host, second, host, may_begin = BESIDE[story]
    busy = running(first, database("a", its_host))
    run = waiting(second, database("b", host))

    taken = picked(prompt=second in (Action.RESTORE, Action.PREFLIGHT))

    assert (taken is not None) == may_begin
    run.refresh_from_db()
    assert run.status == (Status.RUNNING if may_begin else Status.QUEUED)
    assert run.detail.startswith(f"Waits for {busy.get_action_display().lower()} {busy.pk} of ") != may_begin


def backed_up(of: Database, *, size: float = 1_000_000, took: float = 2.0) -> Database:
    """A database, and its newest backup with so many bytes and seconds."""
    ended = timezone.now() - timedelta(hours=1)
    made_by = Run.objects.create(
        action=Action.BACKUP, database=of, repository=of.repository, status=Status.SUCCEEDED,
        started_at=ended - timedelta(seconds=took), finished_at=ended,
    )  # fmt: skip
    Snapshot.objects.create(
        repository=of.repository, database=of, made_by=made_by, snapshot_id=f"{of.pk:064x}", time=ended,
        path=f"/mysql/{of.name}.sql", total_bytes_processed=size,
    )  # fmt: skip
    return of


# The newest backups of a database that is backed up and of one that waits; whether that may begin beside it.
SHARING: dict[str, tuple[dict[str, float], dict[str, float], bool]] = {
    "two small ones": ({}, {}, True),
    "a large one is under way": ({"size": 64_000_001}, {}, False),
    "a large one waits": ({}, {"size": 64_000_001}, False),
    "one took long": ({}, {"took": 60.5}, False),
    "a clock was set back in one": ({}, {"took": -5}, False),
}


@pytest.mark.parametrize("story", SHARING)
def test_two_small_backups_may_share_a_server(story: str) -> None:
    first, second, may_begin = SHARING[story]
    running(Action.BACKUP, backed_up(database("a", "one"), **first))
    run = waiting(Action.BACKUP, backed_up(database("b", "one"), **second))

    assert picked() == (run if may_begin else None)


def test_only_one_server_is_shared_and_by_two(settings: Settings) -> None:
    settings.RUNS_AT_ONCE = 3
    for name, host in {"a": "one", "b": "one", "c": "one", "d": "two", "e": "two", "f": "three"}.items():
        waiting(Action.BACKUP, backed_up(database(name, host)))

    taken = [run.database for run in iter(picked, None) if run and run.database]
    assert [each.name for each in taken] == ["a", "b", "d", "f"]


def test_a_new_database_shares_its_server_with_none() -> None:
    running(Action.BACKUP, backed_up(database("a", "one")))
    waiting(Action.BACKUP, database("b", "one"))

    assert picked() is None


@pytest.mark.parametrize(("at_once", "second"), [(1, False), (2, True)])
def test_who_wants_one_run_at_a_time_gets_that(settings: Settings, at_once: int, second: bool) -> None:
    settings.RUNS_AT_ONCE = at_once
    running(Action.BACKUP, backed_up(database("a", "one")))
    waiting(Action.BACKUP, backed_up(database("b", "one")))

    assert (picked() is not None) == second


@pytest.mark.django_db(transaction=True)
def test_the_process_for_the_second_small_backup_plays_nothing_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RUNS_AT_ONCE = 2
    monkeypatch.setitem(executor.ACTIONS, Action.BACKUP, lambda *_: Outcome())
    monkeypatch.setattr(process, "runs_in_group", lambda worker, _group: worker == "host:1:1")
    for name in "ab":
        running(Action.BACKUP, backed_up(database(name, name)))
    elsewhere = waiting(Action.BACKUP, backed_up(database("c", "c")))
    beside = waiting(Action.BACKUP, backed_up(database("d", "a")))

    assert executor.execute_next(prompt=False) == beside
    elsewhere.refresh_from_db()
    assert elsewhere.status == Status.QUEUED


def test_two_rows_of_one_address_are_one_server() -> None:
    """As of two users, or of one that was written in two ways."""
    running(Action.BACKUP, database("a", "localhost"))
    same = database("b", "127.0.0.1")
    same.server.user = "another"
    same.server.save()
    waiting(Action.BACKUP, same)

    assert picked() is None


def test_a_forget_elsewhere_is_not_waited_for() -> None:
    running(Action.FORGET, database("a", "one"))
    run = waiting(Action.BACKUP, database("b", "two", at="offsite"))

    assert picked() == run


def test_a_server_of_test_restores_is_one_as_well(settings: Settings) -> None:
    settings.VERIFY_MYSQL_HOST = "verify"
    running(Action.VERIFY, database("a", "one"))
    waiting(Action.VERIFY, database("b", "two"))

    assert picked() is None
    run = waiting(Action.VERIFY, database("c", "three", verify_host="another"))
    assert picked() == run
    backup = waiting(Action.BACKUP, Database.objects.get(name="a"))
    assert picked() == backup


def test_what_a_person_asked_for_comes_first_then_what_waits_longest() -> None:
    first = waiting(Action.BACKUP, database("a", "one"))
    second = waiting(Action.BACKUP, database("b", "two"))
    asked = waiting(Action.BACKUP, database("c", "three"), Trigger.ADMIN)

    assert [picked(), picked(), picked(), picked()] == [asked, first, second, None]


def test_transactions_are_replayed_where_test_restores_go(settings: Settings) -> None:
    settings.VERIFY_MYSQL_HOST = "verify"
    running(Action.VERIFY, database("a", "one"))
    run = waiting(Action.DIFF, database("b", "two"))
    asked = {"form": UNDO_TRANSACTIONS, "version": 1, "transactions": ["binlog.000001:4"]}
    Run.objects.filter(pk=run.pk).update(request=asked)
    assert picked() is None

    # With now it compares at the server of its own.
    Run.objects.filter(pk=run.pk).update(request={"form": "diff", "version": 1, "until": None, "tables": []})
    assert picked() == run


def test_one_repository_of_several_leaves_a_process_to_the_others(settings: Settings) -> None:
    settings.RUNS_AT_ONCE = 3
    databases = [database(name, host=name) for name in "abc"]
    for each in databases:
        waiting(Action.BACKUP, each)
    elsewhere = waiting(Action.BACKUP, database("d", "d", at="offsite"))

    assert picked() is not None
    assert picked() is not None
    assert picked() == elsewhere
    assert picked() is None


def test_what_whoever_asked_plays_is_nobody_elses() -> None:
    lifecycle.run_enqueue(
        Wanted(Action.BACKUP, database=database("a", "one")), Asker(Trigger.BACKUP), send=False
    )

    assert picked() is None


def test_a_lease_of_a_run_that_is_no_more_leaves_it_in_the_queue() -> None:
    shop = database("a", "one")
    dead = running(Action.BACKUP, shop)
    Run.objects.filter(pk=dead.pk).update(status=Status.LOST)
    run = waiting(Action.BACKUP, shop)

    assert picked() is None
    run.refresh_from_db()
    assert (run.status, run.started_at, run.worker) == (Status.QUEUED, None, "")


@pytest.mark.django_db(transaction=True)
def test_whoever_made_room_wakes_who_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(executor.ACTIONS, Action.BACKUP, lambda *_: Outcome())
    first, second = (waiting(Action.BACKUP, database(name, "one")) for name in "ab")
    OrmQ.objects.all().delete()

    assert executor.execute_next(prompt=False) == first
    assert OrmQ.objects.count() == 1
    assert executor.execute_next(prompt=False) == second
    assert OrmQ.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("seconds", "played"), [(60, 3), (-1, 1)])
def test_one_message_is_enough_for_all_that_wait(
    monkeypatch: pytest.MonkeyPatch, seconds: float, played: int
) -> None:
    """Unless it took long: the queue's own deadline counts for all of them together."""
    monkeypatch.setattr("django_q.conf.Conf.CLUSTER_NAME", "vedetta")
    monkeypatch.setitem(executor.ACTIONS, Action.BACKUP, lambda *_: Outcome())
    monkeypatch.setattr(tasks, "_BEGINS_ANOTHER_SECONDS", seconds)
    runs = [waiting(Action.BACKUP, database(name, "one")) for name in "abc"]

    tasks.run_execute(runs[0].pk)

    assert Run.objects.filter(status=Status.SUCCEEDED).count() == played


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cluster", ["vedetta", "restores"])
def test_a_worker_without_a_message_looks_at_the_rows(cluster: str) -> None:
    """A message may be lost, or lie with a worker that is dead or busy."""
    runs = {
        "vedetta": waiting(Action.BACKUP, database("a", "one")),
        "restores": waiting(Action.RESTORE, database("b", "one")),
    }
    OrmQ.objects.all().delete()
    broker = OwnOrders(list_key=cluster)

    ((number, payload),) = broker.dequeue()

    told = SignedPackage.loads(payload)
    assert (number, told["func"], told["args"]) == (0, "backups.tasks.run_execute", (runs[cluster].pk,))
    assert broker.dequeue() == []  # not at once


@pytest.mark.django_db(transaction=True)
def test_a_message_that_nobody_worked_on_comes_again_within_the_minute() -> None:
    waiting(Action.BACKUP, database("a", "one"))
    ((number, _),) = OwnOrders(list_key="vedetta").dequeue()
    again = OwnOrders(list_key="vedetta")

    assert [pk for pk, _ in again.dequeue()] == [0]  # the rows tell it meanwhile
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert [pk for pk, _ in again.dequeue()] == [number]


@pytest.mark.django_db(transaction=True)
def test_a_dead_process_of_this_machine_is_noticed_between_two_tendings() -> None:
    busy = running(Action.BACKUP, database("a", "one"))
    OrmQ.objects.all().delete()
    gone = f"{os.uname().nodename}:4194304:1"
    Run.objects.filter(pk=busy.pk).update(worker=gone)

    assert OwnOrders(list_key="vedetta").dequeue() == []
    ((_, payload),) = OwnOrders(list_key="restores").dequeue()

    assert SignedPackage.loads(payload)["func"] == "backups.tasks.tend_runs"


def test_what_has_waited_for_long_counts_as_asked_for() -> None:
    old, planned = (waiting(Action.BACKUP, database(name, name)) for name in "ab")
    asked = waiting(Action.BACKUP, database("c", "c"), Trigger.ADMIN)
    Run.objects.filter(pk=old.pk).update(queued_at=timezone.now() - turns.WAITED_LONG * 1.1)

    assert [picked(), picked(), picked()] == [old, asked, planned]


def test_backups_that_go_on_coming_keep_no_check_waiting_for_ever() -> None:
    running(Action.BACKUP, database("a", "one"))
    check = waiting(Action.CHECK, repository())
    assert picked() is None
    first = waiting(Action.BACKUP, database("b", "two"))
    assert picked() == first

    Run.objects.filter(pk=check.pk).update(queued_at=timezone.now() - turns.HOLDS_BACK * 1.1)
    later = waiting(Action.BACKUP, database("c", "three"))
    elsewhere = waiting(Action.BACKUP, database("d", "four", at="offsite"))

    assert picked() == elsewhere
    assert picked() is None
    later.refresh_from_db()
    assert later.waits_for == check
    assert later.detail.startswith(f"Waits for check {check.pk} of main (since ")
    Run.objects.filter(status=Status.RUNNING).update(status=Status.SUCCEEDED)
    assert picked() == check


@pytest.mark.parametrize("action", [Action.RESTORE, Action.VERIFY])
def test_a_forget_that_waits_for_what_may_take_hours_stops_no_backup(action: Action) -> None:
    busy = running(action, database("a", "one"))
    forget = waiting(Action.FORGET, repository())
    Run.objects.filter(pk=forget.pk).update(queued_at=timezone.now() - turns.HOLDS_BACK * 1.1)
    backup = waiting(Action.BACKUP, database("b", "two"))

    assert picked() == backup
    forget.refresh_from_db()
    assert (forget.status, forget.waits_for) == (Status.QUEUED, busy)


def test_who_waits_says_for_which_run_until_it_begins() -> None:
    busy = running(Action.BACKUP, database("a", "one"))
    run = waiting(Action.BACKUP, database("b", "one"))
    assert picked() is None
    run.refresh_from_db()
    assert run.waits_for == busy
    assert run.detail.endswith(" on host).")

    Run.objects.filter(pk=busy.pk).update(status=Status.SUCCEEDED)

    assert picked() == run
    run.refresh_from_db()
    assert run.waits_for_id is None
    assert run.detail == ""


# ---------------------------------------------------------------- Commands


def typed(action: Action, of: Database | Repository, *, waits: bool = False) -> Run:
    """What somebody at a command line asks for."""
    wanted = Wanted(action, repository=of) if isinstance(of, Repository) else Wanted(action, database=of)
    return lifecycle.run_enqueue(wanted, Asker(Trigger.CLI, waits=waits), send=False)


# Under way, what is typed, and whether it is refused.
TYPED = {
    "a check beside a backup": (Action.BACKUP, Action.CHECK, True),
    "a forget beside a restore": (Action.RESTORE, Action.FORGET, True),
    "a backup beside a check": (Action.CHECK, Action.BACKUP, False),  # it waits for it by itself
    "a check beside a connection test": (Action.PREFLIGHT, Action.CHECK, False),
    "a verification beside a backup": (Action.BACKUP, Action.VERIFY, False),
}


@pytest.mark.parametrize("story", TYPED)
def test_what_is_typed_is_refused_at_once_by_who_uses_it(story: str) -> None:
    first, second, is_refused = TYPED[story]
    busy = running(first, database("a", "one"))

    if not is_refused:
        assert typed(second, database("b", "two")).status == Status.QUEUED
        return
    with pytest.raises(Refused) as told:
        typed(second, database("b", "two"))

    assert told.value.held_by["run_id"] == busy.pk
    assert told.value.held_by["host"] == "host"
    assert f"{busy.get_action_display().lower()} {busy.pk} of a (since " in str(told.value)
    assert Run.objects.count() == 1


def test_a_run_that_died_unheard_refuses_nobody_where_no_worker_is() -> None:
    busy = running(Action.BACKUP, database("a", "one"))
    here = f"{os.uname().nodename}:1:1"
    long_ago = timezone.now() - leases.LEASE * 1.1
    Run.objects.filter(pk=busy.pk).update(worker=here, beat_at=long_ago)

    assert typed(Action.CHECK, repository()).status == Status.QUEUED


def test_a_lease_of_another_machine_is_not_over_by_the_clock_of_this_one() -> None:
    """Its clock may be five minutes behind."""
    check = running(Action.CHECK, repository())
    in_between = timezone.now() + timedelta(minutes=5)
    prune = waiting(Action.PRUNE, repository())

    with pytest.raises(Refused, match=f"check {check.pk} of main"):
        lifecycle.run_claim(prune.pk, worker="here:1:1", now=in_between)
    assert leases.lease_holder(repository(), in_between + leases.CLOCKS_APART) is None


def test_a_command_that_waits_has_its_place_and_plays_its_run_itself() -> None:
    busy = running(Action.BACKUP, database("a", "one"))
    mine = typed(Action.BACKUP, busy.database, waits=True)  # type: ignore[arg-type]

    assert lifecycle.run_claim_in_turn(mine.pk, worker="here:1:1") == (None, busy)
    mine.refresh_from_db()
    assert (mine.status, mine.waits_for, mine.worker) == (Status.QUEUED, busy, "here:1:1")
    assert picked() is None, "a worker took what a command plays"
    lifecycle.run_finish(busy.pk, status=Status.SUCCEEDED)
    planned = waiting(Action.BACKUP, database("b", "one"))
    assert picked() is None
    planned.refresh_from_db()
    assert planned.waits_for == mine

    taken, before = lifecycle.run_claim_in_turn(mine.pk, worker="here:1:1")
    assert (taken, before) == (mine, None)


def test_a_command_that_waits_and_dies_keeps_nobody_waiting() -> None:
    busy = running(Action.CHECK, repository())
    mine = typed(Action.CHECK, repository(), waits=True)
    lifecycle.run_claim_in_turn(mine.pk, worker="here:1:1")

    lifecycle.runs_reap(is_gone=lambda worker: worker == "here:1:1")

    mine.refresh_from_db()
    busy.refresh_from_db()
    assert (mine.status, busy.status) == (Status.CANCELLED, Status.RUNNING)
    assert lifecycle.run_claim_in_turn(mine.pk, worker="here:1:1") == (None, None)


def test_a_command_that_waits_and_falls_silent_holds_nobody_up_until_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one whose container was made anew: nothing tells whether its process is gone."""
    monkeypatch.setattr(reaper, "HEARD_AGAIN_SECONDS", 0.0)
    busy = running(Action.BACKUP, database("a", "one"))
    mine = typed(Action.CHECK, repository(), waits=True)
    lifecycle.run_claim_in_turn(mine.pk, worker=f"{os.uname().nodename}:1:1")
    long_ago = timezone.now() - leases.BEAT_LOST * 1.1
    Run.objects.filter(pk=mine.pk).update(beat_at=long_ago, queued_at=timezone.now() - turns.HOLDS_BACK * 1.1)
    planned = waiting(Action.BACKUP, database("b", "two"))

    assert picked() == planned
    lifecycle.runs_reap(is_gone=lambda _: False, may_live=reaper._Look().may_live)

    mine.refresh_from_db()
    busy.refresh_from_db()
    assert (mine.status, busy.status) == (Status.CANCELLED, Status.RUNNING)


def test_a_command_that_waits_for_its_older_twin_does_not_hold_that_up() -> None:
    """A person's comes before what was planned, but for what does the same and was first."""
    planned = waiting(Action.FORGET, repository())
    mine = typed(Action.FORGET, repository(), waits=True)
    assert lifecycle.run_claim_in_turn(mine.pk, worker="here:1:1") == (None, planned)
    long_ago = timezone.now() - turns.HOLDS_BACK * 1.1
    Run.objects.filter(pk=mine.pk).update(queued_at=long_ago)

    assert picked() == planned


def test_two_of_the_same_that_wait_come_one_after_the_other() -> None:
    shop = database("a", "one")
    busy = running(Action.VERIFY, shop)
    first, second = (typed(Action.VERIFY, shop, waits=True) for _ in range(2))

    assert lifecycle.run_claim_in_turn(second.pk, worker="here:1:2")[1] == busy
    lifecycle.run_finish(busy.pk, status=Status.SUCCEEDED)
    assert lifecycle.run_claim_in_turn(second.pk, worker="here:1:2")[1] == first
    assert lifecycle.run_claim_in_turn(first.pk, worker="here:1:1")[0] == first


@pytest.mark.django_db(transaction=True)
def test_a_process_of_the_restores_cluster_stays_free_for_what_pages_ask(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RUNS_AT_ONCE = 1
    monkeypatch.setitem(executor.ACTIONS, Action.RESTORE, lambda *_: Outcome())
    monkeypatch.setattr("backups.requests.read", lambda run: SimpleNamespace(form=run.action))
    busy = running(Action.RESTORE, database("a", "one"))
    run = waiting(Action.RESTORE, database("b", "two"))

    Run.objects.filter(pk=busy.pk).update(worker=process.identity())
    assert executor.execute_next(prompt=True) is None
    # What another worker, or a command, plays keeps none of this one's processes busy.
    Run.objects.filter(pk=busy.pk).update(worker="host:1:1")
    assert executor.execute_next(prompt=True) == run


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["a date that is none", "a table that is away"])
def test_nothing_that_is_wrong_with_a_question_keeps_a_restore_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    monkeypatch.setattr("django_q.conf.Conf.CLUSTER_NAME", "restores")
    monkeypatch.setitem(executor.ACTIONS, Action.RESTORE, lambda *_: Outcome())
    monkeypatch.setattr("backups.requests.read", lambda run: SimpleNamespace(form=run.action))
    run = waiting(Action.RESTORE, database("a", "one"))
    asker = User.objects.create_user("anna")
    row = Question.objects.create(kind="secret", asked_by=asker)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backups_question SET asked_at = '9999-99-99 00:00:00'")
        if fault == "a table that is away":
            cursor.execute("ALTER TABLE backups_question RENAME TO nowhere")
    try:
        tasks.run_execute(row.pk)
    finally:
        if fault == "a table that is away":
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE nowhere RENAME TO backups_question")

    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED, run.error
    said = "cannot be read" if fault == "a date that is none" else "what pages ask could not be answered"
    assert caplog.text.count(said) == 1
