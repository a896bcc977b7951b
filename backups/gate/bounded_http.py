"""HTTP to what may hang or drip, within a time for all of it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Told = TypeVar("Told")


def within(seconds: float, connection: http.client.HTTPConnection, ask: Callable[[], Told]) -> Told | None:
    """What `ask` learns over the connection, None where that takes longer; the connection is then cut."""
    answers: list[Told] = []
    # Neither the look-up of a name nor an answer that drips has a deadline of its own.
    asking = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    asking.start()
    asking.join(seconds)
    if answers:
        return answers[0]
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
    return None
