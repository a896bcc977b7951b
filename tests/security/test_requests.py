"""What a browser may be made to do: forged and framed pages, redirects, host names, guessed passwords."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.admin.conftest import PASSWORD, Login
from tests.portal.test_deploy import PRODUCTION
from tests.portal.test_settings import start
from tests.security.test_roles import SUPERUSER, Rows, rules, session_of, url_of, writes
from tests.servers import made_once

Person = Callable[[str], User]
WRONG = "not the password, but somebody's all the same"


def sign_in(client: Client, name: str, password: str, **more: str) -> int:
    """Send the sign-in form; answers the status: 302 is in, 200 is the form again."""
    told = {"username": name, "password": password}
    return client.post("/admin/login/", told, headers=more).status_code


def is_in(client: Client) -> bool:
    """Whether this browser may see the first page."""
    return client.get("/admin/").status_code == 200


# ---------------------------------------------------------------- Forged requests


def test_nothing_is_done_without_a_token(rows: dict[str, Model], login: Login) -> None:
    session = session_of(login, SUPERUSER)
    told = []
    for route in rules():
        client = Client(enforce_csrf_checks=True)
        client.cookies[settings.SESSION_COOKIE_NAME] = session
        with CaptureQueriesContext(connection) as captured:
            response = client.post(url_of(route, rows), {"_form_submitted": "on", "post": "yes"})
        if response.status_code not in {403, 405} or writes(captured):
            told.append(f"{route}: {response.status_code}, {writes(captured)}")
    assert told == []


def lacks(response: HttpResponseBase) -> list[str]:
    """What an answer does not say of the two policies."""
    policy = response.headers.get("Content-Security-Policy", "").split("; ")
    taken = response.headers.get("Permissions-Policy", "").split(", ")
    wanted = ["default-src 'self'", "script-src 'self'", "object-src 'none'", "base-uri 'none'",
              "form-action 'self'", "frame-ancestors 'none'"]  # fmt: skip
    devices = [f"{name}=()" for name in ("camera", "microphone", "geolocation", "usb", "serial", "payment")]
    told = [part for part in wanted if part not in policy] + [part for part in devices if part not in taken]
    return told + [part for part in policy if "unsafe-eval" in part or "unsafe-hashes" in part]


class _Scripts(HTMLParser):
    """Scripts that stand in a page's text: elements, handlers, addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what would run, were it not for the policy."""
        held = dict(attrs)
        if tag == "script" and "src" not in held and held.get("type") != "application/json":
            self.found.append("a script without a file")
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f'{name}="{value}"')


def scripts_within(response: HttpResponseBase) -> list[str]:
    """The scripts of a page that would not run."""
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return []
    parser = _Scripts()
    parser.feed(response.content.decode())  # type: ignore[attr-defined]
    return parser.found


def test_what_is_looked_for_would_be_found() -> None:
    bad = HttpResponse(
        "<a onclick='x()' href=' javascript:y()'></a><script>z()</script><script src='s.js'></script>"
    )
    assert len(scripts_within(bad)) == 3
    assert len(lacks(bad)) == 12


