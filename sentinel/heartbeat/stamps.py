"""Files that hold a time: heartbeats, and when the gate first ran."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sentinel.heartbeat.files import UnreadableError, bytes_read, fill, folder_ensure, write_atomically

STAMP_LIMIT_BYTES = 4096
_ISO = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
_EPOCH = re.compile(rb"[0-9]{1,10}")


class ReadingState(StrEnum):
    """What reading a file that holds a time came to."""

    MISSING = "missing"
    INVALID = "invalid"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that holds a time, as read: `time` (UTC) is set for TIME, `problem` for INVALID."""

    state: ReadingState
    time: datetime | None = None
    problem: str = ""


MISSING = Reading(ReadingState.MISSING)


# Times


def stamp_write(path: Path, time: datetime) -> None:
    """Put `time` into `path` as one ISO 8601 UTC line, in whole seconds, all or nothing.

    Raises ValueError for a time without a zone, OSError when the file cannot be written.
    """
    write_atomically(path, _line(time))


def stamp_read(path: Path) -> Reading:
    """Read the time that `path` holds. Never raises, never waits, reads 4 KB at most.

    ISO 8601 with a zone, as `stamp_write` and `date -u +%FT%TZ` write it, or epoch seconds, as
    `date +%s` does.
    """
    try:
        data = bytes_read(path, STAMP_LIMIT_BYTES)
    except UnreadableError as error:
        return Reading(ReadingState.INVALID, problem=str(error))
    if data is None:
        return MISSING
    time = stamp_parse(data)
    if time is None:
        return Reading(ReadingState.INVALID, problem="the file does not hold one line with a time")
    return Reading(ReadingState.TIME, time)


def stamp_parse(data: bytes) -> datetime | None:
    """The UTC time in one line, or None. See `stamp_read` for the two formats."""
    text = data.strip()
    try:
        if _EPOCH.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC)
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):  # 31 February; year 1 an hour east of Greenwich
        return None
    return None


def stamp_text(time: datetime) -> str:
    """`time` as ISO 8601 UTC in whole seconds. Raises ValueError for a time without a zone."""
    if time.tzinfo is None:
        raise ValueError("A time without a zone cannot go into a status file.")
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _line(time: datetime) -> bytes:
    return f"{stamp_text(time)}\n".encode("ascii")


# First boot


def first_boot_path(heartbeat: Path) -> Path:
    """Where the first start is noted."""
    return heartbeat.with_name("first_boot")


def first_boot_ensure(heartbeat: Path, now: datetime) -> Reading:
    """Note `now` as the first start unless one is noted, and read what is noted.

    A restart does not extend the grace: the file is made once (O_EXCL) and never written again.
    MISSING when it cannot be created, and then there is no grace.
    """
    path = first_boot_path(heartbeat)
    with contextlib.suppress(OSError):  # already there, or a folder we may not write
        folder_ensure(path.parent)
        with path.open("xb") as file:
            fill(file, _line(now))
    return stamp_read(path)


def first_boot_read(heartbeat: Path) -> Reading:
    """When the gate first ran here."""
    return stamp_read(first_boot_path(heartbeat))
