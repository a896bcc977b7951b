"""A program of ours that the worker begins, tells to end, and ends with all that it started."""

from __future__ import annotations

import os
from collections.abc import Mapping

from django.conf import settings

from backups import process


class KeptRunning:
    """One `manage.py …` at a time. Whoever keeps it running says when it is begun."""

    def __init__(self) -> None:
        self._child: process.Child | None = None
        self._not_before = 0.0

    def _start(self, command: str, environment: Mapping[str, str] | None = None) -> None:
        """Begin it, in our own environment, the operator's secrets included."""
        self._child = process.Child(
            process.Program([*settings.COMMAND_LINE, command], {**os.environ, **(environment or {})}),
            stdout=process.OUR_STDOUT,
            stderr=process.OUR_STDERR,
        )

    def drain(self) -> None:
        """Have it take no more work and end when what runs is over.

        Its first process alone is told, and once: a signal to all of them hangs django-q2.
        """
        if self.runs and self._child is not None:
            self._child.terminate()

    @property
    def runs(self) -> bool:
        """Whether its first process lives."""
        return self._child is not None and self._child.poll() is None

    def end(self) -> None:
        """Kill what is left of it."""
        if self._child is not None:
            self._child.stop(grace=0)
            self._child.close()
            self._child = None
