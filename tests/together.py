"""The same by several at the same moment, as separate processes would do it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

Came = TypeVar("Came")


def at_once(several: int, act: Callable[[], Came]) -> list[Came]:
    """What each of so many threads got that began together. Raises what one of them raised."""
    ready = threading.Barrier(several)

    def one() -> Came:
        ready.wait()
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(several) as threads:
        return [begun.result() for begun in [threads.submit(one) for _ in range(several)]]
