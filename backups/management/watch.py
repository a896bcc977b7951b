"""How a run goes, for whoever sits at the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from backups.runs.progress import State
from backups.text.terminal import escape_control_characters

if TYPE_CHECKING:
    from backups.management.bar import Bar

# By these rich is told that it writes to a terminal where it seems that it does not.
_TERMINAL_AFTER_ALL = ("FORCE_COLOR", "TTY_COMPATIBLE")


class Watch:
    """Shows a run: a bar on a terminal, elsewhere lines by `say`."""

    def __init__(self, say: Callable[[str], None], *, to_stderr: bool) -> None:
        self._say = say
        self._to_stderr = to_stderr
        self._bar = self._made_bar()
        self._phase = ""

    def __enter__(self) -> Watch:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def observe(self, state: State, lines: list[str]) -> None:
        """Take in what the run reports."""
        if state.phase != self._phase:
            self._phase = state.phase
            if self._bar:
                self._bar.begin(state)
            else:
                self._say(f"{state.phase} …")
        if self._bar:
            self._bar.update(state)
        for line in lines:
            self._print(f"  {escape_control_characters(line)}")

    def _print(self, line: str) -> None:
        if self._bar:
            self._bar.print(line)
        else:
            print(line, file=self._stream, flush=True)

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._to_stderr else sys.stdout

    def _made_bar(self) -> Bar | None:
        """Elsewhere nobody waits for the library that draws it."""
        if not self._stream.isatty() and not any(name in os.environ for name in _TERMINAL_AFTER_ALL):
            return None
        from backups.management.bar import Bar

        bar = Bar(to_stderr=self._to_stderr)
        return bar if bar.is_shown else None
