"""What is found, and what of it counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from backups.text.sentences import joined
from backups.verdict.facts import StandDownFacts


class State(StrEnum):
    """How things stand, least to worst."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


_SEVERITY = tuple(State)


@dataclass(frozen=True)
class Page:
    """Where a person sees more: a row's kind and key, or the name of a page."""

    kind: str
    pk: int | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. `key` is stable, `next_step` what to do about it.

    `database` and `repository` name what it is of; neither is named where it is of all.
    """

    key: str
    state: State
    reason: str
    next_step: str = ""
    database: str = ""
    repository: str = ""
    page: Page | None = None

    @property
    def sentence(self) -> str:
        """Reason and next step."""
        return joined(each for each in (self.reason, self.next_step) if each)

    def as_json(self) -> dict[str, str]:
        """For `--json`: what it is of only where it is of one."""
        entry = {
            "key": self.key,
            "state": self.state.value,
            "reason": self.reason,
            "next_step": self.next_step,
        }
        of = {"database": self.database, "repository": self.repository}
        return entry | {name: value for name, value in of.items() if value}


@dataclass(frozen=True)
class Overall:
    """The worst of all. `findings` come worst first, and of equals causes before what follows from them.

    `notes` are worth reading, and nothing is the worse for them.
    """

    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    # Each database with its repository.
    databases: Mapping[str, str]
    repositories: tuple[str, ...]
    all_well: str
    # By name: databases whose schedules stand still, whose messages are held back, and that are retired.
    paused: Mapping[str, StandDownFacts] = field(default_factory=dict)
    muted: Mapping[str, StandDownFacts] = field(default_factory=dict)
    retired: Mapping[str, StandDownFacts] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The worst state of all."""
        return worst(self.findings)

    @property
    def reason(self) -> str:
        """Why it is no better."""
        return self.findings[0].reason if self.findings else self.all_well

    @property
    def next_step(self) -> str:
        """What to do first."""
        return self.findings[0].next_step if self.findings else ""

    def of_database(self, name: str) -> tuple[Finding, ...]:
        """What was found of one database, its repository's findings not among them."""
        return self._by_database.get(name, ())

    def of_repository(self, name: str) -> tuple[Finding, ...]:
        """What was found of one repository."""
        return self._by_repository.get(name, ())

    def state_of(self, database: str) -> State:
        """How a database stands with all that its backups depend on alone."""
        own = self._by_database.get(database)
        shared = self._of_repositories.get(self.databases[database], State.GOOD)
        # Of almost all of very many databases nothing is found.
        return max(worst(own), shared, key=_SEVERITY.index) if own else shared

    def of_all(self) -> tuple[Finding, ...]:
        """What is of no single database."""
        return self._by_database.get("", ())

    # Sorted once: of each of many databases all findings would be looked through.

    @cached_property
    def _by_database(self) -> dict[str, tuple[Finding, ...]]:
        return _sorted_by((each.database, each) for each in self.findings)

    @cached_property
    def _of_repositories(self) -> dict[str, State]:
        return {name: worst(found) for name, found in self._by_repository.items()}

    @cached_property
    def _by_repository(self) -> dict[str, tuple[Finding, ...]]:
        return _sorted_by((each.repository, each) for each in self.findings)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verdict": self.state.value,
            "reason": self.reason,
            "next_step": self.next_step,
            "findings": [each.as_json() for each in self.findings],
            "notes": [each.as_json() for each in self.notes],
            "databases": [
                {
                    "database": name,
                    "verdict": self.state_of(name).value,
                    "paused": _as_json(self.paused.get(name)),
                    "muted": _as_json(self.muted.get(name)),
                }
                for name in self.databases
            ],
            "retired": [{"database": name, **one.as_json()} for name, one in self.retired.items()],
            "repositories": [
                {"repository": name, "verdict": worst(self.of_repository(name)).value}
                for name in self.repositories
            ],
        }


def _as_json(one: StandDownFacts | None) -> dict[str, str | None] | None:
    return one.as_json() if one else None


def _sorted_by(findings: Iterable[tuple[str, Finding]]) -> dict[str, tuple[Finding, ...]]:
    found: dict[str, list[Finding]] = defaultdict(list)
    for name, finding in findings:
        found[name].append(finding)
    return {name: tuple(each) for name, each in found.items()}


def worst(findings: Iterable[Finding]) -> State:
    """The worst state of these."""
    return max((each.state for each in findings), key=_SEVERITY.index, default=State.GOOD)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, equals in the order in which they came."""
    return tuple(sorted(findings, key=lambda each: -_SEVERITY.index(each.state)))
