"""What the worker answers of the archive of a log: whether there can be one, and that it is switched on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backups.endpoints import database_server
from backups.errors import Problem
from backups.requests.log_questions import LogCheckQuestion, LogSwitchQuestion
from backups.shipping import checks, packets, switching
from backups.text.sentences import Sentence


def check(question: LogCheckQuestion) -> dict[str, Any]:
    """All that keeps it from being stored, what is worth knowing, and what is to be run. Raises Problem."""
    database = question.database
    found = checks.checked(database_server(database), database.database)
    return {
        "refused": [each.sentence() for each in found.refused],
        "warnings": [
            *found.warnings,
            *packets.warnings(database),
            *switching.gate_closes_meanwhile(database),
        ],
        "statements": [each for problem in found.refused for each in _statements(problem)],
    }


def switch_on(question: LogSwitchQuestion) -> dict[str, Any]:
    """Switch it on. Raises Problem where the server is not fit any more; then nothing is changed."""
    _, warnings = switching.switch_on(question.database, question.by)
    return {"warnings": list(warnings)}


def _statements(problem: Problem) -> Iterator[str]:
    """What an administrator is to run, which the sentence names."""
    statement = problem.do.params.get("statement") if isinstance(problem.do, Sentence) else None
    if isinstance(statement, str):
        yield statement
