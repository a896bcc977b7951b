"""Asking for a backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import Action
from backups.models import Run
from backups.requests.base import DatabaseRequest, database_of


@dataclass(frozen=True)
class BackupRequest(DatabaseRequest):
    """Back a database up; a `scheduled` one leaves what follows to the night, as a schedule's does."""

    action = Action.BACKUP

    scheduled: bool = False

    def parameters(self) -> dict[str, Any]:
        """Whether it is one of a schedule, though a command asks for it."""
        return {"scheduled": True} if self.scheduled else {}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(database_of(run), bool(payload.get("scheduled")))
