"""The program that sends to channels: `python -m backups.notifications.courier FD`.

A process of its own, so that a service that hangs can be ended, and what its library prints or logs, secrets
included, ends with it. It reads its order from a file descriptor: channels with their settings, and messages
for each. It prints a line for each message as it goes: its place in the order, whether it got through, the
answer's status, and the answer in words with what these are made of. Each channel has a thread.
"""

from __future__ import annotations

import json
import logging
import os
import re
import smtplib
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TextIO
from urllib.parse import unquote, urlsplit

from backups.notifications import bounded, posting
from backups.text.sentences import parts_of, phrase

# Of an answer that is shown.
LONGEST_ANSWER = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+")
# Shorter ones are in words by chance.
_SHORTEST_SECRET = 4


class Outcome(NamedTuple):
    """Whether a message got through, the answer's status, and the answer in words."""

    is_sent: bool
    code: int | None
    answer: str


def main(fd: int) -> None:
    """Send what the order says and print how that went."""
    # Opened first, because a library may print to what was standard output.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with open(fd, "rb") as file:
        order = json.load(file)
    logging.disable()
    bounded.begin()
    one_line_at_a_time = threading.Lock()
    with ThreadPoolExecutor(max(1, len(order))) as threads:
        for place, channel in enumerate(order):
            threads.submit(_send_all, place, channel, told, one_line_at_a_time)


def _send_all(place: int, channel: Mapping[str, Any], told: TextIO, lock: threading.Lock) -> None:
    """In their order, because good again must not come before failed; where nobody answers, no other."""
    for number, message in enumerate(channel["messages"]):
        outcome = send(channel["kind"], channel["fields"], message)
        with lock:
            line = [place, number, *outcome, parts_of(outcome.answer)]
            print(json.dumps(line), file=told, flush=True)
        if not outcome.is_sent and outcome.code is None:
            break


def send(kind: str, fields: Mapping[str, str], message: Mapping[str, Any]) -> Outcome:
    """Send one message; answers how that went, without a word of the address."""
    heard: list[bounded.Answered] = []
    bounded.answered.set(heard)
    try:
        if kind == "apprise":
            return _by_apprise(fields, message, heard)
        is_mail = kind == "email"
        said = posting.mail(fields, message) if is_mail else posting.post(kind, fields, message)
    except Exception as error:  # noqa: BLE001  whatever it is, it holds the address
        return _failed(error, fields)
    text = _without_secrets(_described(said.text), fields)
    answer = phrase("It answered {code}: {text}", code=said.status, text=text) if text else (
        phrase("It answered {code}.", code=said.status)
    )  # fmt: skip
    return Outcome(200 <= said.status < 300, said.status, answer)


def _by_apprise(
    fields: Mapping[str, str], message: Mapping[str, Any], heard: Sequence[bounded.Answered]
) -> Outcome:
    import apprise

    target = apprise.Apprise()
    if not target.add(fields["url"]) or len(target) != 1:
        return Outcome(False, None, phrase("It is not an address that Apprise knows."))
    # Said to be text, so that a service which sends HTML or Markdown escapes names in it.
    is_sent = target.notify(
        title=message["title"],
        body=message["body"],
        notify_type="success" if message["is_good"] else "failure",
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not heard:
        sentence = phrase("It was sent.") if is_sent else phrase("It could not be reached.")
        return Outcome(bool(is_sent), None, sentence)
    code = heard[-1].status
    text = "" if is_sent else _without_secrets(_described(heard[-1].text), fields)
    answer = phrase("It answered {code}: {text}", code=code, text=text) if text else (
        phrase("It answered {code}.", code=code)
    )  # fmt: skip
    return Outcome(bool(is_sent), code, answer)


def _failed(error: Exception, fields: Mapping[str, str]) -> Outcome:
    """Of what libraries raise only the kind is told, which no address is in."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        text = _without_secrets(text, fields)
        answer = phrase("It answered {code}: {text}", code=error.smtp_code, text=text)
        return Outcome(False, error.smtp_code, answer)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        text = _without_secrets(said.decode("utf-8", "replace"), fields)
        return Outcome(False, code, phrase("It answered {code}: {text}", code=code, text=text))
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, ssl.SSLError) or "SSLError" in names:
        return Outcome(False, None, phrase("Its certificate is not trusted, or it speaks no TLS there."))
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome(False, None, phrase("The mail server does not offer that encryption, or no sign-in."))
    if isinstance(error, TimeoutError) or "Timeout" in names:
        return Outcome(
            False, None, phrase("It gave no answer within {seconds} seconds.", seconds=f"{bounded.SECONDS:g}")
        )
    if isinstance(error, OSError | smtplib.SMTPException):
        return Outcome(False, None, phrase("It could not be reached."))
    return Outcome(False, None, phrase("Sending failed with {kind}.", kind=type(error).__name__))


def _described(text: str) -> str:
    """What a service says of its answer in JSON; else the answer itself."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if isinstance(found, dict):
        for name in ("description", "error", "message"):
            if isinstance(found.get(name), str):
                return str(found[name])
    # That it went well, the status says.
    return "" if isinstance(found, dict | list) else text


def _without_secrets(text: str, fields: Mapping[str, str]) -> str:
    for secret in sorted(set(_secrets(fields)), key=len, reverse=True):
        text = text.replace(secret, "…")
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER - 1]}…"


def _secrets(fields: Mapping[str, str]) -> Iterator[str]:
    """All that an answer could repeat of an address and of secrets."""
    for value in fields.values():
        pieces = [value]
        if "://" in value:
            try:
                parts = urlsplit(value)
                pieces += [parts.netloc, parts.hostname or "", parts.path, parts.query]
                pieces += [parts.username or "", parts.password or "", *re.split(r"[/?&=]", value)]
            except ValueError:
                pass
        for piece in pieces:
            for each in (piece, unquote(piece)):
                if len(each) >= _SHORTEST_SECRET and each not in _NO_SECRETS:
                    yield each


_NO_SECRETS = frozenset({"http:", "https:", "https", "http", "none", "starttls"})


def order(channels: Sequence[Mapping[str, Any]]) -> bytes:
    """The order as it goes through the file descriptor."""
    return json.dumps(list(channels)).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]))
