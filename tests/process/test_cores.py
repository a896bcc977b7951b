"""How many cores are there for this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backups.process import available_cores, cores, cores_within


@pytest.mark.parametrize(
    ("cores", "limits", "expected"),
    [
        (8, [], 8),
        (8, ["max 100000\n"], 8),
        (8, ["200000 100000\n"], 2),
        (8, ["250000 100000\n"], 2),
        (8, ["50000 100000\n"], 1),
        (8, ["max 100000\n", "400000 100000\n", "600000 100000\n"], 4),
        (2, ["400000 100000\n"], 2),
        (8, ["", "what", "1 0", "-1 100000"], 8),
    ],
)
def test_the_narrowest_limit_counts(cores: int, limits: list[str], expected: int) -> None:
    assert cores_within(cores, limits) == expected


def test_affinity_counts() -> None:
    code = "from backups.process import available_cores; print(available_cores())"
    core = str(min(os.sched_getaffinity(0)))
    ran = subprocess.run(
        ["taskset", "--cpu-list", core, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == "1\n"
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("0::/outer/inner\n", ["100000 100000", "300000 100000"]),
        ("3:cpu:/elsewhere\n0::/outer\n", ["300000 100000"]),
        # As a container with a view of its own sees it, and one that was moved.
        ("0::/\n", []),
        ("0::/../outer\n", []),
        ("", []),
    ],
)
def test_the_groups_around_count_too(own: str, expected: list[str], tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("100000 100000")
    (inner.parent / "cpu.max").write_text("300000 100000")
    (tmp_path / "own").write_text(own)

    assert list(cores._limits(tmp_path, tmp_path / "own")) == expected
