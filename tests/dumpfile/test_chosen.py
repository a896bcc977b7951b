"""Chosen tables of a dump, as SQL for a file."""

from __future__ import annotations

import pytest

from backups.dumpfile.chosen_tables import chosen_tables
from backups.dumpfile.splitter import Splitter

DUMP = b"""\
--
-- Sequence structure for `numbers`
--

DROP SEQUENCE IF EXISTS `numbers`;
CREATE SEQUENCE `numbers` start with 100;
DO SETVAL(`numbers`, 1100, 0);

--
-- Sequence structure for `others`
--

DROP SEQUENCE IF EXISTS `others`;
CREATE SEQUENCE `others` start with 1;

--
-- Table structure for table `invoices`
--

DROP TABLE IF EXISTS `invoices`;
CREATE TABLE `invoices` (
  `id` bigint(20) NOT NULL DEFAULT nextval(`shop`.`numbers`)
) ENGINE=InnoDB;

--
-- Dumping data for table `invoices`
--

INSERT INTO `invoices` VALUES (100);
"""
TABLE = [
    "DROP TABLE IF EXISTS `invoices`;",
    "CREATE TABLE `invoices` (",
    "`id` bigint(20) NOT NULL DEFAULT nextval(`shop`.`numbers`)",
    ") ENGINE=InnoDB;",
    "INSERT INTO `invoices` VALUES (100);",
]


@pytest.mark.parametrize(
    ("tables", "wanted"),
    [
        (
            # A file is loaded by hand, where the sequence may stand and count further.
            ["invoices"],
            [
                "CREATE SEQUENCE IF NOT EXISTS `numbers` start with 100;",
                "DO SETVAL(`numbers`, 1100, 0);",
                *TABLE,
            ],
        ),
        (
            ["numbers"],
            [
                "DROP SEQUENCE IF EXISTS `numbers`;",
                "CREATE SEQUENCE `numbers` start with 100;",
                "DO SETVAL(`numbers`, 1100, 0);",
            ],
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_sequence_comes_where_it_is_chosen_or_drawn_from(
    tables: list[str], wanted: list[str], size: int
) -> None:
    splitter = Splitter()
    chunks = [DUMP[at : at + size] for at in range(0, len(DUMP), size)]
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)]

    text = b"".join(bytes(data) for data in chosen_tables(iter([*pieces, *splitter.close()]), tables))

    assert [line.strip() for line in text.decode().splitlines()] == wanted
