"""What pages ask the worker: they wait for it, show its answer to whoever asked, and tell that none comes."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backups.actions import answers
from backups.choices import RestoreMode
from backups.models import Question, Restore, Run, Snapshot, WorkerPulse
from backups.requests import RestoreRequest, questions
from backups.requests.questions import KeptSizeQuestion, PreviewQuestion, SecretQuestion
from backups.worker import answering
from tests.admin.conftest import Login
from tests.admin.test_restoring import (
    LOOK,
    START,
    backed_up,
    kept,
    mariadb_shop,
    shown_on,
    told,
    url_of,
    wish,
)
from tests.restoring.conftest import back_up, empty_repository, make_database, repository
from tests.rows import change_server
from tools.history import History

__all__ = [
    "back_up", "backed_up", "empty_repository", "kept", "make_database", "mariadb_shop", "repository",
]  # fmt: skip

WAITS = "The worker looks at the server."
SILENT = "The worker does not answer. Nothing was touched."


@pytest.fixture
def snapshot(backed_up: Snapshot) -> Snapshot:
    """A backup of a real database, and workers that were seen."""
    for cluster in ("vedetta", "restores"):
        WorkerPulse.objects.create(cluster=cluster, seen_at=timezone.now())
    return backed_up


def news(client: Client, row: Question, which: str = "preview") -> dict[str, Any]:
    """What a page that waits is told."""
    response = client.get(reverse(f"question-{which}", args=[row.pk]))
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def answer_of(row: Question) -> dict[str, Any]:
    """What the worker answered."""
    row.refresh_from_db()
    assert row.answer is not None
    found: dict[str, Any] = row.answer
    return found


def asked_long_ago(row: Question, ago: timedelta) -> None:
    """Let time pass for who waits."""
    Question.objects.filter(pk=row.pk).update(asked_at=timezone.now() - ago)


def test_a_preview_waits_for_the_worker_and_then_comes_by_itself(
    nobody_answers: None, snapshot: Snapshot, login: Login
) -> None:
    client, runs = login("Restorer"), Run.objects.count()

    page = client.post(url_of(snapshot), wish(RestoreMode.REPLACE) | LOOK)
    row = Question.objects.get()

    assert WAITS in told(page)
    assert f'data-live="{reverse("question-preview", args=[row.pk])}"' in page.content.decode()
    assert "Restore now" not in told(page)
    waits = news(client, row)
    assert (waits["over"], WAITS in waits["html"]) == (False, True)
    answering.answer_next()
    comes = news(client, row)
    assert comes["over"]
    assert "Restore now" in comes["html"]
    assert f"Type {snapshot.database} to go on" in comes["html"]
    assert Run.objects.count() == runs, "a question is no run"


def test_what_came_by_itself_is_what_is_started(
    nobody_answers: None, snapshot: Snapshot, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert snapshot.database
    client = login("Restorer")
    filled = wish(RestoreMode.REPLACE, confirm=snapshot.database.database, tables=["journal"])
    client.post(url_of(snapshot), filled | LOOK)
    answering.answer_next()
    shown = shown_on(news(client, Question.objects.get())["html"].encode())
    monkeypatch.setattr("backups.runs.queue.wake_for_question", lambda _: answering.answer_next())

    other = client.post(url_of(snapshot), filled | {"tables": []} | shown | START)
    assert "this is not what was shown before" in told(other)
    started = client.post(url_of(snapshot), filled | shown | START)
    assert started.status_code == 302, told(started)
    assert Restore.objects.get().tables == ["journal"]


def test_without_javascript_one_looks_by_a_button(
    nobody_answers: None, snapshot: Snapshot, login: Login
) -> None:
    client, filled = login("Restorer"), wish(RestoreMode.NEW)
    page = client.post(url_of(snapshot), filled | LOOK).content.decode()
    assert re.search(r'<noscript>.*name="look" value="again"', page)
    again = filled | {"look": "again", "asked": str(Question.objects.get().pk)}

    assert WAITS in told(client.post(url_of(snapshot), again))
    answering.answer_next()
    assert "Restore now" in told(client.post(url_of(snapshot), again))
    assert Question.objects.count() == 1
    # Of other choices it tells nothing.
    assert WAITS in told(client.post(url_of(snapshot), again | {"target": "another"}))
    assert Question.objects.count() == 2


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_worker_that_does_not_answer_is_told_of(
    nobody_answers: None, past: History, login: Login, is_taken: bool
) -> None:
    """As one of an earlier version does not, and one that was stopped in the middle."""
    client, snapshot = login("Restorer"), Snapshot.objects.filter(forgotten_at=None)[0]
    client.post(url_of(snapshot), wish(RestoreMode.NEW) | LOOK)
    row = Question.objects.get()
    if is_taken:
        assert questions.take() == row

    asked_long_ago(row, timedelta(seconds=9))
    assert SILENT not in news(client, row)["html"]
    asked_long_ago(row, timedelta(seconds=55))
    found = news(client, row)
    assert (SILENT in found["html"], found["over"]) == (True, False)
    assert "of the same version as the portal" in found["html"]
    asked_long_ago(row, timedelta(seconds=61))
    assert news(client, row)["over"]


def test_a_worker_that_was_not_seen_for_long_is_told_of_at_once(
    nobody_answers: None, past: History, login: Login
) -> None:
    WorkerPulse.objects.update(seen_at=timezone.now() - timedelta(minutes=9))
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    page = told(login("Restorer").post(url_of(snapshot), wish(RestoreMode.NEW) | LOOK))
    assert f"{SILENT} The worker was last seen 9 minutes ago." in page


def test_nothing_starts_while_nobody_can_look(
    nobody_answers: None, past: History, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.admin.restoring._START_SECONDS", 0.2)
    snapshot, restores = Snapshot.objects.filter(forgotten_at=None)[0], Restore.objects.count()
    page = told(login("Restorer").post(url_of(snapshot), wish(RestoreMode.NEW, shown="0" * 64) | START))
    assert "Nothing was started: what it would do now could not be looked at." in page
    assert Restore.objects.count() == restores


def test_what_is_only_downloaded_needs_no_worker(nobody_answers: None, past: History, login: Login) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    page = told(login("Restorer").post(url_of(snapshot), wish(RestoreMode.FILE) | LOOK))
    assert "a file on this computer" in page
    assert not Question.objects.exists()


# ---------------------------------------------------------------- Whose it is


def test_an_answer_is_for_whoever_asked_while_they_may_ask(
    past: History, login: Login, person: Callable[[str], User]
) -> None:
    asker, other = login("Restorer"), login("superuser")
    row = questions.ask(KeptSizeQuestion(Restore.objects.all()[0]), User.objects.get(username="restorer"))
    pages = [reverse(name, args=[row.pk]) for name in ("question", "question-live")]

    assert [asker.get(page).status_code for page in pages] == [200, 200]
    assert [other.get(page).status_code for page in pages] == [404, 404]
    assert asker.get(reverse("question-preview", args=[row.pk])).status_code == 404, "another kind"
    User.objects.get(username="restorer").groups.set([Group.objects.get(name="Operator")])
    # Other rights end the session as well.
    assert questions.asked_by(User.objects.get(username="restorer"), row.pk) is None


def test_who_may_not_ask_any_more_gets_no_answer(
    nobody_answers: None, past: History, person: Callable[[str], User]
) -> None:
    anna = person("Restorer")
    row = questions.ask(KeptSizeQuestion(Restore.objects.all()[0]), anna)
    anna.groups.clear()

    assert answering.answer_next() == row
    answer = answer_of(row)
    assert answer.pop("parts")
    assert answer == {
        "problem": "The person who asked this may not ask it any more. Nothing was touched.",
        "code": "question.asker_may_not",
    }


@pytest.mark.parametrize("right", ["add_server", "change_server"])
def test_who_fills_in_a_server_may_ask_for_its_secret(
    person: Callable[[str], User], monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    """Who may do nothing else."""
    monkeypatch.setenv("MYSQL_PASSWORD", "x")
    anna = person("nobody")
    anna.is_staff = True
    anna.save()
    anna.user_permissions.add(Permission.objects.get(codename=right))
    client = Client()
    client.force_login(anna, backend="django.contrib.auth.backends.ModelBackend")

    hint = client.get(reverse("admin:backups_database_hint_secret"), {"password_ref": "env:MYSQL_PASSWORD"})
    assert "Found." in told(hint)
    row = Question.objects.get()
    assert "Found." in told(client.get(reverse("question", args=[row.pk])))


# ---------------------------------------------------------------- Parts of pages


def test_the_space_that_a_drop_frees_comes_into_the_dialog(
    nobody_answers: None, past: History, login: Login
) -> None:
    restore = Restore.objects.get(mode=RestoreMode.REPLACE)
    client, url = login("Restorer"), reverse("admin:backups_restore_drop_kept", args=[restore.pk])
    dialog = client.get(url).content.decode()
    row = Question.objects.get()
    assert f'hx-get="{reverse("question", args=[row.pk])}"' in dialog
    client.get(url)
    assert Question.objects.count() == 1, "it was asked just now"

    questions.answer(row, {"bytes": 5 << 20})
    part = client.get(reverse("question", args=[row.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "5.0 MiB" in part or "5.2 MB" in part
    assert "hx-get" not in part


def test_a_test_message_has_a_page_that_waits_for_it(
    nobody_answers: None, past: History, login: Login
) -> None:
    client = login("Operator")
    sent = client.post("/admin/backups/alert/send_test/", {"_form_submitted": "on"}, follow=True)
    assert "This page shows the answer as soon as it is there." in told(sent)
    assert '<meta http-equiv="refresh"' in sent.content.decode()
    row = Question.objects.get()

    questions.answer(row, {"sentence": "A test message was sent to 1 address."})
    found = news(client, row, "live")
    assert found["over"]
    assert "A test message was sent to 1 address." in found["html"]
    assert '<meta http-equiv="refresh"' not in client.get(reverse("question", args=[row.pk])).content.decode()


# ---------------------------------------------------------------- The worker's side


@pytest.fixture
def anna(person: Callable[[str], User]) -> User:
    """Who may ask everything."""
    return person("superuser")


def test_a_server_that_says_nothing_ends_a_look_in_time(
    past: History, anna: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(answers, "ANSWER_SECONDS", 1.0)
    monkeypatch.setenv("SHOP_PASSWORD", "x")
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = snapshot.database
        assert database is not None
        change_server(
            database, host="127.0.0.1", port=silent.getsockname()[1], password_ref="env:SHOP_PASSWORD"
        )
        wanted = RestoreRequest(database, snapshot, RestoreMode.NEW, "shop_restored")
        began = time.monotonic()
        row = questions.ask(PreviewQuestion(wanted), anna)
        assert time.monotonic() - began < 5
    answer = answer_of(row)
    assert answer["code"] == "question.too_slow"
    assert "did not answer within 1 s. Nothing was touched. See what it is busy with" in answer["problem"]


@pytest.mark.parametrize("reference", ["env:HOME", "file:/etc/hostname", "env:SECRET_KEY", "HOME"])
def test_a_row_that_asks_for_what_may_not_be_referred_to_learns_nothing(
    nobody_answers: None, anna: User, reference: str
) -> None:
    """Who can write in the portal's database could ask the worker for anything."""
    row = questions.ask(SecretQuestion(reference), anna)
    answering.answer_next()
    answer = answer_of(row)
    assert answer["code"] == "secret.not_declared"
    assert not re.search(r"found|not set|not there|empty", answer["problem"], re.I)


