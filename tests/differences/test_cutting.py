"""Chosen columns of rows are cut out at once: the same comes of it as of values that are cut one by one."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from backups.differences.cutting import Cutter, NotCut
from backups.differences.shapes import layout_of, shape_of
from backups.dumpfile.rows import rows_head
from tests.differences.test_side_by_side import HOSTILE, MARIADB, MYSQL

COLUMNS = "`id` int NOT NULL", "`a` text", "`price` decimal(10,2)", "`b` text"


def cut(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except NotCut:
        return NotCut


@pytest.mark.parametrize("key", ["", "PRIMARY KEY (`id`)"], ids=["loose", "keyed"])
def test_chosen_columns_of_any_row_are_those_of_its_values(key: str) -> None:
    lines = ",\n".join(f"  {line}" for line in (*COLUMNS, key) if line)
    definition = f"CREATE TABLE `t` (\n{lines}\n) ENGINE=InnoDB".encode()
    then, now = (shape_of(each, {}) for each in (definition, definition.replace(b"(10,2)", b"(14,4)")))
    assert then is not None
    assert now is not None
    cutter = Cutter(list(then.columns), layout_of(then, now))
    refused = 0
    for seed in range(300):
        chance = random.Random(seed)
        some = range(chance.randrange(1, 9))
        widths = [4 if chance.random() < 0.97 else chance.choice([3, 5]) for _ in some]
        rows = [b"(" + b",".join(chance.choices(HOSTILE, k=width)) + b")" for width in widths]
        text = b"INSERT INTO `t` VALUES " + chance.choice([MYSQL, MARIADB]).join(rows)
        head = rows_head(text, 0, "utf8mb4", "")
        assert head is not None

        found = cut(lambda: [each for some in cutter.rows(text, head) for each in some])  # noqa: B023
        told = cut(lambda: [each[:2] for some in cutter.whole_rows(text, head) for each in some])  # noqa: B023

        assert found == told, seed
        refused += found is NotCut
    assert 0 < refused < 150
