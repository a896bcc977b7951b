"""A plan of what a policy keeps is the one that restic's own forget makes, in the zone of the portal."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.snapshots.retention import Dated, Plan, Policy, plan
from tests.backups.conftest import empty_repository
from tests.backups.worlds import RESTIC_PASSWORD, copy_repository

__all__ = ["empty_repository"]

BERLIN = ZoneInfo("Europe/Berlin")
# The night in which its clocks go forward.
BASE = datetime(2026, 3, 29, 4, 0, tzinfo=BERLIN)


def dated(*times: str, series: str = "ours") -> list[Dated]:
    """Snapshots of these times in UTC, each with its time for an id."""
    return [Dated(f"{series} {time}", datetime.fromisoformat(f"{time}Z"), series) for time in times]


def kept(snapshots: Sequence[Dated], daily: int, weekly: int = 0, monthly: int = 0) -> Plan:
    return plan(snapshots, Policy(daily, weekly, monthly), {}, UTC)


# What is there, how many days, weeks and months are kept, and of what stays which rules keep it.
PLANS = {
    "nothing is there": ([], (7, 4, 6), {}),
    "no rule keeps anything": (["2026-01-01T03:00"], (0, 0, 0), {}),
    "the newest of a day": (
        ["2026-01-02T15:00", "2026-01-02T03:00", "2026-01-01T15:00", "2026-01-01T03:00", "2025-12-31T03:00"],
        (2, 0, 0),
        {"2026-01-02T15:00": ["daily"], "2026-01-01T15:00": ["daily"]},
    ),
    "the oldest, too, while a count is left": (
        ["2026-01-02T15:00", "2026-01-02T03:00"],
        (2, 0, 0),
        {"2026-01-02T15:00": ["daily"], "2026-01-02T03:00": ["daily"]},
    ),
    "days without any use up no count": (
        ["2026-01-31T03:00", "2026-01-11T03:00", "2026-01-01T03:00"],
        (2, 0, 0),
        {"2026-01-31T03:00": ["daily"], "2026-01-11T03:00": ["daily"]},
    ),
    "weeks begin on Monday, and go over the end of a year": (
        ["2026-01-05T03:00", "2026-01-04T03:00", "2025-12-29T03:00", "2025-12-28T03:00", "2025-12-01T03:00"],
        (0, 3, 0),
        {"2026-01-05T03:00": ["weekly"], "2026-01-04T03:00": ["weekly"], "2025-12-28T03:00": ["weekly"]},
    ),
    "one for several rules": (
        ["2026-02-01T03:00", "2026-01-31T03:00", "2026-01-30T03:00", "2025-12-31T03:00"],
        (1, 0, 2),
        {"2026-02-01T03:00": ["daily", "monthly"], "2026-01-31T03:00": ["monthly"]},
    ),
}


@pytest.mark.parametrize("case", PLANS)
def test_each_rule_keeps_the_newest_of_its_days_weeks_and_months(case: str) -> None:
    times, policy, wanted = PLANS[case]

    found = kept(dated(*times), *policy)

    assert found.keep == {f"ours {time}": tuple(f"{r} snapshot" for r in wanted[time]) for time in wanted}
    assert found.forget == tuple(f"ours {time}" for time in times if time not in wanted)


def test_a_series_pushes_nothing_out_of_another_one() -> None:
    both = dated("2026-01-02T03:00", "2026-01-01T03:00") + dated("2025-01-02T03:00", series="theirs")

    assert kept(both, 1).forget == ("ours 2026-01-01T03:00",)


def test_what_is_held_stays_with_its_sentence_and_uses_up_no_count() -> None:
    there = dated("2026-01-03T03:00", "2026-01-02T03:00", "2026-01-01T03:00")
    newest, middle, oldest = (each.id for each in there)
    aside = Dated("saved", there[0].time + timedelta(hours=1), None)

    found = plan([aside, *there], Policy(1, 0, 0), {oldest: ["proved"], newest: ["newest"]}, UTC)

    assert found.keep == {newest: ("newest", "daily snapshot"), oldest: ("proved",)}
    assert found.forget == ("saved", middle)


def test_days_are_those_of_the_zone() -> None:
    """In Berlin the second is of half past eleven at night, and the first of the next day."""
    there = dated("2026-06-02T22:30", "2026-06-02T21:30", "2026-06-02T01:00")

    in_utc, in_berlin = (plan(there, Policy(2, 0, 0), {}, zone) for zone in (UTC, BERLIN))

    assert in_utc.forget == ("ours 2026-06-02T21:30",)
    assert in_berlin.forget == ("ours 2026-06-02T01:00",)


def test_the_hour_that_comes_twice_has_an_order() -> None:
    """Ten past two comes after ten to three in the night in which the clocks go back."""
    there = dated("2026-10-25T00:50", "2026-10-25T01:10", "2026-10-24T03:00")

    assert list(plan(there, Policy(1, 0, 0), {}, BERLIN).keep) == ["ours 2026-10-25T01:10"]


@given(
    st.lists(st.datetimes(), unique=True, max_size=40),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_never_more_than_the_counts_allow(
    times: list[datetime], daily: int, weekly: int, monthly: int
) -> None:
    there = [Dated(time.isoformat(), time.replace(tzinfo=UTC), "ours") for time in times]

    found = kept(there, daily, weekly, monthly)

    assert len(found.keep) <= daily + weekly + monthly
    assert {*found.keep, *found.forget} == {time.isoformat() for time in times}


@pytest.mark.larger
@pytest.mark.parametrize("rules", [(7, 4, 6), (2, 0, 0), (0, 3, 0), (0, 0, 12), (10, 1, 1)])
def test_the_same_as_restic(restic_path: Path, dated_repository: Path, rules: tuple[int, int, int]) -> None:
    argv = ["forget", "--dry-run", "--json", "--group-by", ""]
    for name, count in zip(("daily", "weekly", "monthly"), rules, strict=True):
        argv += [f"--keep-{name}", str(count)] if count else []
    group = json.loads(restic(restic_path, dated_repository, *argv))[0]
    theirs = {each["id"] for each in group["keep"]}
    there = [
        Dated(each["id"], datetime.fromisoformat(each["time"]), "ours")
        for each in [*group["keep"], *(group["remove"] or [])]
    ]

    ours = plan(there, Policy(*rules), {}, BERLIN)

    assert set(ours.keep) == theirs
    # Days of the zone, and no others.
    assert rules[0] < 7 or set(plan(there, Policy(*rules), {}, UTC).keep) != theirs


@pytest.fixture(scope="module")
def dated_repository(
    restic_path: Path, empty_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A repository with snapshots of the past hundred days, some days twice, most left out."""
    folder = tmp_path_factory.mktemp("dated")
    (folder / "file").write_text("data")
    copy_repository(empty_repository, folder / "repository")
    for number in range(0, 100, 3 if "VEDETTA_SOAK" in os.environ else 6):
        for hour in (0, 15)[: 1 + number // 3 % 4 // 2]:
            day = (BASE - timedelta(days=number)).replace(hour=hour, minute=30)
            restic(restic_path, folder, "backup", str(folder / "file"), "--time", f"{day:%Y-%m-%d %H:%M:%S}")
    return folder


def restic(program: Path, folder: Path, *argv: str) -> str:
    """What restic prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "RESTIC_PASSWORD": RESTIC_PASSWORD,
        "TZ": BERLIN.key,
        "HOME": str(folder),
    }
    command = [str(program), "--repo", str(folder / "repository"), "--no-cache", *argv]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
