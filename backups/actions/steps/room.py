"""Is there room for a second copy of a database? Asked before one is made beside the live one."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from backups import mysql
from backups.dumpfile.sections import Kind
from backups.endpoints import database_server
from backups.errors import Problem
from backups.models import Snapshot
from backups.text import formatting
from backups.text.sentences import phrase

# InnoDB builds secondary keys by sorting, through files as large as the largest of them, and lets
# its files grow by several megabytes at a time; a full disk would stop the live database as well.
_MARGIN = 1.25


@dataclass(frozen=True)
class Room:
    """The bytes that are left, and where."""

    free: int
    where: str


def refuse_without_room(
    connection: Any,
    server: mysql.Server,
    snapshot: Snapshot,
    *,
    instead: str,
    tables: Collection[str] = (),
) -> None:
    """Raise Problem where a copy of the snapshot's database surely does not fit on the server.

    Where nobody knows what is left, VERIFY_MAX_MB says how much may be taken. `tables` are those
    that are loaded, empty for all; `instead` is what else can be done.
    """
    wanted = _wanted(connection, server, snapshot, tables)
    room = _room(connection, server) or _allowed()
    if wanted is None or room is None or wanted <= room.free:
        return
    raise Problem(
        phrase(
            "A copy of snapshot {snapshot} needs about {wanted}; {free} {where}.",
            snapshot=snapshot.short_id,
            wanted=formatting.size(wanted),
            free=formatting.size(room.free),
            where=room.where,
        ),
        code="room.too_little",
        safe=phrase("Nothing was made there, and the live database was not touched."),
        do=phrase("Free some space there, or {instead}.", instead=instead),
    )


def is_known(connection: Any, server: mysql.Server) -> bool:
    """Whether anything tells how large a copy may be."""
    return (_room(connection, server) or _allowed()) is not None


@contextmanager
def full_disk_told(name: str, *, instead: str) -> Iterator[None]:
    """Say of a disk that filled while the database `name` was loaded what became of that, and what to do.

    In the block it is dropped at once, which gives back what it took, unless that needs room as well.
    """
    try:
        yield
    except mysql.DiskFull as problem:
        dropped = phrase("was dropped at once")
        if isinstance(problem.__context__, mysql.DiskFull):  # as we tried to
            dropped = phrase("could not be dropped yet, which is tried again every minute")
        problem.safe = phrase("{name} {dropped}; nothing else was touched.", name=name, dropped=dropped)
        problem.do = phrase("Free some space there, or {instead}.", instead=instead)
        raise


# ---------------------------------------------------------------- How much is wanted


def _wanted(connection: Any, server: mysql.Server, snapshot: Snapshot, tables: Collection[str]) -> int | None:
    """What the copy will take in bytes, the server's binary log included; None where nothing tells."""
    dump = _dump_bytes(snapshot)
    # What the database took when it was backed up; for an older snapshot what it takes now. Either is
    # a guess of the server's, which after much was written lags behind by minutes.
    taken = (snapshot.manifest or {}).get("space_used") or _taken_now(connection, server, snapshot)
    taken = max(taken, dump)
    share = _share(snapshot, tables)
    logged = dump if mysql.data_folder(connection).has_binary_log else 0
    return int((taken * _MARGIN + logged) * share) or None


def _dump_bytes(snapshot: Snapshot) -> int:
    """The size of the dump, unpacked where its manifest tells."""
    return int((snapshot.manifest or {}).get("bytes") or snapshot.total_bytes_processed or 0)


def _taken_now(connection: Any, server: mysql.Server, snapshot: Snapshot) -> int:
    """What the live database takes; nothing where its server cannot be asked."""
    if snapshot.database is None:
        return 0
    with suppress(Problem):
        live = database_server(snapshot.database)
        if live == server:
            return mysql.space_used(connection, snapshot.database.database)
        with mysql.connect(live) as other:
            return mysql.space_used(other, snapshot.database.database)
    return 0


def _share(snapshot: Snapshot, tables: Collection[str]) -> float:
    """Which part of the dump the chosen tables are."""
    sections = (snapshot.manifest or {}).get("sections", [])
    rows = [(each["name"], each["bytes"]) for each in sections if each["kind"] == Kind.ROWS]
    whole = sum(size for _, size in rows)
    if not tables or not whole:
        return 1.0
    return sum(size for name, size in rows if name in tables) / whole


# ---------------------------------------------------------------- How much there is


def _room(connection: Any, server: mysql.Server) -> Room | None:
    """What is left where the server keeps its data, if it or this machine can tell."""
    folder = mysql.data_folder(connection)
    free = mysql.free_by_plugin(connection, folder.path)
    if free is None and _is_here(server.host, folder):
        with suppress(OSError):
            found = os.statvfs(folder.path)
            free = found.f_bavail * found.f_frsize
    return (
        None
        if free is None
        else Room(free, phrase("are free in {path} at {address}", path=folder.path, address=server.address))
    )


def _is_here(host: str, folder: mysql.DataFolder) -> bool:
    """Whether the server's folder is one of this machine, and not of a container with its ports here."""
    return _is_loopback(host) and folder.hostname == os.uname().nodename


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _allowed() -> Room | None:
    if not settings.VERIFY_MAX_MB:
        return None
    return Room(settings.VERIFY_MAX_MB * 1_000_000, phrase("are allowed by VERIFY_MAX_MB"))
