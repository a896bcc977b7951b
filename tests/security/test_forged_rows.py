"""Texts and JSON that no page and no worker of ours wrote, by whoever can write in the portal's database.

Each page still opens, and the worker still plays and answers what everybody else asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from backups.choices import Action, RestoreMode
from backups.downloads import tickets
from backups.errors import Problem
from backups.models import DownloadTicket, Question, Run, Snapshot
from backups.requests import Request, questions, read
from backups.requests.questions import SecretQuestion
from backups.restoring.plan import heard
from backups.runs.asked import form_of
from backups.scheduling import schedules
from backups.worker import answering
from tests.admin.conftest import Login, login, nobody_answers, past, person, roles, worker_answers
from tests.admin.test_restoring import url_of, wish
from tools.history import History

__all__ = ["login", "nobody_answers", "past", "person", "roles", "worker_answers"]

# A number that Python does not read, and one that no database has room for.
NO_NUMBERS = ["9" * 5000, "9" * 30, "-1", "²", "x"]


@pytest.fixture
def anna(person: Callable[[str], User]) -> User:
    """Who may ask everything."""
    return person("superuser")


# ---------------------------------------------------------------- Numbers in texts


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda number: number[:10])
def test_a_number_that_is_none_is_no_rows(
    nobody_answers: None, past: History, login: Login, number: str
) -> None:
    client, run = login("superuser"), Run.objects.latest("pk")
    asker = User.objects.get(username="superuser")
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    filled = wish(RestoreMode.NEW, asked=number, look="again")

    assert questions.asked_by(asker, number) is None
    looked = client.post(url_of(snapshot), filled)
    live = client.get(reverse("admin:backups_run_live", args=[run.pk]), {"after": number})

    assert (looked.status_code, live.status_code) == (200, 200)
    assert Question.objects.count() == 1, "it was asked anew"
    assert "which is gone" in schedules.in_words(schedules.name_of("backup", 0).replace("0", number))
    sent = client.generic("POST", "/admin/login/", b"x", CONTENT_LENGTH=number)
    assert sent.status_code == 413


# ---------------------------------------------------------------- JSON of rows


STRANGE: list[Any] = [5, "x", [5], {"dump_bytes": "x", "data_added": [1], "restic": 5, "phases": {}}]
STRANGE += [{"dump_bytes": 10**400, "data_added": None}]
STRANGE += [[{"name": "dump", "at": at} for at in (None, "x", "2026-01-01T00:00:00")]]
# No object, one with values of other kinds, one with too large a number, and a list of them.
IN_SHORT = [STRANGE[0], *STRANGE[3:]]


@pytest.mark.larger
@pytest.mark.parametrize(
    "column",
    [
        "result",
        "phases",
        *(pytest.param(e, marks=pytest.mark.soak) for e in ("options", "request", "error_params")),
    ],
)
def test_pages_open_whatever_a_runs_row_holds(past: History, login: Login, column: str) -> None:
    client, newest = login("superuser"), Run.objects.filter(action=Action.BACKUP).latest("pk")
    pages = [
        reverse("admin:backups_run_change", args=[newest.pk]),
        reverse("admin:backups_run_live", args=[newest.pk]),
        reverse("admin:backups_run_changelist"),
        reverse("admin:index"),
    ]
    for value in STRANGE if "VEDETTA_SOAK" in os.environ else IN_SHORT:
        assert Run.objects.filter(action=Action.BACKUP).update(**{column: value})
        assert [client.get(page).status_code for page in pages] == [200] * len(pages), value


@pytest.mark.parametrize("value", [5, "x", [], None])
def test_the_worker_goes_on_beside_a_run_whose_options_are_none(value: Any) -> None:
    assert form_of(Run(action=Action.PREFLIGHT, options=value)) == Action.PREFLIGHT


def test_a_request_of_no_version_is_read_or_refused_in_a_sentence(past: History) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    about = {"database": snapshot.database, "repository": snapshot.repository, "snapshot": snapshot}
    values: list[Any] = [5, "x", [], {"url": 5}, {"form": 5}, {"form": "restore", "version": 1}]
    for value in values:
        for action in (Action.RESTORE, Action.UNDO, Action.DROP_KEPT, Action.FORGET, Action.CHECK):
            with suppress(Problem):
                assert isinstance(read(Run(action=action, options=value, request=value, **about)), Request)


LISTS: dict[str, Any] = {
    name: [] for name in ("replaced", "vanishing", "new", "staying", "warnings", "obstacles")
}


@pytest.mark.parametrize("seconds", ["5", [5], {}, True, -1, float("inf"), float("nan"), 10**400])
def test_a_plan_is_heard_with_a_duration_or_none(seconds: Any) -> None:
    told = {"seconds": seconds, **LISTS}
    with pytest.raises(Problem, match="does not know the worker's answer"):
        heard(Snapshot(), RestoreMode.NEW, "shop_restored", told)
    for known in (None, 0, 1.5):
        assert heard(Snapshot(), RestoreMode.NEW, "shop_restored", told | {"seconds": known}).seconds == known


def test_an_answer_without_a_plan_is_told_on_its_page(
    nobody_answers: None, past: History, login: Login
) -> None:
    snapshot, client = Snapshot.objects.filter(forgotten_at=None)[0], login("superuser")
    client.post(url_of(snapshot), wish(RestoreMode.NEW, look="look"))
    row = Question.objects.get()
    for seconds in ("5", [5], 10**400, -1):
        Question.objects.update(answer={"told": {"seconds": seconds, **LISTS}})
        found = client.get(reverse("question-preview", args=[row.pk])).json()
        assert "does not know the worker&#x27;s answer" in found["html"]


def test_a_plan_is_heard_with_lists_alone() -> None:
    for name in LISTS:
        for value in ("orders", {"orders": 1}, 5, None):
            told = {"seconds": None, **LISTS, name: value}
            with pytest.raises(Problem, match="does not know the worker's answer"):
                heard(Snapshot(), RestoreMode.NEW, "shop_restored", told)


FORGED = ["1e400", "[" * 995 + "]" * 995, "9" * 5000, '{"restore": 1e400}']


@pytest.mark.parametrize("asked", FORGED, ids=lambda asked: asked[:10])
def test_a_question_that_nobody_asked_so_harms_nobody(
    nobody_answers: None, anna: User, login: Login, asked: str
) -> None:
    row = questions.ask(SecretQuestion("env:MYSQL_0"), anna)
    forged = Question.objects.create(kind="kept_size", asked_by=anna)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backups_question SET asked = %s WHERE id = %s", [asked, forged.pk])
    questions.asked_by(anna, forged.pk)

    for _ in range(2):
        answering.answer_next()
    row.refresh_from_db()
    assert row.answer


# ---------------------------------------------------------------- Dates that are yet to come


@pytest.mark.parametrize("ahead", [timedelta(hours=25), timedelta(days=36500)])
def test_a_question_that_says_it_comes_from_afar_is_forgotten_too(
    nobody_answers: None, anna: User, ahead: timedelta
) -> None:
    row = questions.ask(SecretQuestion("env:MYSQL_0"), anna)
    Question.objects.create(kind="secret", asked_by=anna, asked_at=timezone.now() + ahead)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO backups_question (kind, asked, asked_by_id, asked_at) VALUES ('x', '{}', %s, %s)",
            [anna.pk, "yesterday"],
        )

    questions.forget_old()
    assert list(Question.objects.values_list("pk", flat=True)) == [row.pk]


def test_a_ticket_is_good_for_a_moment_whatever_its_row_says(past: History, anna: User) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    token = tickets.issue(anna, snapshot)
    DownloadTicket.objects.update(until=timezone.now() + timedelta(days=36500))

    with pytest.raises(Problem, match="ticket"):
        tickets.spend(token)
    tickets.issue(anna, snapshot)
    assert DownloadTicket.objects.count() == 1
