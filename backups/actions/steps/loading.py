"""Loading a snapshot into a database, watched: what verification and restore have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from backups import mysql, process, restic
from backups.actions.steps.opening import OpenedSnapshot
from backups.dumpfile.manifests import ManifestDamaged
from backups.loading.loader import Destination, DumpStream, ended_by_number, load
from backups.loading.problems import CutOff, LoadProblem
from backups.loading.progress import Loading
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def load_snapshot(
    stored: OpenedSnapshot,
    destination: Destination,
    loading: Loading,
    progress: Progress,
    *,
    refuse: Callable[[Loading], None],
) -> float:
    """Load what the destination asks for; `loading` tells how far it came. Answers the seconds it took,
    without those in which tables were only looked at.

    `refuse` raises for a stream that is not what was backed up. Raises ResticError, LoadProblem, and what
    these two raise.
    """
    snapshot, access = stored.snapshot, stored.access
    note_connections = _connections_noted(destination.connections, loading, progress)

    def tick() -> None:
        note_connections()
        progress.bytes_done(loading.bytes_read)
        progress.detail(loading.detail)
        progress.tick()

    began = time.monotonic()
    with restic.dump(access, snapshot.snapshot_id, snapshot.path) as source:
        try:
            load(
                DumpStream(source, gzip=snapshot.path.endswith(".gz")),
                destination,
                loading,
                tick=restic.with_outage_limit(source, access, tick),
                say=progress.warn,
            )
        except CutOff:
            restic.finished(source, access, phrase("reading the snapshot"), progress.tick)
            refuse(loading)
            raise
        except LoadProblem:
            # Half a dump is no fault of the server's: ask restic first how it went.
            if not loading.is_broken_off and source.poll() not in (None, 0):
                restic.finished(source, access, phrase("reading the snapshot"), progress.tick)
            if loading.is_read and not loading.is_broken_off:
                # A statement that was cut off tells less than that the dump was.
                refuse(loading)
            raise
        restic.finished(source, access, phrase("reading the snapshot"), progress.tick)
    refuse(loading)
    loading.computed_anew = _computed_anew(loading, destination.server, destination.database, tick)
    return round(time.monotonic() - began - loading.looked_seconds, 3)


def _connections_noted(noted: int, loading: Loading, progress: Progress) -> Callable[[], None]:
    """What puts into the run's result how many connections the server gave, where not as `noted`."""

    def note() -> None:
        nonlocal noted
        if loading.connections not in (0, noted):
            noted = loading.connections
            progress.note(load_connections=noted)

    return note


def _computed_anew(
    loading: Loading, server: mysql.Server, database: str, tick: process.Tick
) -> list[mysql.ComputedAnew]:
    """Which generated columns are not proved to hold what they did, watched. Raises MySQLProblem."""
    found: list[mysql.ComputedAnew] = []
    tables = loading.found.inventory().get("table", [])
    manifest = None
    with suppress(ManifestDamaged):  # which is for the caller to tell
        manifest = loading.digester.manifest()
    expected = mysql.computed_in(manifest)

    def work(connected: Callable[[int], None]) -> None:
        found.extend(mysql.computed_anew(server, database, tables, expected, connected=connected))

    ended_by_number(server, tick, work)
    return found
