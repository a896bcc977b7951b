"""Every address and object of the portal against cookies and tokens that are not, or no longer, one's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import connection, transaction
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Server
from portal import sessions
from tests.admin.conftest import Login
from tests.security.test_roles import (
    ANYONE,
    CONFIRM,
    SUPERUSER,
    Rows,
    ask,
    is_refusal,
    rules,
    session_of,
    url_of,
    writes,
)
from tests.security.test_roles import rows as with_rows_to_delete

rows = with_rows_to_delete

soak = pytest.mark.soak


def _ended(act: Callable[[User], object]) -> Callable[[str], str]:
    """The key of a superuser's session, after something was done about them and undone where it can be."""

    def make(key: str) -> str:
        act(User.objects.get(username="superuser"))
        return key

    return make


def _set(**flags: object) -> Callable[[User], object]:
    def act(user: User) -> None:
        for name, value in flags.items():
            setattr(user, name, value)
        user.save()

    return act


def _sign_out(key: str) -> str:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    client.post("/admin/logout/")
    return key


def _row(key: str, **values: object) -> str:
    assert Session.objects.filter(session_key=sessions.kept_as(key)).update(**values) == 1
    return key


def _signed_by_another(key: str) -> str:
    """A row with the same content, by who has another portal's SECRET_KEY."""
    told = sessions.SessionStore(key).load()
    salt = "django.contrib.sessions.SessionStore"
    forged = signing.dumps(told, key="k" * 50, salt=salt, serializer=signing.JSONSerializer, compress=True)
    return _row(key, session_data=forged)


def _password(user: User) -> None:
    user.set_password("another one of the tests 2")
    user.save()


def _there_and_back(user: User) -> None:
    _set(is_active=False)(user)
    _set(is_active=True)(user)


# From the key of a superuser's session to what a browser sends.
KEYS: dict[str, Callable[[str], str]] = {
    "none": lambda _: "",
    "made up": lambda _: "0123456789abcdefghijklmnopqrstuv",
    "read from the database": sessions.kept_as,
    "of which a letter is another": lambda key: ("b" if key[0] == "a" else "a") + key[1:],
    "in capitals": str.upper,
    "of a row that another key signed": _signed_by_another,
    "of a row that is damaged": lambda key: _row(key, session_data="x"),
    "expired": lambda key: _row(key, expire_date=timezone.now() - timedelta(seconds=1)),
    "replayed after signing out": _sign_out,
    "of before the password changed": _ended(_password),
    "of before a role was given": _ended(lambda user: user.groups.add(Group.objects.get(name="Viewer"))),
    "of before superuser was taken": _ended(_set(is_superuser=False)),
    "of before the account was closed": _ended(_set(is_active=False)),
    "of before it was closed and opened": _ended(_there_and_back),
    "of an account that is gone": _ended(lambda user: user.delete()),
}
_EACH_TIME = {"of before superuser was taken"}


@pytest.mark.parametrize(
    "which", [pytest.param(each, marks=[] if each in _EACH_TIME else [soak]) for each in KEYS]
)
def test_a_cookie_that_is_not_a_living_session_opens_and_does_nothing(
    rows: Rows, login: Login, which: str
) -> None:
    living = session_of(login, SUPERUSER)
    assert ask(living, "GET", "/admin/", confirmed=False).status_code == 200
    key = KEYS[which](living)
    told = []
    for route, needs in rules().items():
        for method, least in zip(("GET", "POST"), needs, strict=True):
            if least == ANYONE:
                continue
            with transaction.atomic(), CaptureQueriesContext(connection) as captured:
                response = ask(key, method, url_of(route, rows), confirmed=True)
                # That a session is ended is no work of the page's.
                written = [sql for sql in writes(captured) if "django_session" not in sql]
                if not is_refusal(response) or written:
                    told.append(f"{method} {route}: {response.status_code}, {written}")
                transaction.set_rollback(True)
    assert told == []


# ---------------------------------------------------------------- Tokens


def token() -> tuple[str, str]:
    """A token and the cookie that belongs to it, as somebody's sign-in page brings them."""
    request = RequestFactory().get("/admin/login/")
    return get_token(request), str(request.META["CSRF_COOKIE"])


TOKENS: dict[str, Callable[[], tuple[str, str, dict[str, str]]]] = {
    "of somebody else": lambda: (token()[0], token()[1], {}),
    "cut": lambda: (token()[0][:-1], token()[1], {}),
    "of one's own, sent by a page elsewhere": lambda: (*token(), {"Origin": "https://evil.example"}),
}


@soak
@pytest.mark.parametrize("which", TOKENS)
def test_a_token_that_is_not_ones_own_does_nothing(rows: Rows, login: Login, which: str) -> None:
    session = session_of(login, SUPERUSER)
    sent, cookie, headers = TOKENS[which]()
    told = []
    for route in rules():
        client = Client(enforce_csrf_checks=True, headers=headers)
        client.cookies[settings.SESSION_COOKIE_NAME] = session
        client.cookies[settings.CSRF_COOKIE_NAME] = cookie
        with CaptureQueriesContext(connection) as captured:
            response = client.post(url_of(route, rows), CONFIRM | {"csrfmiddlewaretoken": sent})
        if response.status_code not in {403, 405} or writes(captured):
            told.append(f"{route}: {response.status_code}, {writes(captured)}")
    assert told == []


def test_a_token_that_is_ones_own_does(rows: Rows, login: Login) -> None:
    """Else the test above would hold for any token."""
    sent, cookie = token()
    client = Client(enforce_csrf_checks=True)
    client.cookies[settings.SESSION_COOKIE_NAME] = session_of(login, SUPERUSER)
    client.cookies[settings.CSRF_COOKIE_NAME] = cookie
    unused = rows["backups_server to delete"]
    page = f"/admin/backups/server/{unused.pk}/delete/"
    assert client.post(page, {"csrfmiddlewaretoken": sent, "post": "yes"}).status_code == 302
    assert not Server.objects.filter(pk=unused.pk).exists()