@pytest.mark.parametrize(
    ("kind", "asked", "code"),
    [
        ("of the next version", {}, "question.unknown"),
        ("kept_size", {}, "question.unknown"),
        ("kept_size", {"restore": "x"}, "question.unknown"),
        ("kept_size", {"restore": 987654}, "question.gone"),
        ("preview", {"version": 99}, "question.unknown"),
    ],
)
def test_what_cannot_be_read_is_answered_in_a_sentence(
    db: None, anna: User, kind: str, asked: dict[str, Any], code: str
) -> None:
    row = Question.objects.create(kind=kind, asked=asked, asked_by=anna)
    assert answering.answer_next() == row
    assert answer_of(row)["code"] == code


@pytest.mark.parametrize("kind", ["secret", "kept_size", "test_message"])
@pytest.mark.parametrize(
    "answer",
    [
        [],
        5,
        "x",
        {},
        {"problem": ["x"]},
        {"told": {}},
        {"told": {"bytes": "abc"}},
        {"told": {"bytes": [1]}},
        {"told": {"bytes": 10**400}},
    ],
    ids=lambda answer: str(answer)[:30],
)
def test_an_answer_that_cannot_be_read_is_told_in_a_sentence(
    nobody_answers: None, login: Login, kind: str, answer: Any
) -> None:
    client = login("superuser")
    asker = User.objects.get(username="superuser")
    row = Question.objects.create(kind=kind, asked_by=asker, answer=answer, taken_at=timezone.now())
    sentence = "This version of the portal does not know the worker's answer."

    assert sentence in told(client.get(reverse("question", args=[row.pk])))
    found = news(client, row, "live")
    assert (found["over"], "ask again." in found["html"]) == (True, True)


