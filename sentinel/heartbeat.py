"""The files that the backups leave and the gate reads.

Everything lies beside the main heartbeat file (SENTINEL_HEARTBEAT_PATH), world-readable and
without secrets:

    last_ok                  the first database's heartbeat: the time of its newest good backup,
                             which is when restic began it
    last_verified            when that database's newest snapshot was proved by a restore
    <folder>/last_ok         the same for each further database; see `folder_name`
    <folder>/last_verified
    first_boot               when the gate first ran; the boot grace counts from it
    override                 JSON {until, by, reason}: an operator keeps the application open
    gates.json               JSON [{name, path, threshold_seconds}]: the databases that gate
    drill                    JSON {word, until}: who asks with this word is told that the gate is
                             closed, and nobody else; it ends within a minute

Only files, no Django: the gate must answer when everything else is down.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote

STAMP_LIMIT_BYTES = 4096
JSON_LIMIT_BYTES = 256 * 1024
FOLDER_NAME_LIMIT = 200
OWN_FILES = frozenset({"last_ok", "last_verified", "first_boot", "override", "gates.json", "drill"})
# A quarter of the minute is left for clocks that differ.
DRILL_LASTS = timedelta(seconds=45)
DRILL_LASTS_AT_MOST = timedelta(seconds=60)

_ISO = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
_EPOCH = re.compile(rb"[0-9]{1,10}")
DRILL_HEADER = "X-Vedetta-Drill"
# As deploy/nginx lets it through to the gate.
_DRILL_WORD = re.compile(r"[0-9a-f]{32}")


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


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's decision to keep the application open until a time, and who took it."""

    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gate:
    """A database that must be fresh for the gate to open.

    `path` is its heartbeat file, relative to the status folder. `threshold_seconds` replaces
    SENTINEL_THRESHOLD_SECONDS for this database.
    """

    name: str
    path: str
    threshold_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """Until when whoever asks with `word` is told that the gate is closed."""

    word: str
    until: datetime


class DrillUnderWayError(ValueError):
    """Another drill has not ended, and there is one file for all."""


class GatesError(ValueError):
    """The list of gating databases is there but cannot be trusted, so the gate must close."""


class UnreadableError(ValueError):
    """A file is there and its content cannot be had; says why, in words for a person."""


# Where things are


def folder_name(database: str) -> str:
    """The folder of a database's files, safe on disk whatever a person named the database.

    The only place of this mapping. Percent-encoded, so one name gives one folder; too long a
    name ends in a digest ("+" never comes out of the encoding); a name like one of our own files
    has its first letter encoded too. Raises ValueError for no name.
    """
    if not database:
        raise ValueError("A database needs a name to have a status folder.")
    encoded = quote(database, safe="", errors="surrogatepass")
    if encoded[0] == "." or encoded in OWN_FILES:
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) > FOLDER_NAME_LIMIT:
        digest = hashlib.sha256(encoded.encode()).hexdigest()[:32]
        encoded = f"{encoded[:150]}+{digest}"
    return encoded


def last_ok_path(heartbeat: Path, database: str | None = None) -> Path:
    """The heartbeat of a further `database`, or of the first one: `heartbeat` itself."""
    return heartbeat if database is None else heartbeat.parent / _inside(database, "last_ok")


def last_verified_path(heartbeat: Path, database: str | None = None) -> Path:
    """Where the last proved restore of a further `database`, or of the first one, is noted."""
    return last_ok_path(heartbeat, database).with_name("last_verified")


def gate_for(heartbeat: Path, name: str, *, first: bool, threshold_seconds: int | None = None) -> Gate:
    """The entry for `gates_write` of the first database, or of a further one."""
    path = heartbeat.name if first else _inside(name, "last_ok")
    return Gate(name, path, threshold_seconds)


def _inside(database: str, file_name: str) -> str:
    return f"{folder_name(database)}/{file_name}"


# Times


def stamp_write(path: Path, time: datetime) -> None:
    """Put `time` into `path` as one ISO 8601 UTC line, in whole seconds, all or nothing.

    Raises ValueError for a time without a zone, OSError when the file cannot be written.
    """
    _write_atomically(path, _line(time))


def stamp_read(path: Path) -> Reading:
    """Read the time that `path` holds. Never raises, never waits, reads 4 KB at most.

    ISO 8601 with a zone, as `stamp_write` and `date -u +%FT%TZ` write it, or epoch seconds, as
    `date +%s` does.
    """
    try:
        data = _bytes_read(path, STAMP_LIMIT_BYTES)
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
        _folder_ensure(path.parent)
        with path.open("xb") as file:
            _fill(file, _line(now))
    return stamp_read(path)


