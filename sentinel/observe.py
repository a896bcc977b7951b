"""From the status folder to a verdict: the only place where files, clock and decision meet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import DatabaseFiles, Observation, Verdict, decide
from sentinel.heartbeat import Gate, GatesError

_started: set[Path] = set()


def verdict(settings: GateSettings, now: datetime, database: str | None = None) -> Verdict:
    """How the gate stands at `now`, for all databases that gate or for the one named."""
    return decide(observe(settings, now, database), settings, now)


def note_start(path: Path, now: datetime) -> None:
    """Note the first boot, once per process and heartbeat file.

    Not on every request: a first_boot that vanishes while the gate runs must not start a grace.
    And whether or not there is a heartbeat: one lost years later must not start one either.
    """
    if path not in _started:
        _started.add(path)
        heartbeat.first_boot_ensure(path, now)


def observe(settings: GateSettings, now: datetime, database: str | None = None) -> Observation:
    """Read the status folder, however damaged it is."""
    path = settings.heartbeat_path
    note_start(path, now)
    override = heartbeat.override_read(path, now)
    try:
        gates = heartbeat.gates_read(path)
    except GatesError as error:
        return Observation((), override=override, problem=str(error))
    if database is None:
        files = tuple(_listed(path, gate) for gate in gates) or (_main(settings),)
    else:
        files = (_named(settings, gates, database),)
    return Observation(files, heartbeat.first_boot_read(path), override)


def _main(settings: GateSettings) -> DatabaseFiles:
    return _files(settings.heartbeat_path, settings.database)


def _listed(path: Path, gate: Gate) -> DatabaseFiles:
    return _files(path.parent / gate.path, gate.name, gate.threshold_seconds)


def _named(settings: GateSettings, gates: tuple[Gate, ...], database: str) -> DatabaseFiles:
    """The database of that name: listed, or the first one, or one that is backed up but not gating.

    Of any other nothing is known, so it counts as never backed up and has no grace.
    """
    path = settings.heartbeat_path
    for gate in gates:
        if gate.name == database:
            return _listed(path, gate)
    if database == settings.database:
        return _main(settings)
    return _files(heartbeat.last_ok_path(path, database), database, known=False)


def _files(
    path: Path, name: str, threshold_seconds: int | None = None, *, known: bool = True
) -> DatabaseFiles:
    return DatabaseFiles(
        name=name,
        heartbeat=heartbeat.stamp_read(path),
        verified=heartbeat.stamp_read(path.with_name("last_verified")),
        threshold_seconds=threshold_seconds,
        known=known,
    )
