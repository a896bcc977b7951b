"""Who asks for what the portal does not do is told so in a sentence, with one button that leads on."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from portal import monitoring, refusals
from tests.admin.conftest import PASSWORD, Login, login, past, person, quick_passwords, roles, status_folder
from tools.history import History

__all__ = ["login", "past", "person", "quick_passwords", "roles", "status_folder"]

BUTTON = re.compile(r'<a class="button" href="([^"]*)">([^<]+)</a>')
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def read(response: object) -> tuple[str, list[tuple[str, str]]]:
    """A page's text, and its buttons: in the portal's look, on a phone too, without a script or file."""
    page = response.content.decode()  # type: ignore[attr-defined]
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert not re.search(r'<script|<link(?! rel="icon" href="data:,")|src=', page)
    return page, BUTTON.findall(page)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("run", "Runs"), ("snapshot", "Snapshots"), ("database", "Databases"), ("alert", "Alerts")],
)
@pytest.mark.parametrize("number", ["999999", "abc"])
def test_a_wrong_number_is_a_page_with_the_way_to_the_list(
    past: History, login: Login, kind: str, name: str, number: str
) -> None:
    answer = login("Viewer").get(f"/admin/backups/{kind}/{number}/change/")
    assert answer.status_code == 404
    page, buttons = read(answer)
    assert "There is no such page" in page
    assert buttons == [(reverse(f"admin:backups_{kind}_changelist"), f"Back to the list: {name}")]


def test_of_people_and_of_pages_within_a_row_it_is_the_same(past: History, login: Login) -> None:
    client = login("superuser")
    for page in ("change", "history", "delete"):
        answer = client.get(path := f"/admin/auth/user/999/{page}/")
        assert (answer.status_code, read(answer)[1][0][0]) == (404, "/admin/auth/user/"), path
    assert read(client.get("/admin/backups/snapshot/999/restore/"))[1][0][0] == "/admin/backups/snapshot/"


@pytest.mark.parametrize("path", ["/no/such/page", "/admin/no/such/page/", "/admin/no/such/1/change/"])
def test_a_wrong_address_leads_to_the_dashboard(past: History, login: Login, path: str) -> None:
    answer = login("Viewer").get(path)
    assert answer.status_code == 404
    assert read(answer)[1] == [("/admin/", "Back to the dashboard")]


def test_what_ones_role_may_not_do_says_who_can_change_that(past: History, login: Login) -> None:
    answer = login("Viewer").get(f"/admin/backups/database/{past.databases[0].pk}/back_up/")
    assert answer.status_code == 403
    page, buttons = read(answer)
    assert "An administrator can give you another role" in page
    assert buttons == [("/admin/", "Back to the dashboard")]


def test_under_a_wrong_name_the_portal_says_which_and_what_to_set(db: None) -> None:
    answer = Client(headers={"Host": "vedetta.<b>example.com"}).get("/admin/login/")
    assert answer.status_code == 400
    page, buttons = read(answer)
    assert "<code>vedetta.&lt;b&gt;example.com</code>" in page
    assert "ALLOWED_HOSTS" in page
    assert buttons == [("", "Try again")]


def test_what_cannot_be_read_was_not_done() -> None:
    answer = refusals.bad_request(RequestFactory().get("/admin/"), SuspiciousOperation("secret"))
    page, buttons = read(answer)
    assert (answer.status_code, "secret" in page) == (400, False)
    assert "Nothing was done." in page
    assert len(buttons) == 1


def test_a_fault_of_our_own_says_what_goes_on(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "database_problem", lambda **_: None)
    answer = monitoring.server_error(RequestFactory().get("/admin/"))
    page, buttons = read(answer)
    assert (answer.status_code, len(buttons)) == (500, 1)
    assert "Backups and the gate go on." in page


def test_a_page_of_before_signs_nobody_up(db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/?next=/admin/gate/", {"username": "a"})
    assert answer.status_code == 403
    assert read(answer)[1] == [("/admin/login/?next=/admin/gate/#typed", "Load it again")]


def test_a_lock_tells_its_minutes_and_further_tries_do_not_lengthen_it(login: Login) -> None:
    login("Viewer")

    def typed(password: str) -> tuple[int, str]:
        answer = Client().post("/admin/login/", {"username": "viewer", "password": password})
        return answer.status_code, answer.content.decode()

    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(settings.AXES_FAILURE_LIMIT):
            status, page = typed("wrong")
        assert (status, "locked for another 15 minutes" in page) == (429, True)
        assert 'href="/admin/login/">Back to the sign-in page' in page
        clock.shift(9 * 60 + 30)
        for password in ("wrong", PASSWORD):
            status, page = typed(password)
            assert (status, "locked for another 6 minutes" in page) == (429, True)
        clock.shift(5 * 60 + 20)
        assert "locked for another minute" in typed("wrong")[1]
        clock.shift(11)
        assert typed(PASSWORD)[0] == 302


# ---------------------------------------------------------------- Of the portal's own pages


def test_every_page_is_read_without_scripts_and_passed_over_by_keys(past: History, login: Login) -> None:
    client = login("Viewer")
    for path in ("/admin/", "/admin/backups/run/", "/admin/gate/", "/admin/password_change/"):
        page = client.get(path).content.decode()
        assert page.count("<main ") == page.count("</main>") == 1, path
        assert page.index('class="v-skip" href="#main-content"') < page.index('id="main-content"'), path
        without = "".join(re.findall(r"<noscript>(.*?)</noscript>", page, re.DOTALL))
        assert "html[x-cloak] { display: block !important; }" in without
        assert "Scripts are off in this browser." in without
        assert 'id="nav-sidebar"' in page


def test_the_sign_in_page_says_why_one_is_there_again(db: None) -> None:
    said = "you come to the page that you asked for"
    assert said in Client().get("/admin/login/?next=/admin/backups/run/").content.decode()
    assert said not in Client().get("/admin/login/?next=/admin/").content.decode()


def test_every_page_says_of_which_zone_its_times_are(past: History, login: Login, settings: Settings) -> None:
    settings.TIME_ZONE = "America/St_Johns"
    with time_machine.travel(NOON, tick=False):
        page = login("Viewer").get("/admin/gate/").content.decode()
    assert "Times are of America/St_Johns (UTC-03:30)" in page
    assert 'data-zone="America/St_Johns"' in page
