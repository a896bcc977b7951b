"""The file by which an operator keeps the application open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sentinel.heartbeat.files import json_read, json_write
from sentinel.heartbeat.stamps import stamp_parse, stamp_text


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's decision to keep the application open until a time, and who took it."""

    until: datetime
    by: str
    reason: str


# Override


def override_path(heartbeat: Path) -> Path:
    """Where an operator's override lies."""
    return heartbeat.with_name("override")


def override_write(heartbeat: Path, override: Override) -> None:
    """Keep the gate open until `override.until`.

    Raises ValueError for a time without a zone or too long a reason, OSError when not writable.
    """
    json_write(
        override_path(heartbeat),
        {
            "until": stamp_text(override.until),
            "by": override.by,
            "reason": override.reason,
        },
    )


def override_clear(heartbeat: Path) -> bool:
    """Take the override away; False when there was none. Raises OSError when it stays."""
    try:
        override_path(heartbeat).unlink()
    except FileNotFoundError:
        return False
    return True


def override_read(heartbeat: Path, now: datetime) -> Override | None:
    """The override in force at `now`. An expired, unreadable or malformed one counts as absent."""
    try:
        override = _override_from(json_read(override_path(heartbeat), absent={}))
    except ValueError:
        return None
    return override if override and now < override.until else None


def _override_from(value: object) -> Override | None:
    match value:
        case {"until": str(until), **rest} if time := stamp_parse(until.encode()):
            return Override(time, str(rest.get("by", "")), str(rest.get("reason", "")))
    return None
