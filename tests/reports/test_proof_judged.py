"""What rows prove: made of planned, how old backups got, and when there was none that was young enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backups.choices import StandDownKind, Status, Trigger
from backups.reports.proof_judged import Gap, Window, ages_of, good_of, plan_of, took_of
from backups.reports.proof_rows import Attempt, Made
from backups.scheduling.left_out import Span

BASE = datetime(2026, 6, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WINDOW = Window(BASE, BASE + 10 * DAY)
TIMES = [BASE + 3 * HOUR + n * DAY for n in range(10)]


def attempt(
    at: datetime, status: str = Status.SUCCEEDED, *, trigger: str = Trigger.SCHEDULE, slot: bool = True
) -> Attempt:
    return Attempt(1, "backup", 7, status, trigger, at if slot else None, at + HOUR, "Why.")


def made(time: datetime, pk: int = 1, **more: Any) -> Made:
    usual = Made(1, pk, time, "", True, pk, time + HOUR, Trigger.SCHEDULE, None, [])
    return usual._replace(**more)


def test_all_that_were_planned_were_made() -> None:
    plan = plan_of([attempt(each) for each in TIMES], TIMES, WINDOW)

    assert (plan.planned, plan.made, plan.missed, plan.note) == (10, 10, [], "")


def test_what_was_not_made_is_told_with_its_run_or_without_any() -> None:
    plan = plan_of([attempt(each) for each in TIMES[2:]] + [attempt(TIMES[1], Status.FAILED)], TIMES, WINDOW)

    assert (plan.planned, plan.made) == (10, 8)
    assert [(each.planned_at, each.status, each.run, each.error) for each in plan.missed] == [
        (TIMES[0], "", None, ""),
        (TIMES[1], "failed", 7, "Why."),
    ]


def test_what_somebody_asked_for_makes_up_for_nothing() -> None:
    plan = plan_of([attempt(TIMES[0], trigger=Trigger.ADMIN)], TIMES, WINDOW)

    assert (plan.planned, plan.made) == (10, 0)


def test_rows_of_before_runs_had_a_planned_time_count_for_the_one_before_them() -> None:
    plan = plan_of([attempt(each, slot=False) for each in TIMES], TIMES, WINDOW)

    assert (plan.planned, plan.made) == (10, 10)


def test_what_a_schedule_of_before_planned_is_not_counted_and_that_is_said() -> None:
    others = [attempt(TIMES[n] + HOUR) for n in range(4)]

    plan = plan_of([*others, *(attempt(each) for each in TIMES[4:])], TIMES, WINDOW)

    assert (plan.planned, plan.made) == (6, 6)
    assert plan.known_from == TIMES[3] + HOUR + timedelta(seconds=1)
    assert "another one before" in plan.note


def test_a_run_that_is_under_way_was_not_missed() -> None:
    until = Window(BASE, TIMES[1] + timedelta(minutes=2))

    assert plan_of([attempt(TIMES[0], Status.RUNNING)], TIMES, until).planned == 0


def test_a_second_try_that_went_well_counts() -> None:
    plan = plan_of([attempt(TIMES[0]), attempt(TIMES[0], Status.FAILED)], TIMES[:1], WINDOW)

    assert (plan.planned, plan.made) == (1, 1)


def test_ages_count_until_the_next_backup_was_there() -> None:
    ages = ages_of([made(each) for each in TIMES], BASE - 21 * HOUR, WINDOW, 26 * HOUR)

    assert ages.longest_seconds == 25 * 3600
    assert list(ages.gaps) == []


def test_a_gap_has_its_begin_and_end() -> None:
    ages = ages_of([made(TIMES[0]), *map(made, TIMES[3:])], BASE - 21 * HOUR, WINDOW, 26 * HOUR)

    assert list(ages.gaps) == [Gap(TIMES[0], TIMES[3] + HOUR, 73 * 3600.0)]
    assert ages.longest_seconds == 73 * 3600


def test_a_gap_that_is_not_over_has_no_end() -> None:
    ages = ages_of([made(TIMES[0])], None, WINDOW, 26 * HOUR)

    assert [(each.begins_at, each.ends_at) for each in ages.gaps] == [(TIMES[0], None)]


def test_the_backup_before_the_range_counts() -> None:
    assert ages_of([], BASE - 3 * DAY, Window(BASE, BASE + HOUR), 26 * HOUR).longest_seconds == 73 * 3600


def test_no_backup_at_all_has_no_age_but_a_gap() -> None:
    ages = ages_of([], None, WINDOW, 26 * HOUR)

    assert ages.longest_seconds is None
    assert [each.ends_at for each in ages.gaps] == [None]


@pytest.mark.parametrize(
    "more",
    [
        {"verdict": "different"},
        {"verdict": "unreadable"},
        {"suspicion": "waiting"},
        {"suspicion": "over"},
        {"trigger": Trigger.RESTORE},
        {"tags": ["before-restore"]},
        {"made_here": False, "run": None},
    ],
)
def test_what_does_not_count_as_a_backup(more: dict[str, object]) -> None:
    ours, other = made(TIMES[0]), made(TIMES[1], 2, **more)

    assert good_of([ours, other]) == [ours]


def test_where_this_portal_made_none_those_of_others_count() -> None:
    theirs = made(TIMES[0], made_here=False, run=None)

    assert good_of([theirs]) == [theirs]


def test_an_accepted_backup_counts() -> None:
    assert len(good_of([made(TIMES[0], suspicion="accepted")])) == 1


def test_restore_times() -> None:
    took = took_of([3.0, None, 1.0, 10.0])

    assert (took.measured, took.slowest, took.median) == (3, 10.0, 3.0)
    assert took_of([None]).measured == 0


# ---------------------------------------------------------------- Paused


def span(begin: datetime, end: datetime | None, kind: str = StandDownKind.PAUSE) -> Span:
    return Span(kind, begin, end, "anna", "The server moves.")


def test_what_was_planned_while_it_was_paused_is_neither_made_nor_missed() -> None:
    paused, retired = span(TIMES[2], TIMES[5]), span(TIMES[8], None, StandDownKind.RETIREMENT)

    plan = plan_of([attempt(each) for each in TIMES[:2]], TIMES, WINDOW, [retired, paused])

    assert (plan.planned, plan.made) == (5, 2)
    assert [each.planned_at for each in plan.missed] == TIMES[5:8]
    assert plan.left_out == {paused: 3, retired: 2}


def test_what_has_a_run_all_the_same_counts_as_that_came_out() -> None:
    runs = [attempt(TIMES[0]), attempt(TIMES[1], Status.FAILED)]

    plan = plan_of(runs, TIMES[:3], WINDOW, [span(BASE, None)])

    assert (plan.planned, plan.made, len(plan.missed)) == (2, 1, 1)
    assert sum(plan.left_out.values()) == 1