@pytest.mark.parametrize("date", ["9999-99-99 00:00:00", "2026-13-45 00:00:00", "yesterday"])
def test_a_row_that_cannot_be_read_goes_and_the_next_one_is_answered(
    nobody_answers: None, anna: User, caplog: pytest.LogCaptureFixture, date: str
) -> None:
    """Who can write in the portal's database can give SQLite a date that is none."""
    row = questions.ask(SecretQuestion("env:MYSQL_0"), anna)
    for _ in range(2):
        forge_date(questions.ask(SecretQuestion("env:MYSQL_1"), anna), date)

    assert answering.answer_next() == row
    assert answer_of(row)
    assert list(Question.objects.all()) == [row]
    assert caplog.text.count("cannot be read (") == 2


def test_a_row_that_cannot_be_read_keeps_its_person_from_nothing(nobody_answers: None, anna: User) -> None:
    question = SecretQuestion("env:MYSQL_0")
    forged = questions.ask(question, anna)
    forge_date(forged, "9999-99-99 00:00:00")
    assert questions.asked_by(anna, forged.pk) is None

    forge_date(questions.ask(question, anna), "9999-99-99 00:00:00")
    row = questions.ask_unless_just_asked(question, anna)
    assert list(Question.objects.all()) == [row]


def forge_date(row: Question, date: str) -> None:
    """Write past Django, which would refuse it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backups_question SET asked_at = %s WHERE id = %s", [date, row.pk])


def test_the_newest_question_is_answered_first_and_old_ones_go(nobody_answers: None, anna: User) -> None:
    rows = [questions.ask(SecretQuestion(f"env:MYSQL_{number}"), anna) for number in range(3)]
    assert [answering.answer_next(), answering.answer_next()] == [rows[2], rows[1]]

    asked_long_ago(rows[0], timedelta(seconds=61))
    asked_long_ago(rows[1], timedelta(hours=25))
    rows.append(questions.ask(SecretQuestion("env:MYSQL_3"), anna))
    questions.forget_old()
    assert set(Question.objects.all()) == {rows[2], rows[3]}


def test_people_take_turns(nobody_answers: None, anna: User, person: Callable[[str], User]) -> None:
    """Otherwise nobody else's question comes up while one person asks on and on."""
    other = person("Administrator")
    first, second = (questions.ask(SecretQuestion(f"env:MYSQL_{number}"), other) for number in range(2))
    answered = []
    for number in range(4):
        questions.ask(SecretQuestion(f"env:MYSQL_{number}"), anna)
        answered.append(answering.answer_next())

    assert [row.asked_by for row in answered if row] == [anna, other, anna, other]
    assert [answered[1], answered[3]] == [second, first]


