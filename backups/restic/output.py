"""The lines that restic writes, JSON or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from backups.text.terminal import bounded

# Where in Go's code something went wrong: a function, and below it file and line.
_TRACE = re.compile(r"\n[^\n]+\n\t.*", re.DOTALL)
# What restic says, one after the other, of a command that did not end well whose output it was to store.
_OF_A_FAILED_COMMAND = re.compile(
    r"failed to save .*: Fatal: command failed|no result$"
    r"|unable to save snapshot: (?:context canceled$|failed to save .*: Fatal: command failed)"
)
_OF_A_LOCK = re.compile(r"already locked|^lock was created at|^storage ID |`unlock` command")


def tells_of_failed_command(line: str) -> bool:
    """Whether a line that was made `readable` says no more than that the command has failed."""
    return _OF_A_FAILED_COMMAND.match(line) is not None


def tells_of_lock(line: str) -> bool:
    """Whether a line that was made `readable` says who holds a lock, as exit status 11 goes with."""
    return _OF_A_LOCK.search(line) is not None


def readable(line: str) -> str:
    """A line of standard error for a person: the message of a JSON line, other lines as they are."""
    message = message_in(line)
    nested = message.get("error")
    text = message.get("message") or (nested.get("message") if isinstance(nested, dict) else None)
    return bounded(_TRACE.sub("", str(text or line)).removeprefix("Fatal: ").strip())


def reasons(stderr: Iterable[str]) -> list[str]:
    """What standard error says, a line each, without traces of Go's code; what was fatal comes last."""
    others: list[str] = []
    fatal: list[str] = []
    for line in stderr:
        if line.startswith("\t"):
            # Named in the line before it.
            others = others[:-1]
        elif text := readable(line).partition("\n")[0].strip():
            (fatal if line.startswith("Fatal: ") else others).append(text)
    return others + fatal


def message_in(line: str) -> dict[str, Any]:
    """The JSON object in a line, an empty one for all other lines."""
    if not line.startswith("{"):
        return {}
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
