"""The file of a drill: who asks with its word is told that the gate is closed."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sentinel.heartbeat.files import json_read, json_write
from sentinel.heartbeat.stamps import stamp_parse, stamp_text

# A quarter of the minute is left for clocks that differ.
DRILL_LASTS = timedelta(seconds=45)
DRILL_LASTS_AT_MOST = timedelta(seconds=60)
DRILL_HEADER = "X-Vedetta-Drill"
# As deploy/nginx lets it through to the gate.
_DRILL_WORD = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Drill:
    """Until when whoever asks with `word` is told that the gate is closed."""

    word: str
    until: datetime


class DrillUnderWayError(ValueError):
    """Another drill has not ended, and there is one file for all."""


# Drill


def drill_path(heartbeat: Path) -> Path:
    """Where the word of a drill lies."""
    return heartbeat.with_name("drill")


def drill_begin(heartbeat: Path, now: datetime) -> Drill:
    """Let the gate be closed for a word of its own, for less than a minute.

    Raises DrillUnderWayError, and OSError when not writable.
    """
    if drill_read(heartbeat, now) is not None:
        raise DrillUnderWayError("Another drill is under way.")
    drill = Drill(secrets.token_hex(16), (now + DRILL_LASTS).replace(microsecond=0))
    json_write(drill_path(heartbeat), {"word": drill.word, "until": stamp_text(drill.until)})
    return drill


def drill_end(heartbeat: Path, drill: Drill, now: datetime) -> bool:
    """Take the drill's file away; False when it was another's by then. Raises OSError when it stays."""
    if drill_read(heartbeat, now) != drill:
        return False
    drill_path(heartbeat).unlink(missing_ok=True)
    return True


def drill_read(heartbeat: Path, now: datetime) -> Drill | None:
    """The drill that is under way. One that is over, unreadable or lasts too long counts as absent."""
    try:
        value = json_read(drill_path(heartbeat), absent={})
    except ValueError:
        return None
    match value:
        case {"word": str(word), "until": str(text)} if until := stamp_parse(text.encode()):
            if _DRILL_WORD.fullmatch(word) and now < until <= now + DRILL_LASTS_AT_MOST:
                return Drill(word, until)
    return None


def is_drilled(heartbeat: Path, word: str, now: datetime) -> bool:
    """Whether a request that carries this word, a stranger's as it may be, belongs to the drill."""
    if not _DRILL_WORD.fullmatch(word):
        return False
    drill = drill_read(heartbeat, now)
    return drill is not None and hmac.compare_digest(word, drill.word)