def test_of_one_person_and_kind_one_question_is_answered_at_a_time(
    nobody_answers: None, past: History, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that says nothing keeps one process busy, however often somebody asks about it."""
    rows = [questions.ask(SecretQuestion(f"env:MYSQL_{number}"), anna) for number in range(3)]
    size = questions.ask(KeptSizeQuestion(Restore.objects.all()[0]), anna)
    assert [questions.take(), questions.take(), questions.take()] == [size, rows[2], None]
    # It is not the worker that is away.
    asked_long_ago(rows[0], timedelta(seconds=20))
    rows[0].refresh_from_db()
    assert not questions.is_unheard(rows[0])

    # Whose message came meanwhile is told of again.
    woken: list[int] = []
    monkeypatch.setattr("backups.runs.queue.wake_for_question", woken.append)
    questions.wake_for_next_like(rows[2])
    assert woken == []
    questions.answer(rows[2], {"is_found": True})
    assert questions.is_unheard(rows[0])
    assert answering.answer_next() == rows[1]
    assert woken == [rows[0].pk]


def test_whoever_took_a_question_and_died_holds_up_its_person_for_a_minute_at_most(
    nobody_answers: None, anna: User
) -> None:
    taken, row = (questions.ask(SecretQuestion("env:MYSQL_PASSWORD"), anna) for _ in range(2))
    Question.objects.filter(pk=taken.pk).update(taken_at=timezone.now() - timedelta(seconds=45))
    assert questions.take() is None
    # A clock that was ahead counts as little.
    for away in (-timedelta(seconds=55), timedelta(hours=1)):
        Question.objects.filter(pk=taken.pk).update(taken_at=timezone.now() + away)
        assert questions.take() == row
        Question.objects.filter(pk=row.pk).update(taken_at=None)


def test_nobody_fills_the_queue_with_questions(nobody_answers: None, anna: User) -> None:
    for number in range(30):
        questions.ask(SecretQuestion(f"env:MYSQL_{number}"), anna)
    assert Question.objects.count() == 20
    assert Question.objects.first().asked["reference"] == "env:MYSQL_29"  # type: ignore[union-attr]
