"""Conditions that choose rows, read and tried without a server."""

from __future__ import annotations

import time

import pytest

from backups.errors import Problem
from backups.rows_back.choosing import condition
from backups.rows_back.tables import Table, table_of
from tests.rows_back.running import Changed

TABLE = b"""CREATE TABLE `orders` (
  `id` int(11) NOT NULL,
  `price` decimal(9,2) DEFAULT NULL,
  `status` varchar(20) DEFAULT NULL,
  `or``der` varchar(20) DEFAULT NULL,
  `made` datetime(3) DEFAULT NULL,
  `took` time DEFAULT NULL,
  `flags` bit(8) DEFAULT NULL,
  `data` blob DEFAULT NULL,
  `y` year(4) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""
THEN = {
    b"id": b"7",
    b"price": b"-9.50",
    b"status": rb"'it\'s 5% off\n'",
    b"or`der": b"NULL",
    b"made": b"'2024-05-01 00:00:00.000'",
    b"took": b"'100:00:00'",
    b"flags": b"_binary '\x05'",
    b"data": rb"_binary 'a\0b'",
    b"y": b"2024",
}
NOW = {**THEN, b"price": b"10.00", b"or`der": b"'Paid'"}


def the_table() -> Table:
    found = table_of("orders", TABLE)
    assert found is not None
    return found


def is_chosen(
    text: str, then: dict[bytes, bytes] | None = THEN, now: dict[bytes, bytes] | None = NOW
) -> bool:
    return condition(text, the_table())(Changed("orders", 1, then, now))


@pytest.mark.parametrize(
    "text",
    [
        "id = 7",
        "ID = 7.0",
        "`id` != 8 and id <> 9",
        "price < 0",
        "price >= -9.5",
        "now.price = 1e1",
        "then.price <= -9.5 and now.price > 9",
        "status = 'it''s 5% off\n'",
        "status like 'it''s _\\% o%'",
        "status not like '%OFF%'",
        "`or``der` is null",
        "now.`or``der` is not null",
        "now.`or``der` in ('paid', 'Paid')",
        "id not in (1, 2)",
        "made = '2024-05-01' and made < '2024-05-01 00:00:00.001'",
        "made >= '2024-04-30'",
        "took > '20:00:00'",
        "flags = 5",
        "data = 0x610062",
        "y = 2024 and y > 1999",
        "id = 1 or (price < 0 and (status = '' or id = 7))",
        "id = 1 and id = 2 or id = 7",
    ],
)
def test_a_row_is_chosen(text: str) -> None:
    assert is_chosen(text)


@pytest.mark.parametrize(
    "text",
    [
        "id = 8",
        "`or``der` = 'Paid'",
        "`or``der` != 'Paid'",
        "`or``der` not in ('Paid')",
        "`or``der` not like 'x'",
        "now.`or``der` = 'paid'",
        "now.`or``der` = 'Paid '",
        "status is null",
        "status like 'it%off'",
        "took < '20:00:00'",
    ],
)
def test_a_row_is_not_chosen(text: str) -> None:
    assert not is_chosen(text)


def test_a_name_is_of_the_side_that_there_is() -> None:
    assert is_chosen("price = 10", then=None)
    assert is_chosen("price = -9.5", now=None)
    assert not is_chosen("then.price = 10", then=None)
    assert is_chosen("then.price is null", then=None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it ends too early"),
        ("id", "it ends too early"),
        ("id = ", "it ends too early"),
        ("id = 7; DROP TABLE orders", "from ; DROP TABLE orders on"),
        ("id = 7 -- x", "from -- x on"),
        ("id = sleep(9)", "from sleep on"),
        ("id = (select 1)", "from ( on"),
        ("id = 'x'", "holds nothing like 'x'"),
        ("took = 'soon'", "holds nothing like 'soon'"),
        ("status = 7", "in quotes"),
        ("nothing = 7", "no column nothing"),
        ("old.id = 7", "before a dot it has old"),
        ("id = 7 id = 8", "from id on"),
        ("status = 'open", "from 'open on"),
        ("(" * 200 + "id = 7" + ")" * 200, "too many brackets"),
        ("id = 7 or " * 900 + "id = 7", "longer than 4,000"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, why: str) -> None:
    with pytest.raises(Problem, match=r"The condition cannot be used") as refused:
        condition(text, the_table())

    assert why in str(refused.value)


def test_a_pattern_that_fits_at_many_places_takes_no_long_time() -> None:
    began = time.process_time()
    row = {**THEN, b"status": b"'" + b"a" * 20_000 + b"'"}

    assert not is_chosen("status like '" + "%a" * 60 + "b'", then=row)
    assert time.process_time() - began < 5
