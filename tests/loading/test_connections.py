"""How many connections a load takes by itself."""

from __future__ import annotations

from math import inf

import pytest

from backups.loading.connections import choose

GIGABYTE = 1_000_000_000


@pytest.mark.parametrize("cores", range(1, 33))
def test_one_for_each_core_from_two_to_eight(cores: int) -> None:
    assert choose(0, cores, GIGABYTE).number == max(2, min(8, cores))


@pytest.mark.parametrize(
    ("wished", "cores", "size", "to_take", "expected"),
    [
        (0, 8, 1_000_000, inf, (2, "at least 2, although the dump has only 1 MB")),
        (0, 8, 20_000_000, inf, (4, "the dump has only 20 MB")),
        (0, 8, GIGABYTE, 3, (3, "the server has no more to give")),
        (0, 8, GIGABYTE, 0, (2, "at least 2, although the server has no more to give")),
        (0, 4, GIGABYTE, 100, (4, "there are 4 cores")),
        (0, 64, GIGABYTE, inf, (8, "only RESTORE_CONNECTIONS makes it more")),
        (0, 1, GIGABYTE, inf, (2, "at least 2, although there is one core")),
        (1, 8, GIGABYTE, inf, (1, "RESTORE_CONNECTIONS is 1")),
        (20, 2, 1000, 3, (20, "RESTORE_CONNECTIONS is 20")),
    ],
)
def test_what_decides(wished: int, cores: int, size: int, to_take: float, expected: tuple[int, str]) -> None:
    assert choose(wished, cores, size, to_take) == expected
