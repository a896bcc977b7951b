"""Who is heard of, by this process's own clock: the clocks of two machines may be minutes apart.

A time that another machine wrote tells by itself only as much as its clock is right. That it changes
while one looks tells for certain that somebody is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable


class Hearing:
    """Remembers since when each sign of life has been as it is."""

    def __init__(self) -> None:
        self._signs: dict[Hashable, tuple[object, float]] = {}
        self._changed: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def unchanged_for(self, who: Hashable, sign: object) -> float:
        """For how many seconds the sign has been this one, as far as was looked at; 0 at first."""
        with self._lock:
            now = time.monotonic()
            known = self._signs.get(who)
            if known is None or known[0] != sign:
                if known is not None:
                    self._changed[who] = now
                self._signs[who] = known = (sign, now)
            return now - known[1]

    def is_heard(self, who: Hashable, sign: object, within: float) -> bool:
        """Whether the sign was seen to change in the last `within` seconds."""
        self.unchanged_for(who, sign)
        changed = self._changed.get(who)
        return changed is not None and time.monotonic() - changed <= within
