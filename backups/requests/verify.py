"""Asking for a verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import Action
from backups.models import Run, Snapshot
from backups.requests.base import About, DatabaseRequest, database_of


@dataclass(frozen=True)
class VerifyRequest(DatabaseRequest):
    """Prove that a snapshot restores in full; without one, the newest that there is when it begins."""

    action = Action.VERIFY

    snapshot: Snapshot | None = None

    @property
    def about(self) -> About:
        """The database and the snapshot."""
        return About(database=self.database, snapshot=self.snapshot)

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again; of a run that chose its snapshot itself, with that one."""
        return cls(database_of(run), run.snapshot)
