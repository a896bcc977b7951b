"""What is stale, and what the schedules alone would let become so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from backups.models import Database
from backups.scheduling import staleness

NOW = datetime.fromisoformat("2026-11-23T12:00+00:00")


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> None:
    settings.SENTINEL = replace(settings.SENTINEL, threshold_seconds=93600, verified_threshold_seconds=0)


@pytest.mark.parametrize(
    ("database", "told"),
    [
        (Database(), []),
        (Database(backup_cron=""), []),
        (Database(backup_cron="0 3 * * *"), []),
        (
            Database(backup_cron="0 3 * * 1-5"),
            ["Backups are scheduled up to 3 days apart and are stale after 26 hours: the gate closes"],
        ),
        (
            Database(backup_cron="0 3 * * 1-5", gates_app=False),
            ["Backups are scheduled up to 3 days apart and are stale after 26 hours: an alert comes"],
        ),
        (Database(backup_cron="0 3 * * 1-5", heartbeat_threshold=4 * 86400), []),
        (Database(heartbeat_threshold=3600), ["up to 13 hours apart and are stale after 60 minutes"]),
    ],
)
def test_backups_that_come_too_rarely_are_told(
    database: Database, told: list[str], settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Rome"

    found = list(staleness.conflicts(database, NOW))

    assert len(found) == len(told)
    for sentence, words in zip(found, told, strict=True):
        assert words in sentence


def test_verifications_that_come_too_rarely_are_told(settings: Settings) -> None:
    settings.SENTINEL = replace(settings.SENTINEL, verified_threshold_seconds=3 * 86400)

    (sentence,) = staleness.conflicts(Database(), NOW)

    assert "the newest verified backup gets 7 days old" in sentence
    assert "SENTINEL_VERIFIED_THRESHOLD_SECONDS allows 3 days" in sentence


@pytest.mark.parametrize(("backup_cron", "hours"), [("0 6 * * *", 23), ("0 3,15 * * *", 2), ("0 5 * * *", 0)])
def test_a_verified_backup_is_as_old_as_it_was_when_it_was_verified(
    backup_cron: str, hours: int, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"
    reached = 7 * 24 + hours

    for allowed, told in ((reached, 1), (reached + 1, 0)):
        settings.SENTINEL = replace(settings.SENTINEL, verified_threshold_seconds=allowed * 3600)
        assert len(list(staleness.conflicts(Database(backup_cron=backup_cron), NOW))) == told


def test_how_long_a_backup_takes_counts(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    daily = Database(backup_cron="0 3 * * *")

    (sentence,) = staleness.conflicts(daily, NOW, takes=timedelta(hours=3))

    assert "up to 24 hours apart, take 3 h, and are stale after 26 hours" in sentence
    assert not list(staleness.conflicts(daily, NOW, takes=timedelta(minutes=5)))


def test_two_verifications_in_one_night_do_not_make_a_week_without_one_too_long() -> None:
    twice = Database(verify_cron="0 5,6 * * 0")

    allowed = staleness.verification_allowed(twice, NOW)

    assert allowed is not None
    assert allowed > timedelta(days=13)


@pytest.mark.parametrize("cron", ["", "61 5 * * 0"])
def test_where_nothing_would_verify_again_a_proof_counts_for_a_month(cron: str) -> None:
    assert staleness.proof_counts(Database(verify_cron=cron), NOW) == timedelta(days=31)
    assert staleness.proof_counts(Database(verify_cron="0 5 * * 0"), NOW) == timedelta(days=14)
