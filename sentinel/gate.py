"""The decision: may the application be used, given what lies in the status files and the time.

Pure: no file, no clock, no Django. The rules, for each database that gates:

1. A heartbeat that cannot be read as a time, or lies more than 60 s in the future, is `invalid`.
2. No heartbeat is `grace` while the boot grace runs, else `missing`. A heartbeat that was written
   once and is too old is never covered by grace.
3. A heartbeat older than the threshold is `stale`; exactly as old as it is still fresh.
4. Where verification is required, a heartbeat that is fresh needs a `last_verified` that is not
   too old, else `unverified`. One that never was written is `grace` while the boot grace runs.
5. Where a threshold is set for binary logs, a heartbeat that is fresh, or not there yet in grace, needs a
   `last_logged` that is not too old, else `stale`, if the database's log is to be stored. No grace covers
   that, nor one that is not there: it is written at once when somebody wants the log stored.

The worst database decides, in the order of `SEVERITY`; among equals the oldest. An override opens
whatever is closed. Ages are whole seconds, rounded down, and what is shown is what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from sentinel.heartbeat import MISSING, Override, Reading, ReadingState

FUTURE_TOLERANCE_SECONDS = 60


class Word(StrEnum):
    """The gate's answer in one word: the body of `/sentinel/ok` (contract)."""

    FRESH = "fresh"
    GRACE = "grace"
    OVERRIDE = "override"
    STALE = "stale"
    MISSING = "missing"
    INVALID = "invalid"
    UNVERIFIED = "unverified"


class Age(StrEnum):
    """Which of a database's ages decided about it."""

    BACKUP = "backup"
    VERIFIED = "verified"
    LOG = "log"


OPEN = frozenset({Word.FRESH, Word.GRACE, Word.OVERRIDE})
# Least to worst. What cannot be judged at all comes last, so that it is repaired first.
SEVERITY = (Word.FRESH, Word.GRACE, Word.UNVERIFIED, Word.STALE, Word.MISSING, Word.INVALID)


@dataclass(frozen=True)
class Limits:
    """How old is too old, in seconds. 0 asks for no verification, and for no stored log."""

    threshold_seconds: int = 93600
    boot_grace_seconds: int = 86400
    verified_threshold_seconds: int = 0
    log_threshold_seconds: int = 0


@dataclass(frozen=True, slots=True)
class DatabaseFiles:
    """What lies in the status folder for one database that gates.

    `name` is empty where the gate knows no name. `threshold_seconds` replaces the general one.
    A database that is not `known` gets no grace: a name mistyped must not open a gate. `logged` counts only
    where its binary log is to be stored (`is_logged`).
    """

    name: str
    heartbeat: Reading
    verified: Reading = MISSING
    threshold_seconds: int | None = None
    known: bool = True
    logged: Reading = MISSING
    is_logged: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that lies in the status folder. A `problem` is why it cannot be judged."""

    databases: tuple[DatabaseFiles, ...]
    first_boot: Reading = MISSING
    override: Override | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseVerdict:
    """How one database stands; ages in whole seconds where known."""

    name: str
    word: Word
    reason: str
    age_seconds: int | None = None
    verified_age_seconds: int | None = None
    log_age_seconds: int | None = None
    decided_by: Age = Age.BACKUP


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the application may be used, and why in one sentence.

    `age_seconds`, `database` and `decided_by` are those of the database that decided.
    """

    open: bool
    word: Word
    reason: str
    age_seconds: int | None = None
    database: str = ""
    databases: tuple[DatabaseVerdict, ...] = field(default=())
    decided_by: Age = Age.BACKUP


def decide(observation: Observation, limits: Limits, now: datetime) -> Verdict:
    """Judge what was observed at `now` (with a zone). Same input, same verdict."""
    verdict = _without_override(observation, limits, now)
    override = observation.override
    if verdict.open or override is None or override.until <= now:
        return verdict
    return replace(verdict, open=True, word=Word.OVERRIDE, reason=_override_reason(override, verdict))


def _without_override(observation: Observation, limits: Limits, now: datetime) -> Verdict:
    if observation.problem or not observation.databases:
        reason = observation.problem or "There is nothing to judge the backups by."
        return Verdict(open=False, word=Word.INVALID, reason=reason)
    in_grace = _in_grace(observation.first_boot, limits, now)
    judged = tuple(_judge(files, limits, in_grace, now) for files in observation.databases)
    worst = max(judged, key=_badness)
    return Verdict(
        open=worst.word in OPEN,
        word=worst.word,
        reason=worst.reason,
        age_seconds=worst.age_seconds,
        database=worst.name,
        databases=judged,
        decided_by=worst.decided_by,
    )


