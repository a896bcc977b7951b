"""What an action leaves to be done."""

from __future__ import annotations

from dataclasses import dataclass

from backups.choices import Trigger
from backups.errors import Problem
from backups.runs.asked import Submits


@dataclass(frozen=True)
class FollowUp:
    """What is to be asked for after a run, as a child of it."""

    request: Submits
    trigger: Trigger = Trigger.BACKUP


@dataclass(frozen=True)
class Outcome:
    """How an action ended."""

    follow_ups: tuple[FollowUp, ...] = ()


class CallsForMore(Problem):
    """A failure that is to be followed by other runs."""

    def __init__(
        self, what: str, *follow_ups: FollowUp, code: str = "", do: str = "", safe: str = ""
    ) -> None:
        super().__init__(what, code=code, do=do, safe=safe)
        self.outcome = Outcome(follow_ups)
