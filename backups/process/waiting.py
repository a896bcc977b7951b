"""Waiting in ticks, so that whoever cancels is heard meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK_SECONDS = 0.25
Tick = Callable[[], None]


def run_in_thread(work: Callable[[], None], tick: Tick, abort: Callable[[], None]) -> None:
    """Do `work` in a thread, calling `tick` meanwhile; what `tick` raises aborts the work.

    Raises what `work` raised.
    """
    raised: list[BaseException] = []

    def remember() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again in the watching thread
            raised.append(error)

    thread = threading.Thread(target=remember, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(TICK_SECONDS)
            tick()
    except BaseException:
        abort()
        thread.join()
        raise
    if raised:
        raise raised[0]


def sleep_tick() -> None:
    """Wait as long as a tick."""
    time.sleep(TICK_SECONDS)
