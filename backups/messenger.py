"""The program that sends messages: `python -m backups.messenger FD`.

A process of its own, so that a service that hangs can be ended, and so that what many services'
libraries print and log, addresses with their secrets included, ends with it. It reads its order
from a file descriptor and prints, as it goes, a line for each message and address: their places in
the order, and a complaint or "".
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_ANSWERED = re.compile(r"\berror=(\d{3})\b")


class _Complaints(logging.Handler):
    """What Apprise logs; of it only a status code is ever shown."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def main(fd: int) -> None:
    """Send what the order says and print how that went."""
    # Opened first, because a library may print to what was standard output.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with open(fd, "rb") as file:
        order = json.load(file)
    complaints = _Complaints()
    logger = logging.getLogger("apprise")
    logger.addHandler(complaints)
    logger.propagate = False
    for place, message in enumerate(order["messages"]):
        for number, address in enumerate(message["addresses"]):
            print(json.dumps([place, number, _send(address, message, complaints)]), file=answer, flush=True)


def _send(address: str, message: Mapping[str, Any], complaints: _Complaints) -> str:
    import apprise

    complaints.last = ""
    try:
        target = apprise.Apprise()
        if not target.add(address):
            return "is not an address that Apprise knows"
        # Said to be text, so that a service which sends HTML, as mail does, escapes names in it.
        if target.notify(
            title=message["title"],
            body=message["body"],
            notify_type=message["kind"],
            body_format=apprise.NotifyFormat.TEXT,
        ):
            return ""
    except Exception as error:  # noqa: BLE001  a service's library may raise anything
        return f"failed with {type(error).__name__}"
    status = _ANSWERED.search(complaints.last)
    return f"answered {status[1]}" if status else "could not be reached"


def order(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """The order as it goes through the file descriptor."""
    return json.dumps({"messages": list(messages)}).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]))
