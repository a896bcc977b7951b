"""How a run goes, for whoever sits at the command line."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from backups.runs.progress import State
from backups.text.terminal import escape_control_characters


class Watch:
    """Shows a run: a bar on a terminal, elsewhere lines by `say`."""

    def __init__(self, say: Callable[[str], None], *, to_stderr: bool) -> None:
        self._say = say
        self._console = Console(stderr=to_stderr)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._phase = ""

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def observe(self, state: State, lines: list[str]) -> None:
        """Take in what the run reports."""
        if state.phase != self._phase:
            self._phase = state.phase
            self._bar.reset(self._task, total=state.bytes_expected, description=state.phase)
            if not self._console.is_terminal:
                self._say(f"{state.phase} …")
        expected = state.bytes_expected
        if expected is not None:
            expected = max(expected, state.bytes_done)
        self._bar.update(
            self._task,
            completed=state.bytes_done,
            total=expected,
            description=escape_control_characters(f"{state.phase} {state.detail}".strip()[:60]),
        )
        for line in lines:
            self._console.print(
                f"  {escape_control_characters(line)}", markup=False, highlight=False, soft_wrap=True
            )
