"""What an action leaves to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backups.choices import Action


@dataclass(frozen=True)
class FollowUp:
    """A run that should follow this one, as its child."""

    action: Action
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How an action that succeeded ended."""

    follow_ups: tuple[FollowUp, ...] = ()
