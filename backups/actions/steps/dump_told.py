"""What a dump program told of its failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backups.errors import Problem
from backups.text.sentences import told_again


def problem_told(reported: Mapping[str, Any]) -> Problem | None:
    """The failure that a report tells, in the words of the program; None where it tells none."""
    told = reported.get("problem")
    if told is None:
        return None
    what, do = told.get("made_of", ({}, {}))
    return Problem(
        told_again(told["what"], what), code=told.get("code", "dump.failed"), do=told_again(told["do"], do)
    )
