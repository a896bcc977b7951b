"""The bar on a terminal that shows how a run goes."""

from __future__ import annotations

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


class Bar:
    """One bar, and lines above it."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._console = Console(stderr=to_stderr)
        self.is_shown = self._console.is_terminal
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self.is_shown,
        )
        self._task = self._bar.add_task("starting", total=None)

    def start(self) -> None:
        """Show it."""
        self._bar.start()

    def stop(self) -> None:
        """Take it away."""
        self._bar.stop()

    def begin(self, state: State) -> None:
        """Begin anew, with another phase."""
        self._bar.reset(self._task, total=state.bytes_expected, description=state.phase)

    def update(self, state: State) -> None:
        """Show how far it is."""
        expected = state.bytes_expected
        if expected is not None:
            expected = max(expected, state.bytes_done)
        self._bar.update(
            self._task,
            completed=state.bytes_done,
            total=expected,
            description=escape_control_characters(f"{state.phase} {state.detail}".strip()[:60]),
        )

    def print(self, line: str) -> None:
        """A line above it."""
        self._console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
