"""From the status folder to a verdict: the only place where files, clock and decision meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import DatabaseFiles, Observation, Verdict, Word, decide
from sentinel.heartbeat import GatesError

_started: set[Path] = set()


def verdict(settings: GateSettings, now: datetime, database: str | None = None) -> Verdict:
    """How the gate stands at `now`, for all databases that gate or for the one named.

    A fresh backup needs neither grace nor override, so those files are read only without one.
    """
    at_first_sight = decide(observe(settings, now, database, full=False), settings, now)
    if at_first_sight.word is Word.FRESH:
        return at_first_sight
    return decide(observe(settings, now, database), settings, now)


def note_start(path: Path, now: datetime) -> None:
    """Note the first boot, once per process and heartbeat file.

    Not on every request: a first_boot that vanishes while the gate runs must not start a grace.
    And whether or not there is a heartbeat: one lost years later must not start one either.
    """
    if path not in _started:
        _started.add(path)
        heartbeat.first_boot_ensure(path, now)


def observe(
    settings: GateSettings,
    now: datetime,
    database: str | None = None,
    *,
    full: bool = True,
    files: Files | None = None,
) -> Observation:
    """Read the status folder, however damaged it is; unless `full`, the heartbeats only."""
    files = files or Files()
    path = settings.heartbeat_path
    note_start(path, now)
    override = heartbeat.override_read(path, now) if full else None
    verified = full or bool(settings.verified_threshold_seconds)
    try:
        sources = files.sources(settings, database)
    except GatesError as error:
        return Observation((), override=override, problem=str(error))
    return Observation(
        databases=tuple(files.of(source, verified=verified) for source in sources),
        first_boot=heartbeat.first_boot_read(path) if full else heartbeat.MISSING,
        override=override,
    )


def observe_again(seen: Observation, settings: GateSettings, now: datetime) -> Observation:
    """What was observed, with the override and the first boot of now."""
    path = settings.heartbeat_path
    override, first_boot = heartbeat.override_read(path, now), heartbeat.first_boot_read(path)
    return replace(seen, override=override, first_boot=first_boot)


@dataclass(frozen=True, slots=True)
class Source:
    """A database to look at, and where its heartbeat lies."""

    name: str
    path: Path
    threshold_seconds: int | None = None
    known: bool = True
    is_logged: bool = False


class Files:
    """Reads what lies in the status folder: all of it each time."""

    def sources(self, settings: GateSettings, database: str | None) -> tuple[Source, ...]:
        """Those that gate, or the one named. Raises GatesError."""
        path = settings.heartbeat_path
        main = Source(settings.database, path)
        gates = tuple(
            Source(gate.name, path.parent / gate.path, gate.threshold_seconds, is_logged=gate.is_logged)
            for gate in heartbeat.gates_read(path)
        )
        if database is None:
            return gates or (main,)
        for source in (*gates, main):
            if source.name == database:
                return (source,)
        # Backed up without gating, or not at all: judged, but without the grace of a first start.
        return (Source(database, heartbeat.last_ok_path(path, database), known=False),)

    def of(self, source: Source, *, verified: bool) -> DatabaseFiles:
        """The times of one database, unless `verified` without that of its newest proved backup."""
        return DatabaseFiles(
            name=source.name,
            heartbeat=heartbeat.stamp_read(source.path),
            verified=heartbeat.stamp_read(heartbeat.verified_beside(source.path))
            if verified
            else heartbeat.MISSING,
            threshold_seconds=source.threshold_seconds,
            known=source.known,
            logged=heartbeat.stamp_read(heartbeat.logged_beside(source.path))
            if source.is_logged
            else heartbeat.MISSING,
            is_logged=source.is_logged,
        )
