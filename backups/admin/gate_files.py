"""The files of the status folder, for the gate's page: what each means, and whether the gate takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from backups.text import formatting
from backups.text.sentences import phrase
from sentinel.environment import GateSettings
from sentinel.gate import DatabaseFiles, age_seconds
from sentinel.heartbeat import Override, Reading, ReadingState


@dataclass(frozen=True)
class File:
    """A file in the status folder, as the gate reads it."""

    name: str
    meaning: str
    state: str
    colour: str


def of(
    databases: tuple[DatabaseFiles, ...],
    first_boot: Reading,
    override: Override | None,
    limits: GateSettings,
    now: datetime,
) -> list[File]:
    """Those of each database, and those of the gate itself."""
    found = [each for files in databases for each in _of_database(files, limits, now)]
    grace = formatting.approximate_duration(limits.boot_grace_seconds)
    found.append(
        _file(
            "first_boot",
            phrase("When the gate first ran; its grace is {grace}", grace=grace),
            first_boot,
            now,
            0,
        )
    )
    state = (
        phrase("until {until}", until=formatting.clock(override.until)) if override else phrase("not there")
    )
    colour = "warning" if override else "plain"
    return [*found, File("override", phrase("Keeps the gate open for a while"), state, colour)]


def _of_database(files: DatabaseFiles, limits: GateSettings, now: datetime) -> Iterator[File]:
    of = phrase(" of {files}", files=files.name) if files.name else ""
    own = files.threshold_seconds
    allowed = limits.threshold_seconds if own is None else own
    of_backup = phrase("When the newest good backup{of} was made", of=of)
    yield _file("last_ok", of_backup, files.heartbeat, now, allowed)
    of_proof = phrase("When the newest verified backup{of} was made", of=of)
    yield _file("last_verified", of_proof, files.verified, now, limits.verified_threshold_seconds)
    if files.is_logged:
        of_log = phrase("Up to when the binary log{of} is stored", of=of)
        yield _file("last_logged", of_log, files.logged, now, limits.log_threshold_seconds)


def _file(name: str, meaning: str, reading: Reading, now: datetime, allowed: int) -> File:
    """A file as the gate takes it: too old is red, as long as `allowed` (0 is no limit) says so."""
    if reading.state is ReadingState.MISSING or reading.time is None:
        state = (
            phrase("unreadable: {problem}", problem=reading.problem)
            if reading.problem
            else phrase("not there")
        )
        return File(name, meaning, state, "danger" if reading.problem else "plain")
    if age_seconds(reading.time, now) < -60:
        return File(
            name,
            meaning,
            phrase("in the future: {reading}", reading=formatting.clock(reading.time)),
            "danger",
        )
    state = f"{formatting.clock(reading.time)} ({formatting.age(reading.time, now)})"
    if allowed and age_seconds(reading.time, now) > allowed:
        return File(
            name,
            meaning,
            phrase(
                "{state}, too old: {allowed} are allowed",
                state=state,
                allowed=formatting.approximate_duration(allowed),
            ),
            "danger",
        )
    return File(name, meaning, state, "success" if allowed else "plain")
