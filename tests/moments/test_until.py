"""A moment as people write it: in TIME_ZONE, with an offset, or by a transaction."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from backups.errors import Problem
from backups.moments.until import Until, at_moment, before_transaction


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-28 14:31:59", datetime(2026, 11, 28, 13, 31, 59, tzinfo=UTC)),
        ("2026-11-28T14:31:59", datetime(2026, 11, 28, 13, 31, 59, tzinfo=UTC)),
        (" 2026-07-01 14:31:59.250 ", datetime(2026, 7, 1, 12, 31, 59, 250_000, tzinfo=UTC)),
        ("2026-11-28T14:31:59-05:00", datetime(2026, 11, 28, 19, 31, 59, tzinfo=UTC)),
        ("2026-11-28 14:31:59Z", datetime(2026, 11, 28, 14, 31, 59, tzinfo=UTC)),
        # The two of the hour that the clocks repeat.
        ("2026-10-25 02:30:00+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2026-10-25 03:00:00", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_of_time_zone_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    with timezone.override("Europe/Rome"):
        assert at_moment(text).moment == moment


def test_in_the_hour_that_clocks_repeat_both_are_named() -> None:
    with timezone.override("Europe/Rome"), pytest.raises(Problem) as raised:
        at_moment("2026-10-25 02:30:00")

    assert raised.value.code == "moment.repeated_hour"
    assert "2026-10-25T02:30:00+02:00 was the first, 2026-10-25T02:30:00+01:00" in raised.value.do


def test_an_hour_that_clocks_left_out_never_was() -> None:
    with timezone.override("Europe/Rome"), pytest.raises(Problem) as raised:
        at_moment("2026-03-29 02:30:00")

    assert raised.value.code == "moment.left_out_hour"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Lima"])
@pytest.mark.parametrize("text", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_told_or_rounded_in_time_zone_is_none(text: str, zone: str) -> None:
    with timezone.override(zone), pytest.raises(Problem) as raised:
        at_moment(text)

    assert raised.value.code == "moment.no_time"


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "14:31", "0001-01-01 00:00:00+14:00", "\0"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Problem) as raised:
        at_moment(text)

    assert raised.value.code == "moment.no_time"


@pytest.mark.parametrize(
    "text",
    [
        "binlog.000042:1337",
        "mysql-bin.1000000:4",
        "0-1-77",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:23",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:night:1",
    ],
)
def test_a_transaction_by_its_place_or_its_gtid(text: str) -> None:
    until = before_transaction(text)

    assert until.before.lower() == text.lower()
    assert Until.from_row(until.stored()) == until


@pytest.mark.parametrize(
    "text", ["", "42", "binlog.000042", "binlog.000042:-4", "../x.000001:4", "a b.000001:4", "0-1", "x:1"]
)
def test_what_is_no_transaction(text: str) -> None:
    with pytest.raises(Problem) as raised:
        before_transaction(text)

    assert raised.value.code == "moment.no_transaction"


def test_a_row_tells_the_same_again() -> None:
    until = Until(moment=datetime(2026, 11, 28, 14, 31, 59, 1, tzinfo=UTC))

    assert Until.from_row(until.stored()) == until
    assert Until.from_row(None) is None
    with pytest.raises(ValueError, match="2"):
        Until.from_row({**until.stored(), "version": 2})
