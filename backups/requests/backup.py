"""Asking for a backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import Action
from backups.models import Database, Run
from backups.requests.base import About, Request, database_of


@dataclass(frozen=True)
class BackupRequest(Request):
    """Back a database up."""

    action = Action.BACKUP
    form = Action.BACKUP.value

    database: Database

    @property
    def about(self) -> About:
        """The database."""
        return About(database=self.database)

    @classmethod
    def from_row(cls, run: Run, told: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(database_of(run))
