"""Asking for what is done to a repository as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import Action
from backups.models import Database, Repository, Run
from backups.requests.base import About, Request


@dataclass(frozen=True)
class RepositoryRequest(Request):
    """Something to be done to a repository; with a database, for that one alone, or after its backup."""

    repository: Repository
    database: Database | None = None

    @property
    def about(self) -> About:
        """The repository, and the database where there is one."""
        return About(database=self.database, repository=self.repository)

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(run.repository, run.database)


@dataclass(frozen=True)
class InitRequest(RepositoryRequest):
    """Make a repository; `in_place` also where another one lay that the portal knows."""

    action = Action.INIT

    in_place: bool = False

    def parameters(self) -> dict[str, Any]:
        """Whether it may begin in the place of another one."""
        return {"in_place": self.in_place}

    def options(self) -> dict[str, Any]:
        """The same, left out where it may not."""
        return {"in_place": True} if self.in_place else {}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(run.repository, run.database, bool(payload.get("in_place")))


@dataclass(frozen=True)
class SnapshotsRequest(RepositoryRequest):
    """Make the portal's list of snapshots say what a repository holds."""

    action = Action.SNAPSHOTS


@dataclass(frozen=True)
class RecoverRequest(RepositoryRequest):
    """Write down what a repository tells of earlier backups."""

    action = Action.RECOVER


@dataclass(frozen=True)
class ForgetRequest(RepositoryRequest):
    """Forget the snapshots that no rule keeps."""

    action = Action.FORGET


@dataclass(frozen=True)
class PruneRequest(RepositoryRequest):
    """Remove the data that no snapshot needs."""

    action = Action.PRUNE


@dataclass(frozen=True)
class StatsRequest(RepositoryRequest):
    """Measure how much a repository holds."""

    action = Action.STATS


@dataclass(frozen=True)
class CheckRequest(RepositoryRequest):
    """Look for damage: in all data, in a part of it as restic takes it (`5%`), or in the structure alone."""

    action = Action.CHECK

    read_data: bool = False
    read_data_subset: str = ""

    @property
    def reads_all_data(self) -> bool:
        """Whether it tells of all data, which alone shows that damage is mended."""
        return self.read_data or self.read_data_subset in _ALL_DATA

    def parameters(self) -> dict[str, Any]:
        """How much it reads."""
        return {"read_data": self.read_data, "read_data_subset": self.read_data_subset}

    def options(self) -> dict[str, Any]:
        """The same, without what was not said."""
        return {name: value for name, value in self.parameters().items() if value}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        subset = str(payload.get("read_data_subset") or "")
        return cls(run.repository, run.database, bool(payload.get("read_data")), subset)


# Subsets, as restic takes them, that are the whole.
_ALL_DATA = frozenset({"100%", "1/1"})


@dataclass(frozen=True)
class RepairIndexRequest(RepositoryRequest):
    """Build a repository's index anew from the data that is there."""

    action = Action.REPAIR_INDEX


@dataclass(frozen=True)
class RepairSnapshotsRequest(RepositoryRequest):
    """Write damaged snapshots anew without what is lost."""

    action = Action.REPAIR_SNAPSHOTS


@dataclass(frozen=True)
class UnlockRequest(RepositoryRequest):
    """Remove the locks of processes that are dead."""

    action = Action.UNLOCK
