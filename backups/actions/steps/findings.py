"""Where a test restore goes, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backups import mysql
from backups.actions.steps import reach
from backups.choices import Verdict
from backups.dumpfile.ready import Unmade
from backups.errors import Problem
from backups.models import Database


@dataclass(frozen=True)
class RowsAhead:
    """The rows of a table as they were dumped again before all was loaded: the section, and how many."""

    section: dict[str, Any]
    count: int


@dataclass
class Findings:
    """What a verification compared and what it found."""

    compared: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    computed_anew: list[mysql.ComputedAnew] = field(default_factory=list)
    # What a setting of the scratch database's server alone keeps from being made.
    refused: list[Unmade] = field(default_factory=list)
    # What is compared as it is defined, and could not be opened.
    not_run: list[reach.NotRun] = field(default_factory=list)
    unreadable: str = ""
    # By table, what needs not be read once more.
    ahead: Mapping[str, RowsAhead] = field(default_factory=dict)
    restore_seconds: float | None = None
    tables: int | None = None
    rows: int | None = None
    bytes: int | None = None
    source_version: str = ""
    scratch_version: str = ""
    scratch_address: str = ""

    @property
    def verdict(self) -> Verdict:
        """Identical only where something was compared and nothing differs."""
        if self.unreadable:
            return Verdict.UNREADABLE
        return Verdict.DIFFERENT if self.differences else Verdict.IDENTICAL


@dataclass(frozen=True)
class Scratch(mysql.ProbedServer):
    """Where the test restore goes: to this database, for the database of the row."""

    database: str
    row: Database


class Unreadable(Problem):
    """The snapshot's content is not a whole dump."""

    code = "dump.unreadable"
