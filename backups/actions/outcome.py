"""What an action leaves to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backups.choices import Action


@dataclass(frozen=True)
class FollowUp:
    """A run that should follow this one, as its child; of the database too, or of its repository alone."""

    action: Action
    options: Mapping[str, Any] = field(default_factory=dict)
    of_database: bool = True


@dataclass(frozen=True)
class Outcome:
    """How an action that succeeded ended."""

    follow_ups: tuple[FollowUp, ...] = ()
