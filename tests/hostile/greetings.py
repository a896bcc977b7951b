"""How a hostile server may greet who connects, and never come to letting them in."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.hostile.wire import Wire, another_method, greeting

Greeting = Callable[[Wire], None]
_METHOD = b"mysql_native_password"


def no_word(wire: Wire) -> None:
    """Nothing, ever: until the client goes."""
    wire.packet()


def dripping(seconds: float = 0.5) -> Greeting:
    """A long greeting, a byte of it every so many seconds."""

    def greet(wire: Wire) -> None:
        said = greeting(b"8.0.30" + b"x" * 10_000, _METHOD, offers_tls=True)
        for byte in len(said).to_bytes(3, "little") + b"\0" + said:
            wire.connection.sendall(bytes([byte]))
            time.sleep(seconds)

    return greet


def endless(wire: Wire) -> None:
    """A greeting without an end, in packets of the longest kind, which say that more follows."""
    wire.send(b"\x0a8.0.30".ljust(0xFFFFFF, b"x"))
    while True:
        wire.send(b"x" * 0xFFFFFF)


def never_satisfied(seconds: float = 0.1) -> Greeting:
    """Asks for the password by one method after the other, now and then, for ever."""

    def greet(wire: Wire) -> None:
        wire.send(greeting(b"8.0.30", _METHOD, offers_tls=False))
        wire.packet()
        while True:
            wire.send(another_method(_METHOD))
            time.sleep(seconds)

    return greet
