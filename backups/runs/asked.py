"""What a run is inserted with: who asks for it, and for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.contrib.auth.models import User

from backups.choices import DRILL, Action, Trigger, right_to_start
from backups.models import Database, Repository, Run, Snapshot

# The one option by which rows of before 1.0 tell a drill from a preflight.
GATE = "gate"


@dataclass(frozen=True)
class Asker:
    """Who asks for a run: by which way, which person, within or after which other run.

    `slot` is the planned time that a schedule asks for, `waits` says that a command waits for its turn
    instead of being refused.
    """

    trigger: Trigger
    user: User | None = None
    parent: Run | None = None
    slot: datetime | None = None
    waits: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a run is to do, as its row has it."""

    action: Action
    database: Database | None = None
    repository: Repository | None = None
    snapshot: Snapshot | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] | None = None

    @property
    def where(self) -> Repository:
        """The repository that it uses. Raises ValueError where it is about nothing."""
        if self.repository is not None:
            return self.repository
        if self.snapshot is not None:
            # Which is not its database's, once that was given another.
            return self.snapshot.repository
        if self.database is None:
            raise ValueError("a run needs a database or a repository")
        return self.database.repository


class Submits(Protocol):
    """A request, as far as they know one who pass it on."""

    def submit(self, asker: Asker, *, send: bool = True) -> Run:
        """Insert its run. Raises Problem."""


def form_of(run: Run) -> str:
    """Which form of request a run was asked for with, also one of before 1.0, whose row has options alone."""
    if isinstance(run.request, dict):
        return str(run.request.get("form", ""))
    is_drill = run.action == Action.PREFLIGHT and isinstance(run.options, dict) and GATE in run.options
    return DRILL if is_drill else run.action


def right_of(run: Run) -> str:
    """The right that whoever asked for a run needs when it begins."""
    return right_to_start(form_of(run))
