"""The lines that restic writes, JSON or not."""

from __future__ import annotations

import json
from typing import Any


def readable(line: str) -> str:
    """A line of standard error for a person: the message of a JSON line, other lines as they are."""
    message = message_in(line)
    nested = message.get("error")
    text = message.get("message") or (nested.get("message") if isinstance(nested, dict) else None)
    return str(text or line).removeprefix("Fatal: ").strip()


def message_in(line: str) -> dict[str, Any]:
    """The JSON object in a line, an empty one for all other lines."""
    if not line.startswith("{"):
        return {}
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
