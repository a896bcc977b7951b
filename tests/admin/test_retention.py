"""The preview of a retention keeps what restic's own forget keeps."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.snapshots import retention
from tests.backups.light_key import make_light

PASSWORD = "opens it"
BASE = datetime(2026, 3, 29, 3, 0)  # noqa: DTZ001  restic reads local times here


def test_each_rule_keeps_the_newest_of_its_days_weeks_and_months() -> None:
    times = [BASE - timedelta(hours=12 * number) for number in range(120)]
    kept = retention.kept(times, daily=3, weekly=2, monthly=1)
    assert next(iter(kept)) == BASE
    assert kept[BASE] == ["daily", "weekly", "monthly"]
    assert sum("daily" in rules for rules in kept.values()) == 3
    assert sum("weekly" in rules for rules in kept.values()) == 2


def test_the_newest_stays_without_any_rule() -> None:
    assert retention.kept([BASE, BASE - timedelta(days=1)], daily=0, weekly=0, monthly=0) == {
        BASE: ["newest"]
    }


def test_nothing_is_kept_of_nothing() -> None:
    assert retention.kept([], daily=7, weekly=4, monthly=6) == {}


@given(
    st.lists(st.datetimes(), unique=True, max_size=40),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_never_more_than_the_counts_allow(
    times: list[datetime], daily: int, weekly: int, monthly: int
) -> None:
    kept = retention.kept(times, daily=daily, weekly=weekly, monthly=monthly)
    assert len(kept) <= daily + weekly + monthly + 1
    assert set(kept) <= set(times)


@pytest.mark.parametrize("rules", [(7, 4, 6), (2, 0, 0), (0, 3, 0), (0, 0, 12), (30, 1, 1)])
def test_the_same_as_restic(restic_path: Path, dated_repository: Path, rules: tuple[int, int, int]) -> None:
    daily, weekly, monthly = rules
    argv = ["forget", "--dry-run", "--json", "--group-by", ""]
    for name, count in zip(("daily", "weekly", "monthly"), rules, strict=True):
        argv += [f"--keep-{name}", str(count)] if count else []
    group = json.loads(restic(restic_path, dated_repository, *argv))[0]
    theirs = {at(snapshot) for snapshot in group["keep"]}
    everything = theirs | {at(snapshot) for snapshot in group["remove"] or []}
    assert set(retention.kept(sorted(everything), daily=daily, weekly=weekly, monthly=monthly)) == theirs


@pytest.fixture(scope="module")
def dated_repository(restic_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with snapshots of the past hundred days, some days twice, some left out."""
    folder = tmp_path_factory.mktemp("dated")
    (folder / "file").write_text("data")
    restic(restic_path, folder, "init")
    make_light(folder / "repository", PASSWORD)
    for number in range(0, 100, 3):
        for hour in (3, 15)[: 1 + number % 2]:
            day = (BASE - timedelta(days=number)).replace(hour=hour)
            restic(restic_path, folder, "backup", str(folder / "file"), "--time", f"{day:%Y-%m-%d %H:%M:%S}")
    return folder


def restic(program: Path, folder: Path, *argv: str) -> str:
    """What restic prints."""
    environment = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": PASSWORD, "TZ": "UTC", "HOME": str(folder)}
    command = [str(program), "--repo", str(folder / "repository"), "--no-cache", *argv]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def at(snapshot: dict[str, str]) -> datetime:
    """When a snapshot was made, without its zone, which is UTC here."""
    return datetime.fromisoformat(snapshot["time"][:19])
