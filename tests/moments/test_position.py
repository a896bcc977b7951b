"""From a moment to its place in the log, whatever the times in it say."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.dumpfile.log_positions import Place
from backups.moments.position import Seen, cut_at, cut_before
from backups.moments.timeline import Mark
from tests.moments.logs import FILE, NOON, at, place

HOUR = 3600


def seen(position: int, moment: datetime, gtid: str = "") -> Seen:
    return Seen(Place(FILE, position), Place(FILE, position + 10), moment, gtid)


def test_what_was_committed_at_the_very_moment_is_in_it() -> None:
    log = [seen(10, at(1)), seen(20, at(2)), seen(30, at(3))]

    cut = cut_at(log, at(2), [], Place(FILE, 4))
    assert (cut.place, cut.last, cut.left_out) == (Place(FILE, 30), log[1], log[2])


def test_a_forged_time_decides_nothing() -> None:
    """SET timestamp: a transaction of 2033, and one of 2023, between marks of a minute."""
    marks = [Mark(at(0), Place(FILE, 10)), Mark(at(1), Place(FILE, 40)), Mark(at(2), Place(FILE, 60))]
    log = [
        seen(10, at(0.2)),
        seen(20, at(4_000_000)),
        seen(30, at(0.5)),
        seen(40, at(-2_000_000)),
        seen(50, at(1.5)),
    ]

    assert cut_at(log, at(0.4), marks, Place(FILE, 10)).place == Place(FILE, 30)
    assert cut_at(log, at(1), marks, Place(FILE, 40)).place == Place(FILE, 50)
    assert cut_at(log, at(1.2), marks, Place(FILE, 40)).place == Place(FILE, 50)


def test_of_a_second_that_is_told_alone_nothing_counts_before_it_is_over() -> None:
    """It may have been committed at its end; who wants to be just before a mistake is never behind it."""
    log = [
        Seen(each.begins, each.ends, each.moment, is_exact=False)
        for each in (seen(10, NOON), seen(20, NOON + timedelta(seconds=1)))
    ]

    assert cut_at(log, NOON + timedelta(seconds=0.9), [], Place(FILE, 4)).place == Place(FILE, 4)
    assert cut_at(log, NOON + timedelta(seconds=1), [], Place(FILE, 4)).place == Place(FILE, 20)
    # How long the log was is known besides.
    marks = [Mark(NOON + timedelta(seconds=1.2), Place(FILE, 30))]
    assert cut_at(log, NOON + timedelta(seconds=1.2), marks, Place(FILE, 4)).place == Place(FILE, 30)


def test_a_long_statement_counts_when_it_was_logged() -> None:
    """It began before the one that is logged ahead of it."""
    log = [seen(10, at(2)), seen(20, at(1)), seen(30, at(3))]

    assert cut_at(log, at(1.5), [], Place(FILE, 4)).place == Place(FILE, 4)
    assert cut_at(log, at(2), [], Place(FILE, 4)).place == Place(FILE, 30)


def test_with_nothing_logged_the_place_is_where_the_log_stood() -> None:
    assert cut_at([], at(5), [], place(4)).place == place(4)


def test_before_a_transaction_by_its_place_or_its_name() -> None:
    log = [seen(10, at(1), "0-1-7"), seen(20, at(2), "0-1-8")]

    for wanted in (Place(FILE, 20), "0-1-8"):
        cut = cut_before(log, wanted)
        assert cut is not None
        assert (cut.place, cut.last, cut.left_out) == (Place(FILE, 20), log[0], log[1])
    assert cut_before(log, Place(FILE, 15)) is None
    assert cut_before(log, "0-1-9") is None


@st.composite
def minutes_of_a_server(draw: st.DrawFn) -> tuple[list[int], list[Mark]]:
    """When each transaction was committed, in seconds after noon; and marks that were taken meanwhile."""
    commits = sorted(draw(st.lists(st.integers(0, HOUR), max_size=30)))
    looked = sorted(draw(st.sets(st.integers(0, HOUR), max_size=20)))
    found = []
    for second in looked:
        behind = sum(commit <= second for commit in commits)
        found.append(Mark(NOON + timedelta(seconds=second), Place(FILE, 10 + 10 * behind)))
    return commits, found


@given(server=minutes_of_a_server(), second=st.integers(0, HOUR), forged=st.data())
def test_the_cut_is_where_the_clock_says(
    server: tuple[list[int], list[Mark]], second: int, forged: st.DataObject
) -> None:
    """With true times exactly; with forged ones never beyond the marks on both sides."""
    commits, marks = server
    moment = NOON + timedelta(seconds=second)
    before = [mark.place for mark in marks if mark.moment <= moment]
    after = [mark.place for mark in marks if mark.moment >= moment]
    lower = before[-1] if before else Place(FILE, 10)
    true = [seen(10 + 10 * n, NOON + timedelta(seconds=commit)) for n, commit in enumerate(commits)]
    wanted = 10 + 10 * sum(commit <= second for commit in commits)

    assert cut_at(true, moment, marks, lower).place == Place(FILE, wanted)

    lies = [
        Seen(each.begins, each.ends, NOON + timedelta(seconds=forged.draw(st.integers(-HOUR, 3 * HOUR))))
        for each in true
    ]
    upper = after[0] if after else Place(FILE, 10 + 10 * len(commits))
    found = cut_at((each for each in lies if each.begins < upper), moment, marks, lower).place
    assert lower.position <= found.position <= upper.position


@pytest.mark.parametrize("late", [1, 59])
def test_a_servers_clock_that_is_behind_moves_nothing_beyond_a_mark(late: int) -> None:
    marks = [Mark(at(n), Place(FILE, 10 + 10 * n)) for n in range(6)]
    log = [seen(10 + 10 * n, at(n + 0.5) - timedelta(seconds=late)) for n in range(5)]

    cut = cut_at(log, at(2), marks, Place(FILE, 30))
    assert cut.place.position in (30, 40)
