"""The program that sends to channels, against servers on loopback: what goes out, and what comes back."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backups.choices import ChannelKind
from backups.notifications import channels, courier, services
from tests.servers.inbox import Inbox, inbox
from tests.servers.mail import mail_server
from tools.ports import free_port

# As somebody would name a database who means harm.
HOSTILE = "shop <!channel> *b* [x](https://evil.example) & @here\r\nBcc: x@evil.example"
TOKEN, SECRET = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "a secret of the tests"
MESSAGE = {
    "key": "6f2f8f52-9c09-4b8c-8f7e-6d0b1c2a3e4f", "event": "failed", "state": "bad", "is_good": False,
    "subject": "Backup of shop", "database": "shop", "title": HOSTILE, "text": "It is down.",
    "body": "It is down.\n\nVedetta", "at": "2026-03-01T12:00:00+00:00", "vedetta": "1",
}  # fmt: skip


@pytest.fixture
def box() -> Iterator[Inbox]:
    """A service."""
    with inbox() as kept:
        yield kept


def sent(*orders: tuple[str, Mapping[str, str]], seconds: float = 15) -> list[tuple[bool, int | None, str]]:
    """What became of one message by each of these channels."""
    found: dict[int, tuple[bool, int | None, str]] = {}

    def hear(line: str) -> None:
        place, _, is_sent, code, answer, _ = json.loads(line)
        found[place] = (is_sent, code, answer)

    asked = [{"kind": kind, "fields": fields, "messages": [MESSAGE]} for kind, fields in orders]
    channels.ask_messenger(courier.order(asked), hear, seconds, "courier")
    return [found[place] for place in range(len(orders))]


def test_every_kind_has_a_form_and_every_form_a_kind() -> None:
    assert set(services.SERVICES) == set(ChannelKind.values)


def test_each_service_gets_the_message_as_it_wants_it_and_as_text(box: Inbox) -> None:
    outcomes = sent(
        ("telegram", {"server": f"{box.url}/t", "token": TOKEN, "chat": "-1001"}),
        ("ntfy", {"server": f"{box.url}/n/", "topic": "alerts-x", "token": "tk_1"}),
        ("slack", {"url": f"{box.url}/services/T0/B0/X"}),
        ("teams", {"url": f"{box.url}/workflows/1"}),
        ("matrix", {"homeserver": f"{box.url}/m", "room": "!a/b:example.com", "token": "syt_1"}),
        ("apprise", {"url": f"json://127.0.0.1:{box.port}/apprise"}),
    )

    assert outcomes == [(True, 200, "It answered 200: ok")] * 5 + [(True, 200, "It answered 200.")]
    came = {each.path.split("/")[1]: each for each in box.requests}
    telegram = came["t"]
    assert telegram.path == f"/t/bot{TOKEN}/sendMessage"
    assert telegram.told["text"].startswith(HOSTILE)
    assert "parse_mode" not in telegram.told
    ntfy = came["n"]
    assert (ntfy.told["topic"], ntfy.told["title"], ntfy.told["priority"]) == ("alerts-x", HOSTILE, 4)
    assert ntfy.headers["Authorization"] == "Bearer tk_1"
    slack = came["services"].told
    assert slack["blocks"][0]["text"]["type"] == "plain_text"
    assert "<!channel>" not in slack["text"]
    card = came["workflows"].told["attachments"][0]["content"]
    assert {each["type"] for each in card["body"]} == {"RichTextBlock"}
    assert card["body"][0]["inlines"][0]["text"] == HOSTILE
    matrix = came["m"]
    assert (matrix.method, matrix.told["msgtype"]) == ("PUT", "m.text")
    assert matrix.path.endswith(f"/rooms/%21a%2Fb%3Aexample.com/send/m.room.message/{MESSAGE['key']}")
    assert "formatted_body" not in matrix.told


def test_a_webhook_is_signed_and_five_lines_check_it(box: Inbox) -> None:
    ((is_sent, code, _),) = sent(("webhook", {"url": f"{box.url}/hook", "secret": SECRET}))

    assert (is_sent, code) == (True, 200)
    (request,) = box.requests
    headers, body = request.headers, request.body
    # As docs/operations.md has it.
    signed = headers["Vedetta-Timestamp"].encode() + b"." + body
    expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    is_ours = hmac.compare_digest(expected, headers["Vedetta-Signature"])
    is_new = abs(time.time() - int(headers["Vedetta-Timestamp"])) < 300
    assert is_ours
    assert is_new
    assert headers["Vedetta-Delivery"] == MESSAGE["key"]
    assert request.told | {"title": "", "text": ""} == {
        "id": MESSAGE["key"], "event": "failed", "state": "bad", "subject": "Backup of shop",
        "database": "shop", "title": "", "text": "", "at": MESSAGE["at"], "vedetta": "1",
    }  # fmt: skip


def test_a_letter_is_handed_to_a_mail_server_and_no_title_adds_a_header() -> None:
    with mail_server(password="right") as mail:
        fields = {
            "host": "127.0.0.1", "port": str(mail.port), "encryption": "none", "user": "vedetta",
            "sender": "vedetta@example.com", "to": "ops@example.com, anna@example.com",
        }  # fmt: skip
        good, bad = sent(
            ("email", {**fields, "password": "right"}), ("email", {**fields, "password": "wrong one"})
        )

    assert good == (True, 250, "It answered 250.")
    assert bad[:2] == (False, 535)
    # What the server repeats of the password is not shown, nor what would colour a terminal.
    assert bad[2] == "It answered 535: 5.7.8 … is not [31m right"
    (letter,) = mail.letters
    assert letter["Subject"].strip() == HOSTILE.replace("\r\n", " ")
    assert letter["Bcc"] is None
    assert mail.recipients == ["ops@example.com", "anna@example.com"]
    assert letter.get_content().split() == ["It", "is", "down.", "Vedetta"]
    assert letter.get_content_type() == "text/plain"


def test_no_redirect_is_followed_and_little_of_an_answer_is_read(box: Inbox) -> None:
    with inbox() as within:
        box.status, box.headers = 302, {"Location": f"{within.url}/internal"}
        outcomes = sent(
            ("slack", {"url": f"{box.url}/a"}), ("apprise", {"url": f"json://127.0.0.1:{box.port}/b"})
        )
        assert [each[:2] for each in outcomes] == [(False, 302), (False, 302)]
        assert within.requests == []
    box.status, box.headers, box.body, box.times = 500, {}, b"x" * 1_000_000, 2000
    began = time.monotonic()
    ((is_sent, code, answer),) = sent(("slack", {"url": f"{box.url}/a"}))
    assert (is_sent, code, answer) == (False, 500, f"It answered 500: {'x' * 199}…")
    assert time.monotonic() - began < 10


def test_an_answer_repeats_neither_address_nor_secret(box: Inbox) -> None:
    url = f"{box.url}/services/T0PATH/B0PATH/hunter2secret"
    box.status, box.body = 403, f"no {url} nor {SECRET} <b>bold</b>\n\x07".encode()

    ((_, code, answer),) = sent(("webhook", {"url": url, "secret": SECRET}))

    assert (code, answer) == (403, "It answered 403: no … nor … <b>bold</b>")


@pytest.mark.parametrize("address", ["169.254.169.254", "[fe80::1]", "0.0.0.0"])  # noqa: S104
def test_the_machines_own_net_is_not_asked(address: str) -> None:
    outcomes = sent(("slack", {"url": f"http://{address}/latest/meta-data/"}))

    assert outcomes == [(False, None, "It could not be reached.")]


def test_who_is_not_there_is_told_without_the_address() -> None:
    port = free_port()
    fields: dict[str, Any] = {"host": "127.0.0.1", "port": str(port), "encryption": "starttls",
                              "sender": "a@b.c", "to": "d@e.f"}  # fmt: skip
    outcomes = sent(("webhook", {"url": f"http://127.0.0.1:{port}/", "secret": SECRET}), ("email", fields))

    assert outcomes == [(False, None, "It could not be reached.")] * 2
