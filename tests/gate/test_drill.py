"""What a drill makes of its answers, and what it never asks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backups.errors import Problem, Refused
from backups.gate import asking, drill
from backups.gate.asking import Answer
from backups.gate.drill import Found
from backups.verdict import GateFacts
from sentinel import heartbeat
from tools.ports import HOST, free_port

URL = "http://shop.example.com/"
CLOSED, BARE = Answer(503, is_ours=True), Answer(503)
NOTHING = Answer(problem="Connection refused")
OPEN, STALE = GateFacts(), GateFacts(is_open=False, word="stale")


def seen(status: int) -> Answer:
    return Answer(status)


@pytest.mark.parametrize(
    ("before", "drilled", "after", "found"),
    [
        (seen(200), CLOSED, seen(200), Found.CLOSES),
        (seen(302), CLOSED, seen(302), Found.CLOSES),
        (seen(404), CLOSED, seen(404), Found.CLOSES),
        (seen(500), CLOSED, seen(500), Found.CLOSES),
        (BARE, CLOSED, BARE, Found.CLOSES),
        (CLOSED, CLOSED, CLOSED, Found.KEPT_OUT),
        (CLOSED, CLOSED, seen(200), Found.UNCLEAR),
        (CLOSED, seen(200), seen(200), Found.UNCLEAR),
        (seen(200), seen(200), seen(200), Found.OPEN),
        (seen(204), seen(204), seen(204), Found.OPEN),
        (seen(404), seen(404), seen(404), Found.OPEN),
        (seen(200), Answer(200, is_cached=True), seen(200), Found.CACHED),
        (seen(200), CLOSED, Answer(200, is_cached=True), Found.CLOSES),
        (seen(301), Answer(301, is_cached=True), seen(301), Found.REDIRECT),
        (seen(301), seen(301), seen(301), Found.REDIRECT),
        (seen(307), seen(307), seen(307), Found.REDIRECT),
        (seen(401), seen(401), seen(401), Found.PASSWORD),
        (seen(403), seen(403), seen(403), Found.PASSWORD),
        (seen(200), seen(500), seen(200), Found.ANOTHER_PAGE),
        (seen(200), BARE, seen(200), Found.ANOTHER_PAGE),
        (seen(200), Answer(200, is_ours=True), seen(200), Found.ANOTHER_PAGE),
        (seen(200), seen(404), seen(200), Found.ANOTHER_PAGE),
        (seen(200), seen(302), seen(200), Found.UNCLEAR),
        (seen(502), seen(502), seen(502), Found.UNCLEAR),
        (BARE, BARE, BARE, Found.UNCLEAR),
        (seen(200), CLOSED, CLOSED, Found.KEPT),
        (seen(200), CLOSED, seen(500), Found.KEPT),
        (NOTHING, NOTHING, NOTHING, Found.NO_ANSWER),
        (seen(200), NOTHING, seen(200), Found.NO_ANSWER),
        (seen(200), CLOSED, NOTHING, Found.NO_ANSWER),
    ],
)
def test_what_the_answers_say(before: Answer, drilled: Answer, after: Answer, found: Found) -> None:
    judged = drill.judge(URL, before, [drilled], after, OPEN)
    assert judged.found is found
    assert judged.ok is (found is Found.CLOSES)
    assert judged.detail.startswith(URL)
    assert judged.detail.endswith(".")
    assert set(judged.told()) == {
        "url", "ok", "found", "detail", "before", "drilled", "after", "verdict", "lines", "warnings",
    }  # fmt: skip


def test_that_it_is_closed_already_is_good_where_the_backups_are_the_reason() -> None:
    for after in (CLOSED, seen(200)):
        judged = drill.judge(URL, CLOSED, [CLOSED], after, STALE)
        assert (judged.found, judged.ok, judged.verdict) == (Found.CLOSED_ALREADY, True, "stale")


def test_that_visitors_are_kept_out_though_backups_are_fresh_is_not_good() -> None:
    judged = drill.judge(URL, CLOSED, [CLOSED], CLOSED, OPEN)

    assert (judged.told()["found"], judged.ok, judged.verdict) == ("closed though open", False, "fresh")
    assert "keeps everybody out" in judged.detail
    assert "start it again (end it and run `gunicorn" in judged.detail


def test_that_visitors_get_in_though_backups_are_stale_is_not_good() -> None:
    judged = drill.judge(URL, seen(200), [CLOSED], seen(200), STALE)

    assert (judged.found, judged.ok, judged.verdict) == ("open though closed", False, "stale")
    assert "lets everybody in (200)" in judged.detail


def test_of_several_web_servers_one_that_lets_in_is_found() -> None:
    for gate in (OPEN, STALE):
        judged = drill.judge(URL, seen(200), [CLOSED, CLOSED, seen(200), CLOSED], seen(200), gate)
        assert (judged.found, judged.ok, judged.drilled) == (Found.PARTLY, False, 200)
    assert "stays open at times" in judged.detail

    elsewhere = replace(seen(200), at="2001:db8::1")
    judged = drill.judge(URL, seen(200), [CLOSED, elsewhere], seen(200), OPEN)
    assert "and others by the address 2001:db8::1 200" in judged.detail


def test_two_web_servers_in_turn_are_both_asked_with_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = count()

    def in_turn(_url: str, word: str = "", _at: str = "") -> Answer:
        return CLOSED if next(turns) % 2 == 0 and word else seen(200)

    monkeypatch.setattr(asking, "ask", in_turn)
    monkeypatch.setattr(drill, "_addresses", lambda _: [])
    assert drill.hold(URL, tmp_path / "last_ok", lambda: OPEN).found is Found.PARTLY


def test_each_address_of_a_name_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\nthe shop") as (url, asked):
        port = urlsplit(url).port
        here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", HOST)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
        monkeypatch.setattr(asking, "ANSWER_SECONDS", 2.0)
        answers = drill._drilled(f"http://shop.test:{port}/", "0" * 32)
    assert answers[-1] == replace(seen(200), at=HOST)
    assert b"host: shop.test:" in asked[-1].lower()


def test_a_page_that_says_our_words_by_itself_is_not_taken_for_ours() -> None:
    quoting = Answer(200, is_ours=True)
    assert drill.judge(URL, quoting, [quoting], quoting, OPEN).found is Found.OPEN


@pytest.mark.parametrize(("closed_for", "found"), [(9, "closed though open"), (8, "unclear")])
def test_a_verdict_that_nginx_still_keeps_is_waited_for(
    closed_for: int, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([CLOSED] * closed_for + [seen(200)])
    monkeypatch.setattr(asking, "ask", lambda *_: next(answers))
    monkeypatch.setattr(drill, "_KEPT_SECONDS", 0)

    assert drill.hold(URL, tmp_path / "last_ok", lambda: OPEN).found == found


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "shop.example.com", "//shop/", "ftp://shop/", "file:///etc/passwd", "gopher://shop:70/",
        "http://", "http:///orders", "http://shop:99999/", "http://shop:x/", "http://[::1/",
        "http://shop/a b", "http://shop/\r\nX-Other: 1", "http://shop/ü", "http://shöp/", "http://anna:secret@shop/",
        "http://@shop/", "http://shop/#part", "http://shop\\@other/", f"http://shop/{'x' * 500}",
    ],
)  # fmt: skip
def test_what_is_no_address_is_never_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(Problem):
        drill.hold(url, tmp_path / "last_ok", lambda: OPEN)
    assert not list(tmp_path.iterdir())


@contextmanager
def answering(*pieces: bytes, pause: float = 0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says these pieces to each visitor; gives its address and what it was asked."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)
            except OSError:
                if listener.fileno() < 0:
                    return

    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=serve, args=[listener], daemon=True).start()
        yield f"http://{HOST}:{listener.getsockname()[1]}/", asked


def test_a_redirect_is_not_followed() -> None:
    with answering(b"") as (elsewhere, never):
        location = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(location) as (url, asked):
            assert asking.ask(url) == Answer(302)
    assert len(asked) == 1
    assert not never


@pytest.mark.parametrize(
    ("header", "cached"),
    [
        (b"Age: 12", True),
        (b"X-Cache: HIT", True),
        (b"X-Cache-Status: STALE", True),
        (b"Cache-Status: front; hit; ttl=30", True),
        (b"CF-Cache-Status: DYNAMIC", False),
        (b"X-Cache: MISS", False),
        (b"X-Other: hit", False),
    ],
)
def test_it_asks_as_a_visitor_and_sees_that_a_cache_answers(header: bytes, cached: bool) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n" + header + b"\r\nContent-Length: 0\r\n\r\n") as (url, asked):
        assert asking.ask(url) == Answer(200, is_cached=cached)
    assert b"User-Agent: Mozilla/5.0" in asked[0]
    assert b"cache-control" not in asked[0].lower()


def test_what_drips_or_never_ends_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.5)
    began = time.monotonic()
    with answering(*[b"H"] * 100, pause=0.1) as (url, _):
        assert "within 0.5 seconds" in asking.ask(url).problem
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with answering(head, *[b"x" * 65536] * 50) as (url, _):
        assert asking.ask(url) == Answer(200)
    assert time.monotonic() - began < 3


def test_why_there_is_no_answer_is_told() -> None:
    assert asking.ask(f"http://{HOST}:{free_port()}/") == Answer(problem="Connection refused")
    with answering(b"SSH-2.0-OpenSSH\r\n") as (url, _):
        assert asking.ask(url) == Answer(problem="what came is no HTTP")
        assert asking.ask(url.replace("http:", "https:")).problem.startswith("no TLS is spoken there; give")
    assert asking.ask("http://a..b/") == Answer(problem="its host is none that could be looked up")


def test_where_nobody_answers_no_drill_is_begun(tmp_path: Path) -> None:
    found = drill.hold(f"http://{HOST}:{free_port()}/", tmp_path / "last_ok", lambda: OPEN)
    assert found.found is Found.NO_ANSWER
    assert not list(tmp_path.iterdir())


def test_one_drill_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last_ok"
    monkeypatch.setattr(asking, "ask", lambda *_: Answer(200))
    first = heartbeat.drill_begin(path, datetime.now(UTC))
    with pytest.raises(Refused, match="another drill is under way"):
        drill.hold(URL, path, lambda: OPEN)
    assert heartbeat.drill_read(path, datetime.now(UTC)) == first


def test_a_word_that_was_lost_on_the_way_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last_ok"

    def lose(_url: str, word: str = "", _at: str = "") -> Answer:
        if word:
            heartbeat.drill_path(path).unlink(missing_ok=True)
        return Answer(200)

    monkeypatch.setattr(asking, "ask", lose)
    with pytest.raises(Problem, match="has no result"):
        drill.hold(URL, path, lambda: OPEN)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ask", lambda *_: Answer(200))
    heartbeat.drill_path(tmp_path / "last_ok").mkdir()
    with pytest.raises(Problem, match="cannot be written to the status folder"):
        drill.hold(URL, tmp_path / "last_ok", lambda: OPEN)


FRONT = """# configuration file /etc/nginx/nginx.conf:
http {
    server { server_name shop.example.com; proxy_cache front; }
    server { listen 8081; include /etc/nginx/vedetta-gate.conf; satisfy any; }
}
"""


def test_what_it_found_is_explained_by_the_configuration_where_that_is_given() -> None:
    closes = drill.judge(URL, seen(200), [CLOSED], seen(200), OPEN)
    cached = drill.judge(URL, seen(200), [Answer(200, is_cached=True)], seen(200), OPEN)

    assert drill.explained(closes, "").detail.startswith(f"{closes.detail} Only this address was asked, by a")
    explained = drill.explained(closes, FRONT)
    assert (explained.ok, explained.detail) == (True, closes.detail)
    assert [line.text for line in explained.warnings] == ["proxy_cache front;"]
    assert (
        "Look at `proxy_cache front;` (/etc/nginx/nginx.conf, line 2)."
        in drill.explained(cached, FRONT).detail
    )
