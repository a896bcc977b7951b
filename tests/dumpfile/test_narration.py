"""Where a dump program is, by what it says of it."""

from __future__ import annotations

import pytest

from backups.dumpfile.narration import Narrator

SAID = """\
-- Connecting to 127.0.0.1...
-- Starting transaction...
-- Retrieving table structure for table customers...
-- Sending SELECT query...
-- Retrieving rows...
-- Rolling back to savepoint sp...
-- Retrieving table structure for table open_orders...
-- It's a view, create dummy view
-- Retrieving table structure for table orders ...
-- Sending SELECT query...
-- Retrieving rows...
-- Retrieving view structure for table customers...
-- It's base table, skipped
"""


def heard(said: str, names: list[str]) -> tuple[list[str], list[str]]:
    """The tables whose rows were read, and what is left for those who look for complaints."""
    narrator = Narrator(names)
    told = [(line, narrator.told(line)) for line in said.removesuffix("\n").split("\n")]
    return [each.table for _, each in told if each.table], [
        line for line, each in told if not each.is_narration
    ]


def test_tables_are_told_as_their_rows_are_read() -> None:
    """A view has none, and a name may end in what follows names."""
    assert heard(SAID, []) == (["customers", "orders "], [])


@pytest.mark.parametrize(
    "name", ["a\nerror: b", "a\n-- Sending SELECT query", "a\r\nb", "\na", "a\n", "a..."]
)
def test_name_of_several_lines_is_one_name(name: str) -> None:
    said = (
        f"-- Retrieving table structure for table {name}...\n-- Sending SELECT query\n-- Retrieving rows..."
    )

    lines = said.replace("\r\n", "\n")
    assert heard(lines, [name, "other"]) == ([name], [])


def test_name_that_looks_like_the_rows_of_another_hides_them_and_no_more() -> None:
    """What was not heard of is looked at in the end."""
    said = SAID.replace("customers", "x\n-- Retrieving rows")

    assert heard(said, ["x\n-- Retrieving rows", "orders "]) == ([], [])


@pytest.mark.parametrize(
    "line",
    [
        "mysqldump: Got error: 1142: SELECT command denied",
        "mariadb-dump: Warning: Couldn't read keys from table far; records are NOT sorted (away)",
        "-- Warning: Skipping the data of table mysql.event",
    ],
)
def test_complaint_is_no_narration(line: str) -> None:
    assert heard(line, []) == ([], [line])
