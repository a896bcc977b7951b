"""What an action leaves to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backups.choices import Action, Trigger
from backups.errors import Problem


@dataclass(frozen=True)
class FollowUp:
    """A run that should follow this one, as its child; of the database too, or of its repository alone."""

    action: Action
    options: Mapping[str, Any] = field(default_factory=dict)
    of_database: bool = True
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
