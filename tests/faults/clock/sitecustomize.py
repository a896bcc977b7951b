"""A clock that a test sets while real processes run: Python imports this at its start, where asked to.

libfaketime would set the monotonic clock as well, or break time.sleep.
"""

import os
import time
from pathlib import Path

import time_machine

_FILE = Path(os.environ["WRONG_CLOCK_FILE"])
_REAL = time.time_ns() - time.monotonic_ns()


def _time_ns() -> int:
    return _REAL + time.monotonic_ns() + int(_FILE.read_text()) * 1_000_000_000


time_machine.travel(0).start().time_ns = _time_ns  # type: ignore[method-assign]
