"""The databases that gate: where the files of each lie, and which there are."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sentinel.heartbeat.files import UnreadableError, folder_ensure, json_read, json_write_lines

FOLDER_NAME_LIMIT = 200
# 20,000 databases take half of it.
_LIMIT_BYTES = 4 << 20
_LOCK_SECONDS, _LOCK_POLL_SECONDS = 20.0, 0.05
OWN_FILES = frozenset(
    {"last_ok", "last_verified", "last_logged", "first_boot", "override", "gates.json", "drill"}
)


class GatesError(ValueError):
    """The list of gating databases is there but cannot be trusted, so the gate must close."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A database that must be fresh for the gate to open.

    `path` is its heartbeat file, relative to the status folder. `threshold_seconds` replaces
    SENTINEL_THRESHOLD_SECONDS for this database. Where its binary log is to be stored (`is_logged`),
    `last_logged` beside the heartbeat tells up to when it is.
    """

    name: str
    path: str
    threshold_seconds: int | None = None
    is_logged: bool = False


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
    return verified_beside(last_ok_path(heartbeat, database))


def verified_beside(last_ok: Path) -> Path:
    """Where it is noted, by where the heartbeat lies."""
    return last_ok.with_name("last_verified")


def last_logged_path(heartbeat: Path, database: str | None = None) -> Path:
    """Where it is noted up to when the binary log of a further `database`, or of the first one, is stored."""
    return logged_beside(last_ok_path(heartbeat, database))


def logged_beside(last_ok: Path) -> Path:
    """Where that is noted, by where the heartbeat lies."""
    return last_ok.with_name("last_logged")


def gate_for(heartbeat: Path, name: str, *, first: bool, threshold_seconds: int | None = None) -> Gate:
    """The entry for `gates_write` of the first database, or of a further one."""
    path = heartbeat.name if first else _inside(name, "last_ok")
    return Gate(name, path, threshold_seconds)


def _inside(database: str, file_name: str) -> str:
    return f"{folder_name(database)}/{file_name}"


# The databases that gate


def gates_path(heartbeat: Path) -> Path:
    """Where the portal lists the databases that gate."""
    return heartbeat.with_name("gates.json")


@contextmanager
def gates_held(heartbeat: Path) -> Iterator[None]:
    """Be the only one who makes a list, from reading what it is made of until it is written.

    Who reads the list waits for nobody. Raises TimeoutError where another process holds it for 20 seconds,
    OSError when there can be no lock. It ends with the process that holds it.
    """
    folder_ensure(heartbeat.parent)
    lock = _lock_file(heartbeat.with_name(".gates.lock"))
    try:
        _lock(lock, time.monotonic() + _LOCK_SECONDS)
        yield
    finally:
        os.close(lock)


def _lock_file(path: Path) -> int:
    """Never written to. Root may have made it, under any umask, and the portal must open it all the same."""
    flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        # Over NFS only what may be written to can be locked.
        lock = os.open(path, flags | os.O_RDWR, 0o644)
    except PermissionError:
        try:
            lock = os.open(path, flags | os.O_RDONLY, 0o644)
        except PermissionError:
            path.unlink()
            lock = os.open(path, flags | os.O_RDWR, 0o644)
    with suppress(PermissionError):
        os.fchmod(lock, 0o644)
    return lock


def _lock(file: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process is writing the list") from None
        except OSError:
            return None  # A disk that knows no locks is no reason for a backup to fail.
        time.sleep(_LOCK_POLL_SECONDS)


def gates_write(heartbeat: Path, gates: Iterable[Gate]) -> None:
    """Say which databases must be fresh for the gate to open, within `gates_held` where others may too.

    Raises GatesError for an entry that could not be read back, OSError when not writable.
    """
    entries = [_entry(gate) for gate in gates]
    for entry in entries:
        _gate_from(entry)
    json_write_lines(gates_path(heartbeat), entries, limit=_LIMIT_BYTES)


def _entry(gate: Gate) -> dict[str, object]:
    """One without a log is written as ever: then the list stays as it is."""
    entry: dict[str, object] = {
        "name": gate.name,
        "path": gate.path,
        "threshold_seconds": gate.threshold_seconds,
    }
    return entry | ({"logged": True} if gate.is_logged else {})


def gates_read(heartbeat: Path) -> tuple[Gate, ...]:
    """The databases that gate; none listed, or no list, leaves the main heartbeat to decide.

    Raises GatesError when a list is there and is not one: a damaged list must not open a gate.
    """
    try:
        value = json_read(gates_path(heartbeat), absent=[], limit=_LIMIT_BYTES)
    except UnreadableError as error:
        raise GatesError(f"The list of gating databases is unreadable: {error}.") from error
    if not isinstance(value, list):
        raise GatesError("The list of gating databases is not a list.")
    return tuple(_gate_from(entry) for entry in value)


def _gate_from(entry: object) -> Gate:
    match entry:
        case {"name": str(name), "path": str(path), **rest} if name and _is_safe(path):
            threshold, is_logged = rest.get("threshold_seconds"), rest.get("logged", False)
            if type(is_logged) is bool and (threshold is None or (type(threshold) is int and threshold >= 0)):
                return Gate(name, path, threshold, is_logged)
    raise GatesError("The list of gating databases holds an entry that makes no sense.")


def _is_safe(path: str) -> bool:
    """Whether a listed path stays in the status folder."""
    parts = {each for each in path.split("/") if each not in ("", ".")}
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
