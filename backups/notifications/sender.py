"""The program that sends messages to addresses of Apprise: `python -m backups.notifications.sender FD`.

A process of its own, so that a service that hangs can be ended, and so that what many services'
libraries print and log, addresses with their secrets included, ends with it. It reads its order
from a file descriptor and prints, as it goes, a line for each message and address: their places in
the order, and a complaint or "", with what it is made of. Each address has a thread, so that one that
hangs holds up no other.
Asked for addresses alone, it sends nothing, and prints the places of those that Apprise does not know.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TextIO

from backups.text.sentences import parts_of, phrase

_ANSWERED = re.compile(r"\berror=(\d{3})\b")
# Of a context rather than a thread, because Apprise hands its context on to threads of its own.
_said: ContextVar[list[str]] = ContextVar("_said")


class _Complaints(logging.Handler):
    """What Apprise logs of a message under way; of it only a status code is ever shown."""

    def emit(self, record: logging.LogRecord) -> None:
        _said.get([]).append(record.getMessage())


def main(fd: int) -> None:
    """Send what the order says and print how that went."""
    # Opened first, because a library may print to what was standard output.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with open(fd, "rb") as file:
        order = json.load(file)
    logger = logging.getLogger("apprise")
    logger.addHandler(_Complaints())
    logger.propagate = False
    for place in _unknown(order.get("asked", [])):
        print(json.dumps(place), file=answer, flush=True)
    messages = order.get("messages", [])
    addresses = {address for message in messages for address in message["addresses"]}
    one_line_at_a_time = threading.Lock()
    with ThreadPoolExecutor(max(1, len(addresses))) as threads:
        for address in addresses:
            threads.submit(_send_all, address, messages, answer, one_line_at_a_time)


def _send_all(
    address: str, messages: Sequence[Mapping[str, Any]], answer: TextIO, lock: threading.Lock
) -> None:
    """Send an address its messages in their order, because good again must not come before failed."""
    for place, message in enumerate(messages):
        for number, named in enumerate(message["addresses"]):
            if named == address:
                complaint = _send(address, message)
                with lock:
                    told = [place, number, complaint, parts_of(complaint)]
                    print(json.dumps(told), file=answer, flush=True)


def _send(address: str, message: Mapping[str, Any]) -> str:
    import apprise

    said: list[str] = []
    _said.set(said)
    try:
        target = apprise.Apprise()
        if not target.add(address):
            return phrase("is not an address that Apprise knows")
        # Said to be text, so that a service which sends HTML, as mail does, escapes names in it.
        if target.notify(
            title=message["title"],
            body=message["body"],
            notify_type=message["kind"],
            body_format=apprise.NotifyFormat.TEXT,
        ):
            return ""
    except Exception as error:  # noqa: BLE001  a service's library may raise anything
        return phrase("failed with {kind}", kind=type(error).__name__)
    status = _ANSWERED.search(said[-1]) if said else None
    return phrase("answered {status}", status=status[1]) if status else phrase("could not be reached")


def _unknown(addresses: Sequence[str]) -> Iterator[int]:
    """The places of addresses that are none. One of which nothing can be told is tried by sending."""
    import apprise

    for place, address in enumerate(addresses):
        with suppress(Exception):  # a service's library may raise anything
            if not apprise.Apprise().add(address):
                yield place


def question(addresses: Sequence[str]) -> bytes:
    """An order to send nothing, and to say which addresses are none."""
    return json.dumps({"asked": list(addresses)}).encode()


def order(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """The order as it goes through the file descriptor."""
    return json.dumps({"messages": list(messages)}).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]))
