"""Rows that one transaction may have moved: which of those that are gone and new belong together."""

from __future__ import annotations

from backups.differences.halves import families
from backups.differences.kept_rows import Change, KeptTable, Values

DEFINITION = b"""CREATE TABLE `people` (
  `id` int NOT NULL,
  `name` varchar(20) DEFAULT NULL,
  `seen` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `twice` int GENERATED ALWAYS AS (`id` * 2) VIRTUAL,
  `note` varchar(20) DEFAULT ' ON UPDATE ',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;
"""
KEYED = KeptTable("people", ["id"], 0, 0, 0, 0, DEFINITION, DEFINITION)
LOOSE = KeptTable("loose", [], 0, 0, 0, 0, b"", b"")


def row(number: int, name: str, note: str = "", seen: int = 0) -> Values:
    told = {"id": number, "name": name, "seen": seen, "twice": number * 2, "note": note}
    return {column.encode(): str(value).encode() for column, value in told.items()}


def numbers(table: KeptTable, *changes: tuple[Values | None, Values | None]) -> list[set[int]]:
    rows = [Change(table.name, at, *each) for at, each in enumerate(changes, 1)]
    return [{each.number for each in family} for family in families(table, rows)]


def test_halves_are_those_in_which_all_but_the_key_and_what_the_server_sets_is_the_same() -> None:
    moved = (row(1, "Ada"), None), (None, row(11, "Ada", seen=5))
    another = (row(2, "Bob"), None), (None, row(12, "Bob"))
    changed = (row(7, "Zoe"), row(7, "Zoe", "new"))

    assert numbers(KEYED, *moved, *another, changed) == [{1, 2}, {3, 4}]
    # Of the same ones nobody knows which became which.
    assert numbers(KEYED, *moved, (row(2, "Ada"), None), *another) == [{1, 2, 3}, {4, 5}]
    # What is deleted and nothing else was made was not moved.
    assert numbers(KEYED, *moved, (row(3, "Cleo"), None)) == [{1, 2}]
    assert numbers(KEYED, changed, (row(3, "Cleo"), None)) == []
    assert numbers(KEYED, changed, (None, row(3, "Cleo"))) == []


def test_where_a_row_was_moved_and_changed_all_that_is_left_may_be_its_halves() -> None:
    moved = (row(1, "Ada"), None), (None, row(11, "Ada"))
    unlike = (row(2, "Bob"), None), (None, row(12, "Rob"))
    changed = (row(7, "Zoe"), row(7, "Zoe", "new"))

    assert numbers(KEYED, *moved, *unlike, changed) == [{1, 2}, {3, 4, 5}]
    assert numbers(KEYED, (row(2, "Bob", "a"), None), (None, row(3, "Bob", "b"))) == [{1, 2}]


def test_rows_that_were_moved_one_after_the_other_belong_together() -> None:
    """1, 2 and 3 became 2, 3 and 4: two of them are changed ones by their keys."""
    on = [
        (row(1, "a"), None), (row(2, "b"), row(2, "a")), (row(3, "c"), row(3, "b")), (None, row(4, "c")),
    ]  # fmt: skip
    assert numbers(KEYED, *on, (row(8, "x"), row(8, "y"))) == [{1, 2, 3, 4}]


def test_without_a_key_and_of_keys_alone_nothing_tells_them_apart() -> None:
    some = ({b"a": b"1"}, None), ({b"a": b"2"}, None), (None, {b"a": b"3"})
    assert numbers(LOOSE, *some) == [{1, 2, 3}]
    assert numbers(LOOSE, *some[:2]) == []
    links = KeptTable("links", ["a"], 0, 0, 0, 0, b"", b"")
    assert numbers(links, *some) == [{1, 2, 3}]
