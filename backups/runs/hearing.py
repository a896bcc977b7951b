"""Who is heard of, by this process's own clock: the clocks of two machines may be minutes apart.

A time that another machine wrote tells by itself only as much as its clock is right. That it changes
while one looks tells for certain that somebody is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from datetime import datetime


class Hearing:
    """Remembers since when each sign of life has been as it is."""

    def __init__(self) -> None:
        self._signs: dict[Hashable, tuple[datetime, float]] = {}
        self._advanced: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def unchanged_for(self, who: Hashable, sign: datetime) -> float:
        """For how many seconds the sign has been this one, as far as was looked at; 0 at first."""
        with self._lock:
            now = time.monotonic()
            known = self._signs.get(who)
            if known is None or known[0] != sign:
                # One that went back tells of a clock that was set, and of nobody there.
                if known is not None and sign > known[0]:
                    self._advanced[who] = min(now, known[1] + (sign - known[0]).total_seconds())
                self._signs[who] = known = (sign, now)
            return now - known[1]

    def is_heard(self, who: Hashable, sign: datetime, within: float) -> bool:
        """Whether the sign is known to have advanced in the last `within` seconds.

        Who looks again after an hour sees the change that came right after the look before: it was made as
        long after that one as the two signs are apart, by whichever clock.
        """
        self.unchanged_for(who, sign)
        advanced = self._advanced.get(who)
        return advanced is not None and time.monotonic() - advanced <= within
