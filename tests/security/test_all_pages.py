"""Every address that the portal answers at is opened once, by who may open it: what holds for them all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.http.response import HttpResponseBase
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule

from tests.admin.conftest import Login
from tests.security.test_queue import INSERT, pickled
from tests.security.test_requests import lacks, scripts_within
from tests.security.test_roles import SUPERUSER, Rows, ask, rules, session_of, url_of, writes

# A page that shows what the worker finds has to ask it, which changes nothing but the question itself, and of
# which a person has 20 at most; then the worker is woken.
ONLY_ASKS = re.compile(r'(DELETE FROM|INSERT INTO|UPDATE) "backups_question" |INSERT INTO "django_q_ormq" ')
# Where it says on the next page why it does nothing, which waits in the session until then.
TELLS_NEXT = {
    "admin/backups/server/<path:object_id>/delete/": re.compile('UPDATE "django_session" '),
    # Who looked is noted.
    "admin/backups/database/<int:pk>/transactions/": re.compile('INSERT INTO "django_admin_log" '),
}
UNSIGNED = "8" * 32


@dataclass(frozen=True)
class Opened:
    """What came of opening an address."""

    route: str
    response: HttpResponseBase
    written: Sequence[str]
    # Whether what lies unsigned in the queue's tables had been unpickled by then.
    unpickled: bool


@pytest.fixture
def mark(tmp_path: Path, rows: Rows) -> Path:
    """What is there once somebody unpickles what nobody signed: it lies where django-q2 keeps its tasks."""
    mark = tmp_path / "mark"
    value = pickled(mark)
    with connection.cursor() as cursor:
        for task, success in ((UNSIGNED, True), ("9" * 32, False)):
            cursor.execute(INSERT, [task, "t", value, value, value, success])
    Schedule.objects.update(task=UNSIGNED)
    return mark


@pytest.fixture(scope="module")
def known() -> list[Opened]:
    """Empty until somebody opens them."""
    return []


@pytest.fixture
def opened(
    known: list[Opened], rows: Rows, login: Login, guarded: tuple[str, ...], mark: Path
) -> list[Opened]:
    """Each address, opened once for all tests that look at what comes."""
    if not known:
        session = session_of(login, SUPERUSER)
        for route in rules():
            with transaction.atomic(), CaptureQueriesContext(connection) as captured:
                response = ask(session, "GET", url_of(route, rows), confirmed=False)
                transaction.set_rollback(True)
            known.append(Opened(route, response, writes(captured), mark.exists()))
    return known


def test_no_address_changes_anything_by_being_opened(opened: list[Opened]) -> None:
    told = []
    for each in opened:
        but = (ONLY_ASKS, TELLS_NEXT.get(each.route, ONLY_ASKS))
        if written := [sql for sql in each.written if not any(one.match(sql) for one in but)]:
            told.append(f"{each.route}: {written}")
    assert told == []


def test_every_page_forbids_frames_foreign_content_and_caches(opened: list[Opened]) -> None:
    told = []
    for each in opened:
        route, response, headers = each.route, each.response, each.response.headers
        good = (
            headers["X-Frame-Options"] == "DENY"
            and headers["X-Content-Type-Options"] == "nosniff"
            and headers["Referrer-Policy"] == "same-origin"
            and not lacks(response)
            and not scripts_within(response)
        )
        is_page = response.status_code == 200 and route.startswith("admin/")
        # These two hold nothing, and Django lets them be kept.
        is_page = is_page and not route.startswith(("admin/jsi18n", "admin/password_change"))
        stored = is_page and "no-store" not in headers.get("Cache-Control", "")
        if not good or stored:
            told.append(route)
    assert told == []


def test_no_page_shows_a_secret(opened: list[Opened], guarded: tuple[str, ...]) -> None:
    told = []
    for each in opened:
        text = each.response.content.decode()  # type: ignore[attr-defined]
        told += [f"{each.route} shows {secret}" for secret in guarded if secret in text]
    assert told == []


def test_no_page_opens_what_nobody_signed(opened: list[Opened], login: Login, mark: Path) -> None:
    assert [each.route for each in opened if each.unpickled] == []
    assert sum(each.response.status_code == 200 for each in opened) > 30
    client = login("superuser")
    for kind in ("success", "failure", "ormq", "task"):
        for rest in ("", "add/", f"{UNSIGNED}/change/"):
            assert client.get(f"/admin/django_q/{kind}/{rest}").status_code == 404
    assert not mark.exists()
    # It would have been: this is how django-q2's own page reads it.
    from django_q.models import Task

    assert Task.objects.get(pk=UNSIGNED)
    assert mark.exists()
