"""Rows of several changes as one that takes all of them back, the newest first."""

from __future__ import annotations

from backups.differences.kept_rows import Change, KeptTable, Values
from backups.differences.merging import Part, merged

KEYED = KeptTable("people", ["id"], 0, 0, 0, 0, b"", b"")
LOOSE = KeptTable("loose", [], 0, 0, 0, 0, b"", b"")


def row(number: int, name: str) -> Values:
    return {b"id": str(number).encode(), b"name": name.encode()}


def keyed(*changes: tuple[Values | None, Values | None]) -> Part:
    return Part(KEYED, [Change("people", at, *each) for at, each in enumerate(changes, 1)])


def counted(values: Values, *, gone: int = 0, new: int = 0, there: int) -> Part:
    comes = [Change("loose", 1, values, None, there)] * gone
    goes = [Change("loose", 1, None, values, there)] * new
    return Part(LOOSE, [*comes, *goes])


def states(*changes: list[Part]) -> list[tuple[Values | None, Values | None]]:
    return [(each.then, each.now) for each in merged(changes).rows]


def test_a_row_that_both_changed_becomes_as_it_was_before_the_older_one() -> None:
    newer = [keyed((row(1, "b"), row(1, "c")), (row(2, "x"), None))]
    older = [keyed((row(1, "a"), row(1, "b")), (row(3, "y"), None))]

    found = merged([newer, older])

    assert [(each.number, each.then, each.now) for each in found.rows] == [
        (1, row(1, "a"), row(1, "c")), (2, row(2, "x"), None), (3, row(3, "y"), None),
    ]  # fmt: skip
    (table,) = found.tables
    assert (table.gone, table.changed, table.new) == (2, 1, 0)
    assert not found.between


def test_what_one_made_and_the_other_took_away_is_nothing() -> None:
    deleted = [keyed((row(1, "a"), None))]
    inserted = [keyed((None, row(1, "a")))]

    assert merged([deleted, inserted]).tables == []
    # Made anew as it was: it was there before, and is there now.
    assert states(inserted, deleted) == []
    # In between something else changed it, and an even older one has nothing to go by either.
    there_and_back = [keyed((row(1, "a"), row(1, "b"))), keyed((row(1, "b"), row(1, "a")))]
    assert states([there_and_back[1]], [there_and_back[0]]) == []


def test_what_something_else_changed_in_between_stays_as_the_newer_one_found_it() -> None:
    newest = [keyed((row(1, "z"), row(1, "w")))]
    middle = [keyed((row(1, "a"), row(1, "b")))]
    oldest = [keyed((None, row(1, "a")))]

    found = merged([newest, middle, oldest])

    assert [(each.then, each.now) for each in found.rows] == [(row(1, "z"), row(1, "w"))]
    assert found.between == {"people": 2}


def test_a_parent_that_was_deleted_made_again_and_deleted_comes_back_as_of_last() -> None:
    last = [keyed((row(1, "made again"), None))]
    first = [keyed((row(1, "first"), None))]

    found = merged([last, first])

    assert [(each.then, each.now) for each in found.rows] == [(row(1, "made again"), None)]
    assert found.between == {"people": 1}


def test_rows_without_a_key_are_counted() -> None:
    same = {b"a": b"1"}
    newer = [counted(same, new=2, there=7)]
    older = [counted(same, gone=1, there=5)]

    found = merged([newer, older])

    assert [(each.kind, each.equal_now) for each in found.rows] == [("new", 7)]
    # 5 there were before the newer one, and 6 after the older one: another took one in between.
    apart = merged([newer, [counted(same, gone=1, there=6)], [counted(same, gone=3, there=7)]])
    assert [each.kind for each in apart.rows] == ["new", "new"]
    assert apart.between == {"loose": 4}
    assert merged([newer, [counted(same, gone=2, there=5)]]).rows == []


def test_a_row_that_was_moved_is_left_out_with_both_of_its_halves() -> None:
    """Moved from 5 to 6, changed there by something else, then deleted: it comes back once."""
    newer = [keyed((row(6, "later"), None))]
    older = [keyed((row(5, "a"), None), (None, row(6, "a")), (row(8, "x"), row(8, "y")))]
    oldest = [keyed((row(5, "0"), row(5, "a")))]

    found = merged([newer, older, oldest])

    # The row beside it was not moved, and is undone.
    assert [(each.then, each.now) for each in found.rows] == [
        (row(6, "later"), None), (row(8, "x"), row(8, "y")),
    ]  # fmt: skip
    # What is older still meets rows that were not taken back either.
    assert found.between == {"people": 3}
    moved_on = merged([[keyed((row(6, "a"), None))], older])
    assert {(each.kind, *(each.then or {}).values()) for each in moved_on.rows} == {
        ("gone", b"5", b"a"), ("changed", b"8", b"x"),
    }  # fmt: skip


def test_without_a_key_a_row_that_was_changed_is_left_out_with_both_of_its_halves() -> None:
    was, became = {b"a": b"1"}, {b"a": b"2"}
    older = Part(LOOSE, [Change("loose", 1, was, None, 0), Change("loose", 2, None, became, 1)])
    # Of what it became there is one more, made by something else in between.
    newer = [counted(became, gone=2, there=0)]

    found = merged([newer, [older]])

    assert [(each.kind, each.then) for each in found.rows] == [("gone", became), ("gone", became)]
    assert found.between == {"loose": 2}
    assert [each.then for each in merged([[counted(became, gone=1, there=0)], [older]]).rows] == [was]
