"""Asking for a backup."""

from __future__ import annotations

from dataclasses import dataclass

from backups.choices import Action
from backups.requests.base import DatabaseRequest


@dataclass(frozen=True)
class BackupRequest(DatabaseRequest):
    """Back a database up."""

    action = Action.BACKUP
