"""Asking for a look at what a backup needs, or for a drill of the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import DRILL, Action
from backups.models import Run
from backups.requests.base import DatabaseRequest, database_of
from backups.runs.asked import GATE


@dataclass(frozen=True)
class PreflightRequest(DatabaseRequest):
    """See whether all is there that a backup of a database needs, and what else its users may do."""

    action = Action.PREFLIGHT

    with_grants: bool = False

    def parameters(self) -> dict[str, Any]:
        """Whether the rights are to be told, where they are: a worker of before passes over that."""
        return {"with_grants": True} if self.with_grants else {}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(database_of(run), payload.get("with_grants") is True)


@dataclass(frozen=True)
class DrillRequest(DatabaseRequest):
    """See whether the gate closes an address. It is about no database, but a run has to have one."""

    action = Action.PREFLIGHT
    form = DRILL

    url: str

    def parameters(self) -> dict[str, Any]:
        """The address."""
        return {"url": self.url}

    def options(self) -> dict[str, Any]:
        """The address under its name of before."""
        return {GATE: self.url}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(database_of(run), str(payload["url"]))

    @classmethod
    def told_before(cls, run: Run) -> Mapping[str, Any]:
        """The address under its name of now."""
        return {"url": run.options[GATE]}
