"""Of a form that did not arrive whole nothing is done, and none is larger than the portal's own."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from portal import bodies

DONE = HttpResponse("done")
PASSWORD = "lookout over the forms"


def status_of(body: bytes, length: str, method: str = "POST") -> int:
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/admin/auth/group/add/",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": length,
        "wsgi.input": io.BytesIO(body),
    }
    return bodies.whole_or_refused(lambda _: DONE)(WSGIRequest(environ)).status_code


@pytest.mark.parametrize(
    ("body", "length", "status"),
    [
        (b"name=Operators", "14", 200),
        (b"", "0", 200),
        (b"", "", 200),
        (b"name=Oper", "14", 400),
        (b"", "14", 400),
        (b"x" * 1_000_000, "1000000", 200),
        (b"", "1000001", 413),
        (b"", "100000000000", 413),
        (b"name=a", "six", 413),
    ],
)
def test_what_is_not_whole_or_too_large_goes_no_further(body: bytes, length: str, status: int) -> None:
    assert status_of(body, length) == status
    assert status_of(body, length, "GET") == status


def test_a_client_that_is_cut_off_is_refused_and_is_no_error_of_the_servers() -> None:
    class CutOff(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionResetError

    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "14", "wsgi.input": CutOff()}
    assert bodies.whole_or_refused(lambda _: DONE)(WSGIRequest(environ)).status_code == 400


def test_old_passwords_are_not_guessed_by_who_found_a_session_open(db: None, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    anna = User.objects.create_superuser("anna", password=PASSWORD)
    client = Client()
    client.force_login(anna, backend="django.contrib.auth.backends.ModelBackend")

    def change(old: str) -> int:
        new = {"new_password1": "another lookout 77", "new_password2": "another lookout 77"}
        return client.post("/admin/password_change/", {"old_password": old, **new}).status_code

    assert [change(f"wrong {number}") for number in range(9)] == [200] * 9
    assert change("wrong once more") == 302
    change(PASSWORD)
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)
    assert client.get("/admin/").status_code == 302
