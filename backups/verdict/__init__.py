"""From what is known to the worst of it, with its reason and the next step. Pure: no rows, no clock.

`rules.RULES` has a function for each thing that can be wrong; whoever knows of another adds one.
"""

from backups.verdict.facts import (
    DatabaseFacts,
    Facts,
    GateFacts,
    LogDoubt,
    Proof,
    RepositoryFacts,
    RunFacts,
    StandDownFacts,
    WorkerFacts,
)
from backups.verdict.findings import Finding, Overall, Page, State
from backups.verdict.rules import RULES, of_channels, overall

__all__ = [
    "RULES",
    "DatabaseFacts",
    "Facts",
    "Finding",
    "GateFacts",
    "LogDoubt",
    "Overall",
    "Page",
    "Proof",
    "RepositoryFacts",
    "RunFacts",
    "StandDownFacts",
    "State",
    "WorkerFacts",
    "of_channels",
    "overall",
]