def first_boot_read(heartbeat: Path) -> Reading:
    """When the gate first ran here."""
    return stamp_read(first_boot_path(heartbeat))


# Override


def override_path(heartbeat: Path) -> Path:
    """Where an operator's override lies."""
    return heartbeat.with_name("override")


def override_write(heartbeat: Path, override: Override) -> None:
    """Keep the gate open until `override.until`.

    Raises ValueError for a time without a zone or too long a reason, OSError when not writable.
    """
    _json_write(
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
        override = _override_from(_json_read(override_path(heartbeat), absent={}))
    except ValueError:
        return None
    return override if override and now < override.until else None


def _override_from(value: object) -> Override | None:
    match value:
        case {"until": str(until), **rest} if time := stamp_parse(until.encode()):
            return Override(time, str(rest.get("by", "")), str(rest.get("reason", "")))
    return None


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
    _json_write(drill_path(heartbeat), {"word": drill.word, "until": stamp_text(drill.until)})
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
        value = _json_read(drill_path(heartbeat), absent={})
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


# The databases that gate


def gates_path(heartbeat: Path) -> Path:
    """Where the portal lists the databases that gate."""
    return heartbeat.with_name("gates.json")


def gates_write(heartbeat: Path, gates: Iterable[Gate]) -> None:
    """Say which databases must be fresh for the gate to open.

    Raises GatesError for an entry that could not be read back, OSError when not writable.
    """
    entries = [
        {"name": gate.name, "path": gate.path, "threshold_seconds": gate.threshold_seconds} for gate in gates
    ]
    for entry in entries:
        _gate_from(entry)
    _json_write(gates_path(heartbeat), entries)


def gates_read(heartbeat: Path) -> tuple[Gate, ...]:
    """The databases that gate; none listed, or no list, leaves the main heartbeat to decide.

    Raises GatesError when a list is there and is not one: a damaged list must not open a gate.
    """
    try:
        value = _json_read(gates_path(heartbeat), absent=[])
    except UnreadableError as error:
        raise GatesError(f"The list of gating databases is unreadable: {error}.") from error
    if not isinstance(value, list):
        raise GatesError("The list of gating databases is not a list.")
    return tuple(_gate_from(entry) for entry in value)


def _gate_from(entry: object) -> Gate:
    match entry:
        case {"name": str(name), "path": str(path), **rest} if name and _is_safe(path):
            threshold = rest.get("threshold_seconds")
            if threshold is None or (type(threshold) is int and threshold >= 0):
                return Gate(name, path, threshold)
    raise GatesError("The list of gating databases holds an entry that makes no sense.")


def _is_safe(path: str) -> bool:
    """Whether a listed path stays in the status folder."""
    parts = PurePosixPath(path)
    return bool(parts.name) and not parts.is_absolute() and not {"..", "\0"} & {*parts.parts, *path}


# Files


def _bytes_read(path: Path, limit: int) -> bytes | None:
    """A regular file's content, None where there is no file.

    Raises UnreadableError, also when there is more than `limit` bytes; the rest is not read.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer, and the gate with it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UnreadableError("a symbolic link that leads nowhere") from None
        return None
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error
    try:
        data = _descriptor_read(descriptor, limit + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise UnreadableError(f"larger than {limit} bytes")
    return data


def _descriptor_read(descriptor: int, size: int) -> bytes:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnreadableError("not a regular file")
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _json_read(path: Path, *, absent: object) -> object:
    """The JSON value in `path`, or `absent` where there is no file. Raises UnreadableError."""
    data = _bytes_read(path, JSON_LIMIT_BYTES)
    if data is None:
        return absent
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not JSON") from error


def _json_write(path: Path, value: object) -> None:
    data = json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
    if len(data) > JSON_LIMIT_BYTES:
        raise ValueError(f"{path.name} would be larger than {JSON_LIMIT_BYTES} bytes.")
    _write_atomically(path, data)


def _write_atomically(path: Path, data: bytes) -> None:
    """Readers see the old content or the new, also after a power cut. Raises OSError."""
    _folder_ensure(path.parent)
    with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            _fill(file, data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _folder_sync(path.parent)


def _fill(file: IO[bytes], data: bytes) -> None:
    os.fchmod(file.fileno(), 0o644)  # whatever the umask, or mkstemp, made it
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _folder_ensure(folder: Path) -> None:
    if folder.is_dir():
        return
    _folder_ensure(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask


def _folder_sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
