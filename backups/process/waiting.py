"""Waiting in ticks, so that whoever cancels is heard meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK_SECONDS = 0.25
Tick = Callable[[], None]


class InThread:
    """Work that is done in a thread beside other work; `raised` is what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.raised: BaseException | None = None
        self._thread = threading.Thread(target=self._do, daemon=True)
        self._thread.start()

    def _do(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  raised again in the watching thread
            self.raised = error

    def join(self, tick: Tick = lambda: None) -> None:
        """Wait for its end, calling `tick` several times a second."""
        while self._thread.is_alive():
            self._thread.join(TICK_SECONDS)
            tick()


def run_in_thread(work: Callable[[], None], tick: Tick, abort: Callable[[], None]) -> None:
    """Do `work` in a thread, calling `tick` meanwhile; what `tick` raises aborts the work.

    Raises what `work` raised.
    """
    thread = InThread(work)
    try:
        thread.join(tick)
    except BaseException:
        abort()
        thread.join()
        raise
    if thread.raised:
        raise thread.raised


def sleep_tick() -> None:
    """Wait as long as a tick."""
    time.sleep(TICK_SECONDS)
