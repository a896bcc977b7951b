"""Ctrl-C and SIGTERM held back for as long as they would leave something half asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Hold both back until what this gives is called, or the block ends. For the main thread alone.

    One that came meanwhile comes then, in that very call.
    """
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {each: signal.signal(each, note) for each in _SIGNALS}

    def let_through() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        before.clear()
        if came:
            signal.raise_signal(came.pop())

    try:
        yield let_through
    finally:
        let_through()
