"""What `make bench` reckons and reads: its figures decide what is said of other people's tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import memory, tools
from bench.bulk import without_keys
from bench.common import Options
from bench.others import MYDUMPER, NOT_INSTALLED, borgmatic_config, in_sections, version_in
from bench.peers import BARE_PIPE, Cost, Tool
from bench.spread import figure, ratio
from tests.backups.worlds import Shop
from tests.servers import DatabaseServer


@pytest.mark.parametrize(
    ("values", "said"),
    [([2.04], "2.0 s"), ([3.0, 1.0, 2.0], "2.0 s (1.0 to 3.0)"), ([1.0, 4.0], "2.5 s (1.0 to 4.0)")],
)
def test_figure_is_the_median_with_the_least_and_the_most(values: list[float], said: str) -> None:
    assert figure(values, unit=" s") == said


def test_ratios_are_of_one_round_each() -> None:
    # The machine was twice as slow in the second round, for both.
    assert ratio([2, 4, 3], [4, 8, 4]) == "0.50 (0.50 to 0.75)"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("mydumper 0.10.1, built against MySQL 10.5.8", (0, 10, 1)),
        ("mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)", (10, 11, 19)),
        ("borg 1.2.4\n", (1, 2, 4)),
        ("", (0,)),
    ],
)
def test_version_is_read_from_what_a_program_prints(text: str, version: tuple[int, ...]) -> None:
    assert version_in(text) == version


@pytest.mark.parametrize(
    ("asked", "measured"), [((2000.0,), (1000.0, 2000.0)), ((700.0, 1400.0), (700.0, 1400.0))]
)
def test_memory_is_compared_at_two_sizes(asked: tuple[float, ...], measured: tuple[float, float]) -> None:
    assert memory.two_sizes(Options(asked, rounds=1)) == measured


def test_schedule_pays_for_its_part_of_the_night() -> None:
    scheduled = tools.Costs(again=[Cost(seconds=3)], night=[Cost(seconds=2)])
    with_all_at_once = tools.Costs(again=[Cost(seconds=6)])

    assert scheduled.scheduled() == [4]
    assert with_all_at_once.scheduled() == [6]


def test_tool_that_is_not_installed_has_a_row_that_says_so() -> None:
    pipe = tools.Costs([Cost(2, 3, 20)], [Cost(1, 2, 4)], [Cost(1, 1)])

    rows = tools.rows_of("1 MB", {BARE_PIPE.name: pipe, MYDUMPER.name: tools.Costs()})

    assert [row[1] for row in rows] == [BARE_PIPE.name, MYDUMPER.name]
    assert set(rows[1][2:]) == {NOT_INSTALLED}
    assert rows[0][2:4] == ["2.0 s", "1.00"]
    assert len(rows[0]) == len(rows[1])


def test_tool_is_installed_only_with_all_of_its_programs() -> None:
    assert Tool("shell", "true", programs=("sh", "cat")).installed
    assert not Tool("other", "true", programs=("sh", "no-such-program-of-anybody")).installed


def test_table_is_made_without_what_comes_after_its_rows() -> None:
    statement = """\
CREATE TABLE `orders` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `customer_id` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `number` (`number`),
  KEY `customer` (`customer_id`),
  CONSTRAINT `of_customer` FOREIGN KEY (`customer_id`) REFERENCES `customers` (`id`)
) ENGINE=InnoDB"""

    create, keys, constraints = without_keys(statement)

    assert create.splitlines()[1:] == [
        "  `id` int(11) NOT NULL AUTO_INCREMENT,",
        "  `customer_id` int(11) DEFAULT NULL,",
        "  PRIMARY KEY (`id`)",
        ") ENGINE=InnoDB",
    ]
    assert keys == ["UNIQUE KEY `number` (`number`)", "KEY `customer` (`customer_id`)"]
    assert len(constraints) == 1


def test_old_borgmatic_gets_the_same_settings_in_sections() -> None:
    server = DatabaseServer("mariadb")
    server.remove()
    shop = Shop(server, "shop", "dump", "p'w\"")

    config = borgmatic_config(shop, Path("/bench"), ["shop", "blog"])
    sections = in_sections(config)

    assert {name for section in sections.values() for name in section} == set(config)
    assert sections["location"]["repositories"] == ["/bench/repository"]
    assert sections["retention"] == {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 6}