def _badness(verdict: DatabaseVerdict) -> tuple[int, int]:
    return SEVERITY.index(verdict.word), verdict.age_seconds or 0


def age_seconds(time: datetime, now: datetime) -> int:
    """Whole seconds from `time` to `now`, rounded down; negative in the future."""
    return (now - time) // _SECOND


_SECOND = datetime.resolution * 1_000_000


def _age(reading: Reading, now: datetime) -> int | None:
    """The age of a time read, at least 0; None where there is none to go by.

    Clocks of two machines differ a little; more than 60 s ahead, the time is not to be believed.
    """
    if reading.time is None:
        return None
    age = age_seconds(reading.time, now)
    return None if age < -FUTURE_TOLERANCE_SECONDS else max(age, 0)


def _in_grace(first_boot: Reading, limits: Limits, now: datetime) -> bool:
    age = _age(first_boot, now)
    return age is not None and age < limits.boot_grace_seconds


def _judge(files: DatabaseFiles, limits: Limits, in_grace: bool, now: datetime) -> DatabaseVerdict:
    age, verified_age = _age(files.heartbeat, now), _age(files.verified, now)
    log_age = _age(files.logged, now)
    by = Age.BACKUP
    word, reason = _heartbeat(files, age, limits, in_grace)
    is_good = word in OPEN
    if word is Word.FRESH and limits.verified_threshold_seconds:
        by, allowed = Age.VERIFIED, limits.verified_threshold_seconds
        word, reason = _verification(files, verified_age, allowed, in_grace)
    if is_good and files.is_logged and limits.log_threshold_seconds:
        of_log = _log(files, log_age, limits.log_threshold_seconds)
        if SEVERITY.index(of_log[0]) > SEVERITY.index(word):
            by, (word, reason) = Age.LOG, of_log
    return DatabaseVerdict(files.name, word, reason, age, verified_age, log_age, by)


def _heartbeat(files: DatabaseFiles, age: int | None, limits: Limits, in_grace: bool) -> tuple[Word, str]:
    """Rules 1 to 3."""
    of = _of(files.name)
    if files.heartbeat.state is ReadingState.MISSING:
        if not files.known:
            return Word.MISSING, f"No database named {files.name} is backed up here."
        if in_grace:
            return Word.GRACE, f"No backup{of} was made yet, and the boot grace still runs."
        return Word.MISSING, f"No backup{of} was ever made, and no boot grace runs."
    if age is None:
        return Word.INVALID, f"The heartbeat{of} {_fault(files.heartbeat)}."
    allowed = limits.threshold_seconds
    if files.threshold_seconds is not None:
        allowed = files.threshold_seconds
    reason = f"The newest backup{of} is {age} s old; {allowed} s are allowed."
    return (Word.STALE if age > allowed else Word.FRESH), reason


def _verification(files: DatabaseFiles, age: int | None, allowed: int, in_grace: bool) -> tuple[Word, str]:
    """Rule 4."""
    of = _of(files.name)
    if files.verified.state is ReadingState.MISSING:
        if in_grace:
            return Word.GRACE, f"No backup{of} was verified yet, and the boot grace still runs."
        return Word.UNVERIFIED, f"No backup{of} was ever verified."
    if age is None:
        return Word.UNVERIFIED, f"The time of the last verification{of} {_fault(files.verified)}."
    reason = f"The newest verified backup{of} is {age} s old; {allowed} s are allowed."
    return (Word.UNVERIFIED if age > allowed else Word.FRESH), reason


def _log(files: DatabaseFiles, age: int | None, allowed: int) -> tuple[Word, str]:
    """Rule 5."""
    of = _of(files.name)
    if files.logged.state is ReadingState.MISSING:
        return Word.STALE, f"The gate is not told up to when the binary log{of} is stored."
    if age is None:
        return Word.STALE, f"The time up to which the binary log{of} is stored {_fault(files.logged)}."
    reason = f"The binary log{of} is stored up to {age} s ago; {allowed} s are allowed."
    return (Word.STALE if age > allowed else Word.FRESH), reason


def _of(name: str) -> str:
    return f" of {name}" if name else ""


def _fault(reading: Reading) -> str:
    if reading.state is ReadingState.TIME:
        return f"lies more than {FUTURE_TOLERANCE_SECONDS} s in the future"
    return f"cannot be read ({reading.problem})"


def _override_reason(override: Override, closed: Verdict) -> str:
    by = f" by {override.by}" if override.by else ""
    why = f" ({override.reason})" if override.reason else ""
    return (
        f"Kept open{by} until {override.until:%Y-%m-%d %H:%M:%S} UTC{why}, though it would be {closed.word}."
    )
