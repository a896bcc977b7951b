"""Reads rows and status files, and has the verdict judge them: for pages, figures, commands and alerts.

The number of queries does not grow with the history, nor with the number of databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language

from backups import marks, verdict
from backups.models import Database, WorkerPulse
from backups.reports import gate_words, seen, workers
from backups.reports.database_facts import OfDatabase
from backups.reports.newest_rows import NewestRun, NewestSnapshot
from backups.reports.seen import GATE_PROCESS, ORDERS, gate_process
from backups.scheduling.staleness import LOG_FETCHED_EVERY
from sentinel.environment import GateSettings
from sentinel.gate import Observation, Word, decide
from sentinel.heartbeat import Reading
from sentinel.kept import Kept
from sentinel.kept import look as look_of_folder
from sentinel.observe import observe, observe_again

__all__ = [
    "FILES", "GATE_PROCESS", "ORDERS", "Standing", "gate_by_files", "gate_process", "read", "read_told",
]  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """How everything stands at one moment, with what rows tell of each database, by its key."""

    now: datetime
    found: Mapping[int, OfDatabase]
    repositories: Sequence[Any]
    overall: verdict.Overall
    gate: verdict.GateFacts
    # What lies in the status folder: of very many databases it is not read twice.
    files: Observation
    # How many alerts and channels do not reach everybody.
    failing: int
    workers: Sequence[verdict.WorkerFacts]
    # Of which versions of their groups the databases are; none where these are some alone.
    groups: Sequence[object]

    @cached_property
    def databases(self) -> list[Any]:
        """Their rows."""
        return [each.row for each in self.found.values()]

    @property
    def closes_at(self) -> datetime | None:
        """When the gate closes where no further backup is made."""
        return self.gate.closes_at

    def good(self, database: Any) -> NewestRun | None:
        """The newest backup that succeeded."""
        return self.found[database.pk].good if database.pk in self.found else None

    def newest(self, database: Any) -> NewestSnapshot | None:
        """The newest snapshot that counts as a backup."""
        return self.found[database.pk].newest if database.pk in self.found else None

    def proved(self, database: Any) -> NewestSnapshot | None:
        """The newest of these that is verified."""
        return self.found[database.pk].proved if database.pk in self.found else None


def read(now: datetime | None = None, versions: marks.Versions | None = None) -> Standing:
    """Look at everything. Rows are read once for each version of them, if need be asked for here.

    What time alone decides is judged anew each time, and so are files, but of further databases by whoever
    asks with versions, and whether workers are there.
    """
    now = now or timezone.now()
    files = observed(now, versions.version if versions else "")
    version = versions.version if versions else marks.version()
    # A caller's own time is not that of the version.
    # Some of what is kept is a text already.
    of = f"{version} {int(now.timestamp()) // marks.BOUND_SECONDS} {get_language()}"
    news: list[seen.Seen] = []

    def look() -> seen.Seen:
        news.append(seen.of_all(now, versions))
        return news[0]

    found = _SEEN.get(of, look)
    # Signs of life are never kept.
    return _judged(found, files, now, news[0].pulses if news else None)


def read_told(now: datetime, keys: Iterable[int]) -> Standing:
    """The same, but of the databases only those with these keys: more is told of them than runs and age tell.

    Who tells people looks each minute, and almost never is there such a database.
    """
    found = seen.of_some(now, Database.objects.in_service().filter(pk__in=keys))
    return _judged(found, observed(now), now, found.pulses)


_SEEN = marks.Kept[seen.Seen]()


def _judged(
    found: seen.Seen, files: Observation, now: datetime, pulses: Sequence[WorkerPulse] | None
) -> Standing:
    facts = replace(
        found.facts,
        now=now,
        gate=gate_by_files(now, files),
        workers=workers.facts(pulses),
    )
    overall = verdict.overall(facts)
    return Standing(
        now, found.databases, found.repositories, overall, facts.gate, files,
        found.failing, facts.workers, found.groups,
    )  # fmt: skip


# Read again where they do not look as they did.
FILES = Kept()


def observed(now: datetime, version: str = "") -> Observation:
    """What lies in the status folder.

    For who has a version of the rows, files of further databases are looked at once for it: who writes there
    is a run, which leaves marks before and afterwards. To look at thousands takes most of the time.
    """
    limits: GateSettings = settings.SENTINEL
    look = version and look_of_folder(limits)
    if not look:
        return observe(limits, now, files=FILES)
    seen = _OBSERVED.get((version, look), lambda: observe(limits, now, files=FILES))
    return observe_again(seen, limits, now)


_OBSERVED = marks.Kept[Observation]()


# ---------------------------------------------------------------- The gate


def gate_by_files(now: datetime | None = None, files: Observation | None = None) -> verdict.GateFacts:
    """What the gate's process has to say, whether it says so or not; by `files` where those are read."""
    now = now or timezone.now()
    limits: GateSettings = settings.SENTINEL
    observation = files or observe(limits, now, files=FILES)
    found = decide(observation, limits, now)
    worst = next(
        (
            gate_words.sentence(one, files, limits)
            for one, files in zip(found.databases, observation.databases, strict=False)
            if one.name == found.database
        ),
        gate_words.reason(found.reason),
    )
    if found.word is Word.OVERRIDE:
        worst = found.reason
    closes_at = _closes_at(observation, limits, now) if found.open else None
    return verdict.GateFacts(found.open, found.word.value, worst, closes_at, found.decided_by.value)


