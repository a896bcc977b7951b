"""As many processes of tests as keep the cores busy, and no more than the memory has room for."""

from __future__ import annotations

import pytest

from tests.processes_at_once import fitting

GB = 1024**3


@pytest.mark.parametrize(
    ("cores", "gigabytes", "expected"),
    [
        (2, 24, 6),
        (16, 64, 20),
        # Less memory than cores could use.
        (16, 16, 8),
        (2, 8, 4),
        # One is always begun.
        (1, 1, 1),
    ],
)
def test_cores_and_four_more_as_far_as_there_is_memory(cores: int, gigabytes: int, expected: int) -> None:
    assert fitting(cores, gigabytes * GB) == expected


def test_what_is_too_little_for_one_more_begins_none() -> None:
    assert fitting(8, 6 * GB - 1) == 2
