"""The decision, as a table: what lies in the folder, and what the gate says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sentinel.gate import Age, DatabaseFiles, Limits, Observation, Word, decide
from sentinel.heartbeat import MISSING, Override, Reading, ReadingState

NOW = datetime(2026, 11, 23, 12, 0, 0, 400_000, tzinfo=UTC)
LIMITS = Limits(threshold_seconds=100, boot_grace_seconds=50)
VERIFIED_LIMITS = Limits(100, 50, verified_threshold_seconds=1000)
LOG_LIMITS = Limits(100, 50, log_threshold_seconds=30)
DAMAGED = Reading(ReadingState.INVALID, problem="not a regular file")


def ago(seconds: float) -> Reading:
    return Reading(ReadingState.TIME, NOW - timedelta(seconds=seconds))


def until(seconds: float) -> Override:
    return Override(NOW + timedelta(seconds=seconds), "anna", "moving house")


def said(
    heartbeat: Reading = MISSING,
    *,
    verified: Reading = MISSING,
    first_boot: Reading = MISSING,
    override: Override | None = None,
    limits: Limits = LIMITS,
) -> tuple[Word, int | None]:
    files = DatabaseFiles("orders", heartbeat, verified)
    verdict = decide(Observation((files,), first_boot, override), limits, NOW)
    assert verdict.open == (verdict.word in {"fresh", "grace", "override"})
    assert verdict.reason.endswith(".")
    return verdict.word, verdict.age_seconds


@pytest.mark.parametrize(
    ("heartbeat", "word", "age"),
    [
        (ago(0), "fresh", 0),
        (ago(99), "fresh", 99),
        (ago(100), "fresh", 100),
        (ago(100.9), "fresh", 100),
        (ago(101), "stale", 101),
        (ago(10**9), "stale", 10**9),
        (ago(-1), "fresh", 0),
        (ago(-60), "fresh", 0),
        (ago(-60.1), "invalid", None),
        (ago(-(10**6)), "invalid", None),
        (DAMAGED, "invalid", None),
        (MISSING, "missing", None),
    ],
)
def test_the_age_of_the_heartbeat_decides(heartbeat: Reading, word: str, age: int | None) -> None:
    assert said(heartbeat) == (word, age)


@pytest.mark.parametrize(
    ("heartbeat", "first_boot", "word"),
    [
        (MISSING, ago(0), "grace"),
        (MISSING, ago(49.9), "grace"),
        (MISSING, ago(50), "missing"),
        (MISSING, MISSING, "missing"),
        (MISSING, DAMAGED, "missing"),
        (MISSING, ago(-60), "grace"),
        (MISSING, ago(-61), "missing"),
        (ago(101), ago(0), "stale"),
        (DAMAGED, ago(0), "invalid"),
        (ago(-61), ago(0), "invalid"),
        (ago(5), ago(0), "fresh"),
    ],
)
def test_grace_covers_only_a_first_start_without_any_heartbeat(
    heartbeat: Reading, first_boot: Reading, word: str
) -> None:
    assert said(heartbeat, first_boot=first_boot)[0] == word


@pytest.mark.parametrize(
    ("heartbeat", "override", "word"),
    [
        (ago(101), until(1), "override"),
        (MISSING, until(1), "override"),
        (DAMAGED, until(1), "override"),
        (ago(5), until(1), "fresh"),
        (ago(101), until(0), "stale"),
        (ago(101), until(-1), "stale"),
    ],
)
def test_an_override_opens_what_is_closed_until_it_ends(
    heartbeat: Reading, override: Override, word: str
) -> None:
    assert said(heartbeat, override=override)[0] == word


@pytest.mark.parametrize(
    ("heartbeat", "verified", "first_boot", "word"),
    [
        (ago(5), ago(1000), MISSING, "fresh"),
        (ago(5), ago(1001), MISSING, "unverified"),
        (ago(5), ago(1001), ago(1), "unverified"),
        (ago(5), MISSING, MISSING, "unverified"),
        (ago(5), MISSING, ago(1), "grace"),
        (ago(5), DAMAGED, ago(1), "unverified"),
        (ago(5), ago(-61), ago(1), "unverified"),
        (ago(101), MISSING, ago(1), "stale"),
        (MISSING, ago(5), MISSING, "missing"),
    ],
)
def test_a_required_verification_must_be_recent_too(
    heartbeat: Reading, verified: Reading, first_boot: Reading, word: str
) -> None:
    limits = VERIFIED_LIMITS
    assert said(heartbeat, verified=verified, first_boot=first_boot, limits=limits)[0] == word


def test_no_grace_at_all_can_be_asked_for() -> None:
    assert said(first_boot=ago(0), limits=Limits(100, 0))[0] == "missing"


@pytest.mark.parametrize(
    ("others", "word", "database"),
    [
        ({"a": ago(5), "b": ago(9)}, "fresh", "b"),
        ({"a": ago(5), "b": ago(101)}, "stale", "b"),
        ({"a": ago(102), "b": ago(101)}, "stale", "a"),
        ({"a": MISSING, "b": ago(101)}, "missing", "a"),
        ({"a": MISSING, "b": DAMAGED, "c": ago(101)}, "invalid", "b"),
    ],
)
def test_of_several_databases_the_worst_decides_and_is_named(
    others: dict[str, Reading], word: str, database: str
) -> None:
    files = tuple(DatabaseFiles(name, reading) for name, reading in others.items())
    verdict = decide(Observation(files), LIMITS, NOW)
    assert (verdict.word, verdict.database) == (word, database)
    assert f" {database} " in verdict.reason
    assert [one.name for one in verdict.databases] == list(others)


def test_a_database_may_have_a_threshold_of_its_own() -> None:
    files = DatabaseFiles("ledger", ago(101), threshold_seconds=200)
    assert decide(Observation((files,)), LIMITS, NOW).word == "fresh"


def test_an_unknown_database_gets_no_grace() -> None:
    files = DatabaseFiles("oders", MISSING, known=False)
    verdict = decide(Observation((files,), first_boot=ago(0)), LIMITS, NOW)
    assert (verdict.word, verdict.reason) == (
        "missing",
        "No database named oders is backed up here.",
    )


@pytest.mark.parametrize("problem", ["", "The list of gating databases is unreadable: not JSON."])
def test_nothing_to_judge_by_is_closed(problem: str) -> None:
    assert decide(Observation((), problem=problem), LIMITS, NOW).word == "invalid"


def said_of_log(
    logged: Reading,
    *,
    heartbeat: Reading | None = None,
    limits: Limits = LOG_LIMITS,
    is_logged: bool = True,
    first_boot: Reading = MISSING,
) -> tuple[Word, Age]:
    files = DatabaseFiles("orders", heartbeat or ago(50), logged=logged, is_logged=is_logged)
    verdict = decide(Observation((files,), first_boot), limits, NOW)
    assert verdict.open == (verdict.word in {"fresh", "grace"})
    assert verdict.reason.endswith(".")
    # The age in the header is always that of the backup.
    assert verdict.age_seconds == (50 if heartbeat is None else verdict.databases[0].age_seconds)
    return verdict.word, verdict.decided_by


@pytest.mark.parametrize(
    ("logged", "word"),
    [
        (ago(0), "fresh"),
        (ago(30), "fresh"),
        (ago(31), "stale"),
        (ago(-60), "fresh"),
        (ago(-61), "stale"),
        (DAMAGED, "stale"),
        (MISSING, "stale"),
    ],
)
def test_a_log_that_is_to_be_stored_must_not_be_too_old(logged: Reading, word: str) -> None:
    assert said_of_log(logged) == (word, Age.LOG if word == "stale" else Age.BACKUP)
    # No first start covers a log of which nothing is told, neither after the first backup nor before it.
    assert said_of_log(logged, first_boot=ago(1))[0] == word
    before = "grace" if word == "fresh" else word
    assert said_of_log(logged, heartbeat=MISSING, first_boot=ago(1))[0] == before


@pytest.mark.parametrize("logged", [ago(10**6), DAMAGED, MISSING])
def test_without_a_threshold_or_a_stored_log_nothing_changes(logged: Reading) -> None:
    assert said_of_log(logged, limits=LIMITS) == ("fresh", Age.BACKUP)
    assert said_of_log(logged, is_logged=False) == ("fresh", Age.BACKUP)


def test_a_stored_log_makes_nothing_better() -> None:
    assert said_of_log(ago(1), heartbeat=ago(101)) == ("stale", Age.BACKUP)
    assert said_of_log(ago(1), heartbeat=DAMAGED) == ("invalid", Age.BACKUP)
    assert said_of_log(ago(1), heartbeat=MISSING) == ("missing", Age.BACKUP)


def test_of_a_proof_and_a_log_the_worse_decides() -> None:
    limits = Limits(100, 50, verified_threshold_seconds=1000, log_threshold_seconds=30)
    old = DatabaseFiles("orders", ago(50), ago(1001), logged=ago(31), is_logged=True)

    verdict = decide(Observation((old,)), limits, NOW)
    assert (verdict.word, verdict.decided_by) == ("stale", Age.LOG)

    verdict = decide(Observation((replace(old, logged=ago(1)),)), limits, NOW)
    assert (verdict.word, verdict.decided_by) == ("unverified", Age.VERIFIED)


def test_an_override_opens_what_a_log_closes() -> None:
    files = DatabaseFiles("orders", ago(50), logged=MISSING, is_logged=True)

    verdict = decide(Observation((files,), override=until(60)), LOG_LIMITS, NOW)

    assert (verdict.open, verdict.word) == (True, "override")