class _Closing(NamedTuple):
    """When an open gate closes by what was observed, as it was worked out."""

    observation: Observation
    limits: GateSettings
    asked: datetime
    at: datetime | None


# Of this process, put in its place as a whole.
_closing: list[_Closing] = []


def _closes_at(observation: Observation, limits: GateSettings, now: datetime) -> datetime | None:
    """When it closes by itself. While the same is observed, that stays so until then."""
    known = _closing[0] if _closing else None
    is_same = known is not None and (known.limits, known.observation) == (limits, observation)
    if known and is_same and known.asked <= now and (known.at is None or now + _SECOND <= known.at):
        return known.at
    at = _first_closed(observation, limits, now)
    _closing[:] = [_Closing(observation, limits, now, at)]
    return at


def _first_closed(observation: Observation, limits: GateSettings, now: datetime) -> datetime | None:
    """The gate is asked what it would say after each time that ends something.

    A log goes on being stored, whether backups are made or not: only where it does not, that is an end too.
    """
    ends = [now]
    if not _logs_stand_still(observation, limits, now):
        limits = replace(limits, log_threshold_seconds=0)
    for files in observation.databases:
        own = files.threshold_seconds
        ends += _end(files.heartbeat, limits.threshold_seconds if own is None else own)
        ends += _end(files.verified, limits.verified_threshold_seconds)
        if files.is_logged and limits.log_threshold_seconds:
            ends += _end(files.logged, limits.log_threshold_seconds)
    ends += _end(observation.first_boot, limits.boot_grace_seconds)
    if observation.override is not None:
        ends.append(observation.override.until)
    for end in sorted(end for end in ends if end >= now):
        if not decide(observation, limits, end + _SECOND).open:
            return end
    return None


def _logs_stand_still(observation: Observation, limits: GateSettings, now: datetime) -> bool:
    """Whether half of the time is over in which a log, which is fetched each minute, has to be stored."""
    half = timedelta(seconds=limits.log_threshold_seconds) / 2
    times = [files.logged.time for files in observation.databases if files.is_logged]
    return bool(half) and any(time is not None and now - time > max(half, _FETCHED) for time in times)


_FETCHED = 2 * LOG_FETCHED_EVERY
_SECOND = timedelta(seconds=1)


def _end(reading: Reading, seconds: int) -> list[datetime]:
    return [reading.time + timedelta(seconds=seconds)] if reading.time is not None else []
