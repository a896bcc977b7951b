"""Over how many connections a snapshot is loaded."""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from django.conf import settings

from backups import mysql, process
from backups.errors import Problem
from backups.loading.connections import choose
from backups.models import Snapshot
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural


def load_connections(
    snapshot: Snapshot, server: mysql.Server, progress: Progress, *, tables: Collection[str] = ()
) -> int:
    """How many connections load a snapshot, or these tables of it; the run's log and result say why."""
    number, because = chosen_for(_size(snapshot, tables), server)
    over = plural("{n} connection", "{n} connections", n=number)
    progress.log(phrase("Rows are loaded over {over}: {because}.", over=over, because=because))
    progress.note(load_connections=number, load_connections_because=because)
    return number


def chosen_for(size: int, server: mysql.Server) -> mysql.ChosenConnections:
    """How many connections load a dump of so many bytes, and why."""
    wished = settings.RESTORE_CONNECTIONS
    return choose(wished, process.available_cores(), size, inf if wished else _to_take(server))


def _to_take(server: mysql.Server) -> float:
    """Where the server does not tell, it gives what it has when the load begins."""
    try:
        with mysql.connect(server) as connection:
            return mysql.connections_to_take(connection)
    except Problem:
        return inf


def _size(snapshot: Snapshot, tables: Collection[str]) -> int:
    manifest = snapshot.manifest
    if manifest is None:
        return snapshot.total_bytes_processed or 0
    if not tables:
        return int(manifest["bytes"])
    return sum(int(section["bytes"]) for section in manifest["sections"] if section["name"] in tables)
