"""Asking for a copy of the portal."""

from __future__ import annotations

from dataclasses import dataclass

from backups.choices import Action
from backups.requests.maintenance import RepositoryRequest


@dataclass(frozen=True)
class PortalCopyRequest(RepositoryRequest):
    """Store a copy of the portal in a repository."""

    action = Action.PORTAL
