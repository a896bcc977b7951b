"""How a program ended, or why it was ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backups.text.sentences import phrase

# What is kept of a program whose output is wanted whole: restic tells of 60,000 snapshots in it.
MOST_KEPT = 64 << 20


class Completed(NamedTuple):
    """How a program ended: a negative `returncode` is the signal that killed it."""

    returncode: int
    stdout: bytes
    stderr_tail: tuple[str, ...]


class DeadlineExceeded(Exception):
    """A program ran past its deadline and was ended."""

    def __init__(self, program: str, seconds: float, stderr_tail: Sequence[str]) -> None:
        self.seconds = seconds
        self.stderr_tail = tuple(stderr_tail)
        super().__init__(
            phrase(
                "{program} gave no answer within {seconds} seconds", program=program, seconds=f"{seconds:g}"
            )
        )


class SaidTooMuch(Exception):
    """A program wrote more than is kept of it and was ended."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(
            phrase("{program} wrote more than {most_kept} MB", program=program, most_kept=MOST_KEPT >> 20)
        )


class NotInstalled(Exception):
    """A program is not on this machine."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(phrase("{program} is not installed", program=program))
