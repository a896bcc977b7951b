"""What a running action reports: phases, bytes, log lines; and how it learns that it must stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from backups.choices import Level, Trigger
from backups.errors import Cancelled, LeaseLost, Problem, shortened
from backups.models import Run
from backups.runs import lifecycle, notes, portal_database_away
from backups.runs.asked import Submits
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters, spellings

_BEAT_SECONDS = 1.0
_LONGEST_TEXT = 64 << 10


@dataclass(frozen=True)
class State:
    """How far a run is, for whoever watches it in this process."""

    phase: str
    bytes_done: int
    bytes_expected: int | None
    detail: str


Observer = Callable[[State, list[str]], None]
RunChild = Callable[[Submits, Trigger, Callable[[], None]], Run]


class Progress:
    """A run's reports on their way to the database, at most once a second."""

    def __init__(self, run: Run, observer: Observer | None = None, run_child: RunChild | None = None) -> None:
        self._run_id = run.pk
        self._observer = observer
        self._run_child = run_child
        self._state = State("", 0, None, "")
        self._lines: list[tuple[datetime, Level, str]] = []
        self._facts: dict[str, Any] = {}
        self._secrets: set[str] = set()
        self._hidden = spellings(())
        self._beaten = 0.0
        self._heard = time.monotonic()
        self._is_away = False
        self._deadline = time.monotonic() + settings.RUN_DEADLINE_SECONDS
        self._may_cancel = True

    def mask_secrets(self, secrets: Iterable[str]) -> None:
        """Never let these texts into the log, but for what `spellings` says is too short."""
        self._secrets |= set(secrets)
        self._hidden = spellings(self._secrets)

    def phase(self, name: str, *, expected: int | None = None) -> None:
        """Begin a phase that will handle about `expected` bytes; without, the last count stays."""
        state = self._state
        if expected is None:
            self._state = State(name, state.bytes_done, state.bytes_expected, "")
        else:
            self._state = State(name, 0, expected, "")
        portal_database_away.outlast(lambda: notes.run_phase(self._run_id, name))
        self._beat()

    def bytes_done(self, done: int) -> None:
        """Say how many bytes of the phase are done."""
        self._state = State(self._state.phase, done, self._state.bytes_expected, self._state.detail)

    def detail(self, text: str) -> None:
        """Say what is just being worked on."""
        self._state = State(self._state.phase, self._state.bytes_done, self._state.bytes_expected, text)

    def log(self, text: str, level: Level = Level.INFO) -> None:
        """Append a line to the run's log."""
        self._lines.append((timezone.now(), level, self.masked(text)))

    def warn(self, text: str) -> None:
        """Append a warning to the run's log."""
        self.log(text, Level.WARNING)

    def note(self, **facts: Any) -> None:
        """Put facts into the run's result with the next lines, texts as they would be logged."""
        for name, fact in facts.items():
            self._facts[name] = self.masked(fact) if isinstance(fact, str) else fact

    def masked(self, text: str) -> str:
        """The text without the secrets that this run uses, and without what a terminal would obey.

        Names of a server's are in it, which may be of any length and number.
        """
        return shortened(escape_control_characters(self._hidden.sub("•••", text)), _LONGEST_TEXT)

    def disable_cancel(self) -> None:
        """From here on a cancel comes too late and is ignored."""
        self._may_cancel = False

    def enable_cancel(self) -> None:
        """A cancel is heard again."""
        self._may_cancel = True

    def tick(self) -> None:
        """Called several times a second. Raises Cancelled, LeaseLost, Problem past the deadline."""
        now = time.monotonic()
        if now > self._deadline:
            raise Problem(
                phrase("The run took longer than a day and was stopped."),
                code="run.took_too_long",
                do=phrase("See its log."),
            )
        if now >= self._beaten + _BEAT_SECONDS:
            self._beat()

    def tick_ignoring_cancel(self) -> None:
        """`tick` for what has to be cleared up whatever comes: raises nothing of its own."""
        with suppress(Cancelled, LeaseLost, Problem):
            self.tick()

    def run_child(self, request: Submits, trigger: Trigger) -> Run:
        """Execute another run to its end as part of this one, which goes on beating meanwhile.

        Whoever watches sees that other run alone, and not the two in turn.
        """
        if self._run_child is None:
            raise RuntimeError("this run was started without a way to execute others")
        observer, self._observer = self._observer, None
        try:
            return self._run_child(request, trigger, self.tick)
        finally:
            self._observer = observer

    def flush(self) -> None:
        """Write the lines and facts that are still held back."""
        portal_database_away.outlast(self._write_lines)

    def _write_lines(self) -> None:
        lines = self._lines[:]
        if lines:
            notes.run_log(self._run_id, lines)
        if facts := dict(self._facts):
            notes.run_noted(self._run_id, {"result": facts})
            # Whoever noted another one meanwhile has it written with the next lines.
            self._facts = {name: fact for name, fact in self._facts.items() if facts.get(name) != fact}
        # Only what is written is let go of.
        del self._lines[: len(lines)]
        if self._observer:
            self._observer(self._state, [text for _, _, text in lines])

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        state = self._state
        beat = lifecycle.Beat(state.phase, state.bytes_done, state.bytes_expected, state.detail)
        try:
            self._write_lines()
            is_cancelled = lifecycle.run_beat(self._run_id, beat)
        except portal_database_away.AWAY as error:
            if connection.in_atomic_block or not portal_database_away.is_away(error):
                raise
            self._go_on_without(error)
            return
        self._came_back()
        if is_cancelled and self._may_cancel:
            raise Cancelled

    def _go_on_without(self, error: Exception) -> None:
        """The portal's database is away: what is under way goes on, as long as nobody else may begin it."""
        silent = time.monotonic() - self._heard
        if silent > portal_database_away.MOST_SECONDS:
            raise Problem(
                phrase(
                    "The portal's own database gave no answer for {seconds} seconds.", seconds=int(silent)
                ),
                code="portal.database_away",
                do=phrase("Check DATABASE_URL and its server, then start again."),
            ) from error
        self._is_away = True
        portal_database_away.hang_up()

    def _came_back(self) -> None:
        now = time.monotonic()
        if self._is_away:
            self._is_away = False
            seconds = int(now - self._heard)
            self.warn(
                phrase(
                    "The portal's own database gave no answer for {seconds} seconds. The run went on.",
                    seconds=seconds,
                )
            )
        self._heard = now
