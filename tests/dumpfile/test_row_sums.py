"""Rows that nothing orders, summed up: neither their order counts nor the pieces that they come in."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.dumpfile.digesting import Digester
from backups.dumpfile.table_text import is_keyless, next_number
from tests.dumpfile.test_stream import heading, hostile, literal, names, quoted

Row = tuple[int, str]
# With a newline behind a semicolon in one, rows would seem to end there, and no sum is told.
columns = names.map(lambda name: name.replace("\n", " "))
rows_of_text = st.lists(st.tuples(st.integers(), hostile), max_size=8)


def definition(name: str, *lines: str, options: str = "") -> str:
    body = ",\n".join(f"  {line}" for line in lines)
    return f"CREATE TABLE {quoted(name)} (\n{body}\n) ENGINE=InnoDB{options} DEFAULT CHARSET=utf8mb4;\n"


def dump_of(name: str, column: str, statements: Sequence[Sequence[Row]], *, between: str = ",\n") -> bytes:
    """A table without a key as the dump programs write it, its rows in some statements."""
    table = heading(f"Table structure for table {quoted(name)}")
    table += definition(name, f"{quoted(column)} int", "`b` text")
    rows = heading(f"Dumping data for table {quoted(name)}")
    for each in statements:
        written = between.join(f"({number},{literal(text)})" for number, text in each)
        rows += f"INSERT INTO {quoted(name)} ({quoted(column)}, `b`) VALUES\n{written};\n" if written else ""
    return (f"-- MySQL dump\n{table}{rows}-- Dump completed\n").encode()


def told(dump: bytes, cuts: Iterable[int] = ()) -> dict[str, Any] | None:
    """What a manifest would tell of the rows, of a dump that comes cut in pieces."""
    digester, at = Digester(sums_rows=True), 0
    for cut in [*sorted(cuts), len(dump)]:
        for _ in digester.feed(dump[at:cut]):
            pass
        at = cut
    for _ in digester.close():
        pass
    section = next((each for each in digester.told({}) if each["kind"] == "rows"), {})
    found: dict[str, Any] | None = section.get("rows")
    return found


@given(rows_of_text, names, columns, st.randoms(), st.sampled_from([",\n", ","]))
def test_order_statements_and_pieces_do_not_count(
    rows: list[Row], name: str, column: str, chance: random.Random, between: str
) -> None:
    whole = told(dump_of(name, column, [[row] for row in rows]))
    shuffled = chance.sample(rows, len(rows))
    half = chance.randint(0, len(rows))
    again = dump_of(name, column, [shuffled[:half], shuffled[half:]], between=between)
    cuts = [chance.randint(0, len(again)) for _ in range(chance.randint(0, 30))]

    assert told(again, cuts) == whole
    assert whole is None or whole["count"] == len(rows)
    assert (whole is None) == (not rows)


@given(rows_of_text.filter(bool), names, st.randoms())
def test_one_other_row_counts(rows: list[Row], name: str, chance: random.Random) -> None:
    changed = list(rows)
    at = chance.randrange(len(rows))
    changed[at] = (rows[at][0] + 1, rows[at][1])

    assert told(dump_of(name, "a", [changed])) != told(dump_of(name, "a", [rows]))


def test_equal_rows_count_each_time() -> None:
    twice = told(dump_of("t", "a", [[(1, "x"), (1, "x")]]))
    assert twice is not None
    assert twice["count"] == 2
    assert twice["sum"] != told(dump_of("t", "a", [[(1, "x")]]))["sum"]  # type: ignore[index]
    assert int(twice["sum"], 16) != 0


@pytest.mark.parametrize(
    ("lines", "is_without"),
    [
        pytest.param(["`id` int NOT NULL", "PRIMARY KEY (`id`)"], False, id="primary"),
        pytest.param(["`id` int NOT NULL", "UNIQUE KEY `u` (`id`)"], False, id="unique"),
        pytest.param(["`id` int DEFAULT NULL", "UNIQUE KEY `u` (`id`)"], True, id="unique, may be NULL"),
        pytest.param(["`id` int NOT NULL", "KEY `k` (`id`)"], True, id="not unique"),
        pytest.param(["`\n  PRIMARY KEY (``id``)\n` int NOT NULL"], True, id="a name"),
        pytest.param(["`id` int COMMENT '  PRIMARY KEY (`id`)'"], True, id="a comment"),
    ],
)
def test_what_orders_rows_is_known(lines: list[str], is_without: bool) -> None:
    assert is_keyless(definition("t", *lines).encode()) == is_without


def test_counter_is_the_tables_own() -> None:
    column = "`id` int NOT NULL COMMENT ') ENGINE=InnoDB AUTO_INCREMENT=5'"

    shown = definition("t", column, options=" AUTO_INCREMENT=7")
    assert next_number(shown.encode()) == 7
    assert next_number(definition("t", column, options=" COMMENT=' AUTO_INCREMENT=6'").encode()) is None