def test_every_other_answer_has_both_policies_too(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no page answers: a middleware, or Django itself for what went wrong."""
    client = Client(raise_request_exception=False)

    def answer(path: str, status: int, **how: str) -> None:
        response = client.get(path, headers=how)
        assert (response.status_code, lacks(response)) == (status, []), path

    answer("/static/vedetta/vedetta.js", 200)
    answer("/static/unfold/css/styles.css", 200)
    answer("/static/no/such/file.js", 404)
    answer("/", 302)
    answer("/admin/", 302)
    answer("/sentinel/status", 200)
    answer("/metrics", 404)
    answer("/admin/login/", 400, host="elsewhere.example")
    monkeypatch.setattr("portal.monitoring.room_problem", _broken)
    answer("/healthz", 500)
    settings.SECURE_SSL_REDIRECT = True
    client = Client()
    answer("/admin/login/", 301)
    strict = Client(enforce_csrf_checks=True)
    settings.SECURE_SSL_REDIRECT = False
    assert lacks(strict.post("/admin/login/", {"username": "x"})) == []


def _broken() -> str:
    raise RuntimeError("This is for the page of an error.")


# ---------------------------------------------------------------- Redirects and host names


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "http:evil.example", "///evil.example",
     "javascript:alert(1)", "\thttps://evil.example", "https:/\\evil.example", "/admin/\r\nX-Evil: 1"],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(person: Person, elsewhere: str) -> None:
    person("Viewer")
    for where, data in (("?next=", {}), ("", {"next": elsewhere})):
        client = Client()
        response = client.post(
            "/admin/login/" + (where and where + elsewhere.replace("\r\n", "%0d%0a")),
            {"username": "viewer", "password": PASSWORD, **data},
        )
        location = response.headers["Location"]
        assert response.status_code == 302
        assert re.fullmatch(r"/admin/[^\s]*", location), location
        assert "X-Evil" not in response.headers


@pytest.mark.parametrize("route", ["/", "/admin/login/", "/metrics", "/no/such/page"])
def test_a_strange_host_name_is_refused(db: None, route: str) -> None:
    assert Client().get(route, headers={"Host": "evil.example"}).status_code == 400
    assert (
        Client().get(route, headers={"Host": "localhost", "X-Forwarded-Host": "evil.example"}).status_code
        != 400
    )


def test_a_forwarded_host_name_is_in_no_answer(db: None) -> None:
    response = Client().get("/admin/", headers={"X-Forwarded-Host": "evil.example"}, follow=True)
    assert b"evil.example" not in response.content
    assert all("evil.example" not in url for url, _ in response.redirect_chain)


# ---------------------------------------------------------------- Signing in


def test_passwords_are_not_guessed_one_after_the_other(person: Person) -> None:
    person("Viewer")
    for _ in range(10):
        sign_in(Client(REMOTE_ADDR="192.0.2.7"), "viewer", WRONG)
    locked = Client(REMOTE_ADDR="192.0.2.7")
    assert sign_in(locked, "viewer", PASSWORD) == 429
    assert not is_in(locked)
    # Saying to come from elsewhere does not help: the header is anybody's to send.
    assert sign_in(locked, "viewer", PASSWORD, **{"X-Forwarded-For": "203.0.113.9"}) == 429


def test_who_guesses_locks_nobody_else_out(person: Person) -> None:
    person("Viewer")
    person("Operator")
    for _ in range(11):
        sign_in(Client(REMOTE_ADDR="203.0.113.9"), "viewer", WRONG)
    assert sign_in(Client(), "viewer", PASSWORD) == 302
    assert sign_in(Client(REMOTE_ADDR="203.0.113.9"), "operator", PASSWORD) == 302


def test_what_was_typed_for_a_password_is_kept_nowhere(
    person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    person("Viewer")
    sign_in(Client(), "viewer", WRONG)
    sign_in(Client(), "viewer", PASSWORD)
    kept = [list(model.objects.values()) for model in (AccessAttempt, AccessFailureLog, AccessLog)]
    assert "viewer" in str(kept)
    for secret in (WRONG, PASSWORD):
        assert secret not in str(kept) + caplog.text


def test_a_session_that_was_foisted_on_somebody_is_not_theirs_after_signing_in(person: Person) -> None:
    person("Viewer")
    client = Client()
    foisted = client.session
    foisted["seen"] = True
    foisted.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(foisted.session_key)
    assert sign_in(client, "viewer", PASSWORD) == 302
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != foisted.session_key
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = str(foisted.session_key)
    assert not is_in(thief)


def test_a_session_ends_with_signing_out_and_with_a_new_password(person: Person) -> None:
    user = person("Viewer")
    for end in ("out", "password"):
        client, copied = Client(), Client()
        assert sign_in(client, "viewer", PASSWORD) == 302
        copied.cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
        assert is_in(copied)
        if end == "out":
            client.post("/admin/logout/")
        else:
            user.set_password("another one of the tests 2")
            user.save()
        assert not is_in(copied)


COOKIES = """
import json
from django.contrib.auth.models import User
from django.test import Client
from django.conf import settings
User.objects.create_superuser("root", password="a password of the tests 1")
plain = Client(headers={"host": "backups.example.com"})
client = Client(headers={"host": "backups.example.com", "x-forwarded-proto": "https"})
login = {"username": "root", "password": "a password of the tests 1"}
client.get("/admin/login/")
answer = client.post("/admin/login/", login)
away = plain.get("/admin/login/")
print(json.dumps({
    "status": answer.status_code,
    "cookies": {name: dict(morsel) for name, morsel in client.cookies.items()},
    "hsts": answer.headers.get("Strict-Transport-Security"),
    "plain": [away.status_code, away.headers.get("Location")],
}))
"""


HSTS = """
from django.test import Client
client = Client(headers={"host": "backups.example.com", "x-forwarded-proto": "https"})
print(client.get("/ok").headers.get("Strict-Transport-Security"))
"""


def test_browsers_are_bound_to_https_where_it_is_asked_for_and_on_this_host_alone() -> None:
    ran = start(["manage.py", "shell", "--no-imports", "-c", HSTS], **PRODUCTION, HSTS_SECONDS="300")
    assert ran.stdout.splitlines()[-1] == "max-age=300", ran.stderr


def test_cookies_of_a_portal_on_the_internet(tmp_path: Path) -> None:
    file = shutil.copy(made_once.migrated_database(), tmp_path)
    ran = start(
        ["manage.py", "shell", "--no-imports", "-c", COOKIES], **PRODUCTION, DATABASE_URL=f"sqlite:///{file}"
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["status"] == 302
    token, session = (told["cookies"][name] for name in sorted(told["cookies"]))
    assert session["secure"]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
    assert token["secure"]
    assert told["hsts"] is None
    assert told["plain"] == [301, "https://backups.example.com/admin/login/"]


# ---------------------------------------------------------------- What machines ask


@pytest.mark.parametrize(
    "header", ["Bearer ünïcode", "Bearer", "Basic dG9rZW4=", "bearer tok", "Bearer token2", "Basic token"]
)
def test_metrics_are_for_who_shows_the_token(db: None, settings: Settings, header: str) -> None:
    settings.METRICS_TOKEN = "token"
    assert Client().get("/metrics", headers={"Authorization": header}).status_code == 401
    assert Client().get("/metrics", {"token": "token"}).status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer token"}).status_code == 200


@pytest.mark.parametrize("url", ["/ok", "/sentinel/ok", "/sentinel/ok/orders_tracker"])
def test_the_gate_says_a_word_and_nothing_more(rows: Rows, url: str) -> None:
    response = Client().get(url)
    assert re.fullmatch("[a-z]+", response.content.decode())
    assert not response.cookies
    ours = {name for name in response.headers if name.startswith("X-Backup")}
    assert ours <= {"X-Backup-Status", "X-Backup-Age"}
    assert "Server" not in response.headers
