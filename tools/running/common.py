"""Where `make run` keeps what it makes, and how it speaks."""

from __future__ import annotations

import contextlib

from tools.shell import ROOT

VAR = ROOT / "var"
RUN_ENV = VAR / "run.env"
LOGS = VAR / "log"


class RunError(Exception):
    """It cannot go on. Its text is one sentence for the person at the terminal."""


class Stopped(BaseException):
    """Ctrl-C, or a signal that means the same."""


def say(text: str) -> None:
    """A line for the person at the terminal, who may have closed it."""
    with contextlib.suppress(OSError):
        print(text, flush=True)
