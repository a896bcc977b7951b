"""Whose turn it is among the runs that wait in the queue."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django_q.models import OrmQ
from pytest_django.fixtures import Settings

from backups import process, tasks
from backups.choices import Action, Status, Trigger
from backups.models import Database, Question, Repository, Run
from backups.runs import lifecycle, queue
from backups.runs.asked import Asker, Wanted
from backups.runs.outcome import Outcome
from backups.worker import executor
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
def test_a_lost_message_of_a_restore_is_sent_again_however_many_backups_run(settings: Settings) -> None:
    settings.RUNS_AT_ONCE = 1
    busy = running(Action.BACKUP, database("a", "one"))
    backup, restore = (
        waiting(action, database(action, action)) for action in (Action.BACKUP, Action.RESTORE)
    )
    OrmQ.objects.all().delete()

    assert queue.runs_resend(restore.queued_at + queue.QUEUE_LOST * 2) == 1
    assert [each.key for each in OrmQ.objects.all()] == [settings.RESTORES_CLUSTER]
    assert {busy.status, backup.status} == {Status.RUNNING, Status.QUEUED}


@pytest.mark.django_db(transaction=True)
def test_a_process_of_the_restores_cluster_stays_free_for_what_pages_ask(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RUNS_AT_ONCE = 1
    monkeypatch.setitem(executor.ACTIONS, Action.RESTORE, lambda *_: Outcome())
    monkeypatch.setattr("backups.requests.read", lambda _: None)
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
    monkeypatch.setattr("backups.requests.read", lambda _: None)
    run = waiting(Action.RESTORE, database("a", "one"))
    asker = User.objects.create_user("anna")
    row = Question.objects.create(kind="secret", asked_by=asker)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backups_question SET asked_at = '9999-99-99 00:00:00'")
    if fault == "a table that is away":
        monkeypatch.setattr(Question._meta, "db_table", "nowhere")

    tasks.run_execute(row.pk)

    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED, run.error
    said = "cannot be read" if fault == "a date that is none" else "what pages ask could not be answered"
    assert caplog.text.count(said) == 1
