"""Cookies beside an application's, or another portal's, under one host name."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory
from django.urls import set_script_prefix

from portal.cookies import cookie_name

HERE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/portal.sqlite3"}
PASSWORD = "a password of the tests 1"


@pytest.mark.parametrize(
    ("secret_key", "database"),
    [
        ("of another portal", HERE),
        ("of this portal", HERE | {"NAME": "/data/other.sqlite3"}),
        ("of this portal", {"ENGINE": "django.db.backends.mysql", "HOST": "db", "NAME": "portal"}),
    ],
)
def test_each_portal_has_a_name_of_its_own(secret_key: str, database: dict[str, str]) -> None:
    name = cookie_name("session", "of this portal", HERE)
    assert name == cookie_name("session", "of this portal", HERE | {"PASSWORD": "changed"})
    assert name != cookie_name("session", secret_key, database)
    assert name != cookie_name("csrf", "of this portal", HERE)
    assert "portal" not in name


@pytest.mark.parametrize("under", ["", "/vedetta"])
def test_cookies_go_to_the_portals_pages_and_nowhere_else(db: None, under: str) -> None:
    # The handler itself, because the test client does not take the path from SCRIPT_NAME.
    sent: list[tuple[str, str]] = []
    request = RequestFactory().get("/admin/login/")
    environ = request.environ | {"SCRIPT_NAME": under}
    try:
        WSGIHandler()(environ, lambda status, headers: sent.extend(headers))  # type: ignore[arg-type]
    finally:
        set_script_prefix("/")
    cookies = SimpleCookie("; ".join(value for name, value in sent if name == "Set-Cookie"))
    assert cookies[settings.CSRF_COOKIE_NAME]["path"] == f"{under}/admin/"


def test_another_applications_cookies_neither_open_nor_end_anything(db: None) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    client = Client()
    for name in ("sessionid", "csrftoken", "messages"):
        client.cookies[name] = "of the application"
    login = {"username": "root", "password": PASSWORD}
    assert client.post("/admin/login/", login).status_code == 302
    assert client.cookies[settings.SESSION_COOKIE_NAME]["path"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    client.post("/admin/logout/")
    assert client.get("/admin/").status_code == 302
    assert {client.cookies[name].value for name in ("sessionid", "csrftoken", "messages")} == {
        "of the application"
    }
    ended = client.cookies[settings.SESSION_COOKIE_NAME]
    assert (ended.value, ended["path"]) == ("", "/admin/")
