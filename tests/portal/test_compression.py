"""Pages and their files come compressed to a browser that takes that, and nothing else does to anybody."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from django.test.utils import override_settings

from portal.compression import pages_smaller

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
SIGN_IN, SCRIPT = "/admin/login/", "/static/vedetta/vedetta.js"


def asked(path: str, headers: Mapping[str, str] = BROWSER, method: str = "GET") -> Any:
    return Client(headers=dict(headers)).generic(method, path)


def content(response: Any) -> bytes:
    return response.getvalue() if response.streaming else response.content


@pytest.mark.parametrize("path", [SIGN_IN, SCRIPT])
@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "deflate, br"}])
def test_who_takes_gzip_gets_the_same_in_less_and_who_does_not_gets_it_as_it_is(
    db: None, path: str, headers: dict[str, str]
) -> None:
    smaller, plain = asked(path), asked(path, headers)
    sent, whole = content(smaller), content(plain)

    assert (smaller.status_code, smaller["Content-Encoding"]) == (200, "gzip")
    assert "Content-Encoding" not in plain
    assert (len(sent), len(whole)) == (int(smaller["Content-Length"]), int(plain["Content-Length"]))
    assert 2 * len(sent) < len(whole)
    # Each page has a token of its own.
    without_token = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"')
    assert without_token.sub(b"", gzip.decompress(sent)) == without_token.sub(b"", whole)
    assert smaller["Content-Type"] == plain["Content-Type"]
    for response in (smaller, plain):
        assert "Accept-Encoding" in response["Vary"]


def test_a_file_is_compressed_once_and_known_again(db: None) -> None:
    client = Client(headers=BROWSER)
    first, second = client.get(SCRIPT), client.get(SCRIPT)
    assert content(first) == content(second)
    known = client.get(SCRIPT, headers={"If-None-Match": first["ETag"]})
    assert (known.status_code, content(known)) == (304, b"")
    assert "Accept-Encoding" in known["Vary"]


def test_of_a_file_a_part_and_the_head_are_of_the_file_as_it_is(db: None) -> None:
    whole = content(asked(SCRIPT, {}))
    part = asked(SCRIPT, BROWSER | {"Range": "bytes=10-29"})
    assert (part.status_code, content(part)) == (206, whole[10:30])
    head = asked(SCRIPT, method="HEAD")
    assert (int(head["Content-Length"]), content(head)) == (len(whole), b"")
    assert not {"Content-Encoding"} & {*part.headers, *head.headers}


def test_what_is_compressed_already_is_left_as_it_is(db: None) -> None:
    font = asked("/static/unfold/fonts/inter/Inter-Regular.woff2")
    assert font.status_code == 200
    assert not {"Content-Encoding", "Vary"} & {*font.headers}


@pytest.mark.parametrize("path", ["/sentinel/ok", "/ok", "/sentinel/status", "/healthz", "/metrics"])
@override_settings(METRICS_TOKEN="shown")
def test_what_machines_ask_is_as_it_was(db: None, path: str) -> None:
    told = Client(headers=BROWSER | {"Authorization": "Bearer shown"}).get(path)
    assert told.status_code in {200, 503}
    assert not {"Content-Encoding"} & {*told.headers}
    assert "Accept-Encoding" not in told.get("Vary", "")


def test_a_stream_below_the_pages_waits_for_nothing(db: None) -> None:
    """As a download is."""
    request = RequestFactory(headers=BROWSER).get("/admin/backups/snapshot/1/restore/")
    answer = StreamingHttpResponse(iter([b"a" * 1000, b"b" * 1000]), content_type="application/sql")
    passed = pages_smaller(lambda _: answer)(request)
    assert passed is answer
    assert not {"Content-Encoding", "Vary"} & {*answer.headers}
    assert [*answer] == [b"a" * 1000, b"b" * 1000]


def test_how_small_a_page_becomes_is_not_the_same_twice() -> None:
    """So nobody learns what is in it who puts words into it and sees how long it is."""
    request = RequestFactory(headers=BROWSER).get("/admin/")
    respond = pages_smaller(lambda _: HttpResponse("<p>a page</p>" * 100))
    answers = [respond(request) for _ in range(30)]
    assert len({len(answer.content) for answer in answers if isinstance(answer, HttpResponse)}) > 5


def test_pages_of_who_is_signed_in_are_compressed(admin_user: User) -> None:
    client = Client(headers=BROWSER)
    client.force_login(admin_user, backend="django.contrib.auth.backends.ModelBackend")
    for path in ("/admin/", "/admin/backups/run/", "/admin/live/"):
        response = client.get(path)
        assert (response.status_code, response["Content-Encoding"]) == (200, "gzip"), path
        assert {"Accept-Encoding", "Cookie"} <= {*re.split(", ", response["Vary"])}
