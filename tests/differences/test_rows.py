"""Rows of two dumps, cut, told apart by their keys and compared, without any server."""

from __future__ import annotations

import errno
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backups.differences import cutting, keeping, rowfile
from backups.differences.comparison import Comparison, comparison
from backups.differences.cutting import Cutter, NotCut, columns_of, count
from backups.differences.held import Held, changes, libraries_unknown, other_rows
from backups.differences.kept_rows import AGAIN, Change, KeptTable, kept_rows
from backups.differences.recording import Recorded, Recorder
from backups.differences.result import Differences, TableDifference
from backups.differences.rowfile import ROW_BYTES, Counts, Digests, Extent, Room, RowFile, compared
from backups.differences.shapes import Layout, Shape, defaults_of, layout_of, shape_of
from backups.differences.shown import MOST_SHOWN, Kept, Picker, side_by_side
from backups.differences.told import doubts, how_words, in_short, row_words
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import Does, Ready
from backups.dumpfile.rows import rows_head
from backups.dumpfile.settings import Settings
from backups.errors import Problem

HEAD = "CREATE TABLE `t` (\n"
TAIL = "\n) ENGINE=InnoDB AUTO_INCREMENT={n} DEFAULT CHARSET=utf8mb4"


def defined(*lines: str, number: int = 7) -> bytes:
    return (HEAD + ",\n".join(f"  {line}" for line in lines) + TAIL.format(n=number)).encode()


def shape(*lines: str) -> Shape:
    found = shape_of(defined(*lines), {})
    assert found is not None
    return found


ID = "`id` int(11) NOT NULL AUTO_INCREMENT"
NAME = "`name` varchar(100) DEFAULT NULL COMMENT 'a, b\n  PRIMARY KEY (`name`)'"


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ([ID, NAME, "PRIMARY KEY (`id`)"], [[b"`id`"]]),
        (["`a` int NOT NULL", "`b` int NOT NULL", "PRIMARY KEY (`b`,`a` DESC)"], [[b"`b`", b"`a`"]]),
        (["`a` int NOT NULL", "`b` int", "UNIQUE KEY `u` (`b`)", "UNIQUE KEY `v` (`a`)"], [[b"`a`"]]),
        (["`a` int DEFAULT NULL", "UNIQUE KEY `u` (`a`)"], []),
        (["`a` blob NOT NULL", "UNIQUE KEY `u` (`a`(20))"], [[b"`a`"]]),
        (["`a` int NOT NULL", "UNIQUE KEY `u` ((lower(`a`)))"], []),
        (["`a` int NOT NULL", "`s` date NOT NULL", "PRIMARY KEY (`a`,`p` WITHOUT OVERLAPS)"], []),
        (["`we``ird)` int NOT NULL", "PRIMARY KEY (`we``ird)`)"], [[b"`we``ird)`"]]),
        (["`a` int DEFAULT NULL", "KEY `k` (`a`)"], []),
    ],
)
def test_the_keys_of_a_table_are_those_that_tell_all_its_rows_apart(
    lines: list[str], keys: list[list[bytes]]
) -> None:
    assert [list(key) for key in shape(*lines).keys] == keys


def test_what_number_comes_next_is_no_difference_in_a_definition() -> None:
    lines = (ID, NAME, "PRIMARY KEY (`id`)")
    one, other = (shape_of(defined(*lines, number=n), {}) for n in (7, 70_000))
    section = b"DROP TABLE IF EXISTS `t`;\n" + defined(*lines) + b";\n/*!40101 SET x = 1 */;\n"

    assert one == other == shape_of(section, {})
    assert one is not None
    assert one.digest != shape(ID, "`name` text", "PRIMARY KEY (`id`)").digest
    assert shape_of(b"CREATE VIEW `t` AS SELECT 1", {}) is None


def test_columns_that_both_sides_have_and_write_alike_are_compared() -> None:
    before = shape(ID, "`a` int", "`b` varchar(3)", "`c` date", "`d` int", "PRIMARY KEY (`id`)")
    after = shape(ID, "`b` text", "`a` bigint", "`c` datetime", "`e` int", "PRIMARY KEY (`id`)")

    assert layout_of(before, before) == Layout([*before.columns], [b"`id`"], is_whole=True)
    assert layout_of(before, after) == Layout(
        [b"`id`", b"`b`", b"`a`"], [b"`id`"], False, ("e",), ("d",), ("c",), is_alike=False
    )
    assert layout_of(shape(ID, "PRIMARY KEY (`id`)"), shape(ID)).key == ()
    assert layout_of(shape("`x` int"), shape("`y` int")).columns == []
    generated = layout_of(shape("`a` int"), shape("`a` int GENERATED ALWAYS AS (1) STORED"))
    assert generated.columns == []


def test_other_keys_and_collations_of_a_key_are_no_order_that_both_sides_have() -> None:
    key = "PRIMARY KEY (`id`)"
    one = shape("`id` varchar(9) COLLATE utf8mb4_bin NOT NULL", "`a` int", key)
    other = shape("`id` varchar(9) NOT NULL", "`a` int", key)
    elsewhere = shape(
        "`id` varchar(9) COLLATE utf8mb4_bin NOT NULL", "`a` int NOT NULL", "UNIQUE KEY `a` (`a`)"
    )

    assert layout_of(one, one).is_alike
    assert [layout_of(one, each).is_alike for each in (other, elsewhere)] == [False, False]
    assert layout_of(one, other).is_whole
    named = shape("`id` varchar(9) CHARACTER SET latin1 NOT NULL", "`a` int", key)
    usual = shape("`id` varchar(9) COLLATE latin1_swedish_ci NOT NULL", "`a` int", key)
    assert not layout_of(named, usual).is_alike, "without collations that are known, they are not the same"


def ready(values: str, table: str = "t") -> Ready:
    return Ready(Does.ROWS, f"INSERT INTO `{table}` {values}".encode(), Settings(), table)


def cut(values: str, columns: list[bytes], layout: Layout) -> list[tuple[bytes, bytes]]:
    text = ready(values).text
    head = rows_head(text, 0, "utf8mb4", "")
    assert head is not None
    portions = Cutter(columns_of(text, head) or columns, layout).rows(text, head)
    return [row for portion in portions for row in portion]


ABC = [b"`a`", b"`b`", b"`c`"]


def test_rows_are_cut_whatever_their_values_look_like() -> None:
    hostile = r"'),(\'', _binary 'x\0\\', 'it''s \"(', -1.5e10, NULL"
    columns = [b"`a`", b"`b`", b"`c`", b"`d`", b"`e`"]
    whole = Layout(columns, [b"`c`", b"`a`"], is_whole=True)

    rows = cut(f"VALUES\n({hostile}),\n('','','',0,NULL)", columns, whole)

    a, c = rb"'),(\''", rb" 'it''s \"('"
    assert rows == [(a + b"," + c, f"({hostile})".encode()), (b"'',''", b"('','','',0,NULL)")]
    assert cut("VALUES (1,2,3),(4,5,6)", ABC, Layout(ABC, [b"`b`"], is_whole=True)) == [
        (b"2", b"(1,2,3)"),
        (b"5", b"(4,5,6)"),
    ]
    assert cut("VALUES (1,2,3)", ABC, Layout(ABC, [], is_whole=True)) == [(b"(1,2,3)", b"(1,2,3)")]


def test_chosen_columns_are_put_in_one_order_whatever_the_dump_has() -> None:
    layout = Layout([b"`c`", b"`a`"], [b"`a`"], is_whole=False)

    assert cut("VALUES (1,'x,y',')')", ABC, layout) == [(b"1", b"')',1")]
    assert cut("(`c`, `a`) VALUES (1,2)", ABC, layout) == [(b"2", b"1,2")]
    assert cut("VALUES (1,2,NULL)", ABC, Layout([b"`c`"], [], is_whole=False)) == [(b"NULL", b"NULL")]


@pytest.mark.parametrize("values", ["VALUES (1,2,3) AND (1,2,3)", "VALUES (1,2,3),(1,2", "VALUES (1,2)"])
def test_what_is_not_written_as_rows_are_is_not_passed_over(values: str) -> None:
    with pytest.raises(NotCut):
        cut(values, ABC, Layout([b"`c`"], [], is_whole=False))


def test_a_statement_of_very_many_rows_is_cut_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(ABC, [b"`b`", b"`c`"], is_whole=True)
    values = "VALUES " + ",".join(f"({n},{n},'x')" for n in range(25))
    at_once = cut(values, ABC, layout)
    monkeypatch.setattr(cutting, "_AT_ONCE_BYTES", 50)
    monkeypatch.setattr(cutting, "_AT_ONCE_ROWS", 10)

    assert cut(values, ABC, layout) == at_once
    with pytest.raises(NotCut):
        cut(f"{values} + (1,2,3)", ABC, layout)


def test_a_key_that_the_dump_does_not_write_tells_nothing_apart() -> None:
    with pytest.raises(NotCut):
        Cutter([b"`a`"], Layout(ABC, [b"`b`"], is_whole=True))
    text = ready("VALUES (1),(2),(3)").text
    head = rows_head(text, 0, "utf8mb4", "")
    assert head is not None
    assert count(text, head) == 3


# ---------------------------------------------------------------- Both sides


@pytest.fixture
def files() -> Iterator[tuple[RowFile, RowFile]]:
    pair = RowFile(Room("")), RowFile(Room(""))
    yield pair
    for file in pair:
        file.close()


def differ(
    files: tuple[RowFile, RowFile], before: str, after: str, *lines: str, later: tuple[str, ...] = ()
) -> Counts:
    """What a comparison says of two dumps of a table, each given by its values."""
    layout = layout_of(shape(*lines), shape(*(later or lines)))
    digests = Digests()
    sides = [Recorded(file) for file in files]
    for side, values, own in zip(sides, (before, after), (lines, later or lines), strict=True):
        recorder = Recorder(side, digests, lambda *_: layout, {})
        recorder.take(Ready(Does.TABLE, defined(*own), Settings(), "t"))
        if values:
            recorder.take(ready(f"VALUES {values}"))
        recorder.close()
        assert side.uncut == set()
    return compared(
        (files[0], sides[0].extents["t"]), (files[1], sides[1].extents["t"]), lambda: None
    )  # fmt: skip


KEYED = (ID, "`n` int", "PRIMARY KEY (`id`)")
FLOATS = ("`f` double NOT NULL", "`n` int", "PRIMARY KEY (`f`)")
KEYLESS = ("`a` int", "`b` int")


@pytest.mark.parametrize(
    ("before", "after", "lines", "counts"),
    [
        ("(1,1),(2,2),(3,3)", "(2,2),(3,4),(5,5)", KEYED, (1, 1, 1)),
        ("(1,1)", "(1,1)", KEYED, (0, 0, 0)),
        ("", "(1,1),(2,2)", KEYED, (0, 2, 0)),
        ("(1,1),(2,2)", "", KEYED, (2, 0, 0)),
        ("", "", KEYED, (0, 0, 0)),
        # A key that changes is another row's.
        ("('a',1)", "('A',1)", ("`id` varchar(9) NOT NULL", "`n` int", "PRIMARY KEY (`id`)"), (1, 1, 0)),
        # As BINARY(4) writes keys that end in zeros.
        (
            r"(_binary 'a\0\0\0',1),(_binary 'a\0\0b',1)",
            r"(_binary 'a\0\0\0',2),(_binary 'a\0\0b',1)",
            ("`id` binary(4) NOT NULL", "`n` int", "PRIMARY KEY (`id`)"),
            (0, 0, 1),
        ),
        ("(0.1,1),(1e16,1)", "(0.1,1),(1e16,2)", FLOATS, (0, 0, 1)),
        ("(1,2),(11,2),(1,12)", "(1,2),(11,3),(1,12)", KEYED, (0, 0, 1)),
        # NULL in a unique key: five rows may have it, so whole rows count.
        ("(NULL,1),(NULL,1),(1,1)", "(NULL,1),(1,2)", (*KEYLESS, "UNIQUE KEY `u` (`a`)"), (2, 1, 0)),
        # Of five equal rows one is gone, and there is one more of another.
        ("(1,1),(1,1),(1,1),(1,1),(1,1)", "(1,1),(1,1),(1,1),(1,1),(2,2)", KEYLESS, (1, 1, 0)),
        ("(1,1)", "(1,1),(1,1),(1,1)", KEYLESS, (0, 2, 0)),
    ],
)  # fmt: skip
def test_rows_that_are_gone_new_and_changed_are_counted(
    files: tuple[RowFile, RowFile], before: str, after: str, lines: tuple[str, ...], counts: tuple[int, ...]
) -> None:
    assert differ(files, before, after, *lines) == counts


def test_an_added_column_does_not_make_all_rows_changed(files: tuple[RowFile, RowFile]) -> None:
    later = (ID, "`n` int", "`more` int", "PRIMARY KEY (`id`)")

    assert differ(files, "(1,1),(2,2)", "(1,1,9),(2,3,9)", *KEYED, later=later) == (0, 0, 1)


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("(1,1),(2,2),(3,3)", "(2,2),(3,4),(5,5)", (1, 1, 1)),
        # What the new key forbids: of two rows that would have it one is the later one's, changed or not.
        ("(1,1),(1,2)", "(1,1)", (1, 0, 0)),
        ("(1,1),(1,1)", "(1,2)", (1, 0, 1)),
        ("(NULL,1),(NULL,2)", "(3,1)", (2, 1, 0)),
    ],
)
def test_a_key_that_came_tells_rows_apart_that_had_none(
    files: tuple[RowFile, RowFile], before: str, after: str, counts: tuple[int, ...]
) -> None:
    later = ("`a` int NOT NULL", "`b` int", "PRIMARY KEY (`a`)")

    assert differ(files, before, after, *KEYLESS, later=later) == counts
    assert layout_of(shape(*KEYLESS), shape(*later)).is_key_new
    other = shape(*later[:2], "PRIMARY KEY (`a`)", "UNIQUE KEY `u` (`b`)")
    assert not layout_of(shape(*later), other).is_key_new
    table = {"gone": 1, "change": "", "key": ["a"], "columns_came": [], "columns_gone": []}
    assert how_words({**table, "columns_retyped": [], "is_key_new": True}).endswith("only the later side has")


def test_composite_keys_are_not_mixed_up(files: tuple[RowFile, RowFile]) -> None:
    lines = ("`a` varchar(9) NOT NULL", "`b` varchar(9) NOT NULL", "`n` int", "PRIMARY KEY (`a`,`b`)")

    assert differ(files, "('a,b','c',1),('a','b,c',1)", "('a,b','c',2),('a','b,c',1)", *lines) == (0, 0, 1)


def test_many_rows_are_dealt_out_and_counted_as_few_are(
    files: tuple[RowFile, RowFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(24)
    rows = [Counter({(chance.randrange(400), chance.randrange(3)): 1 for _ in range(900)}) for _ in files]
    rows[0][7, 9] = 40  # equal rows, which no dealing out tells apart
    digests = Digests()
    for file, side in zip(files, rows, strict=True):
        for key, value in side.elements():
            file.append(digests.of(b"%d" % key) + digests.of(b"%d" % value))
    before, after = ((file, file.whole()) for file in files)
    at_once = compared(before, after, lambda: None)

    monkeypatch.setattr(rowfile, "AT_ONCE_BYTES", 60 * ROW_BYTES)
    ticks: list[None] = []

    assert compared(before, after, lambda: ticks.append(None)) == at_once
    assert len(ticks) > 60
    assert at_once.gone + at_once.changed == (rows[0] - rows[1]).total()
    assert at_once.new + at_once.changed == (rows[1] - rows[0]).total()


def test_rows_that_the_other_side_has_too_are_not_kept(files: tuple[RowFile, RowFile]) -> None:
    side = Recorded(files[0])
    layout = layout_of(shape(*KEYED), shape(*KEYED))
    recorder = Recorder(side, Digests(), lambda *_: layout, {}, lambda table: table == "t")
    for table in ("t", "u"):
        definition = defined(*KEYED).replace(b"`t`", f"`{table}`".encode())
        recorder.take(Ready(Does.TABLE, definition, Settings(), table))
        recorder.take(ready("VALUES (1,1),(2,2)", table))
    recorder.close()

    assert side.extents == {"u": Extent(0, 2 * ROW_BYTES)}
    assert files[0].end == 2 * ROW_BYTES
    assert (side.rows("t"), side.rows("u")) == (2, 2)


# ---------------------------------------------------------------- Rows that are shown


def shown_rows(
    files: tuple[RowFile, RowFile],
    before: str,
    after: str,
    lines: tuple[str, ...],
    later: tuple[str, ...] = (),
) -> list[str]:
    """What is shown of the rows that differ, of a live side that cannot be read twice."""
    both = Comparison(Recorded(files[0]), Recorded(files[1], kept=Kept("")), is_asked=True)
    layout = layout_of(shape(*lines), shape(*(later or lines)))
    sides = (both.before, before, lines), (both.after, after, later or lines)
    for side, values, own in sides:
        recorder = Recorder(side, both.digests, lambda *_: layout, {})
        for table in ("same", "t"):
            definition = defined(*own).replace(b"`t`", f"`{table}`".encode())
            recorder.take(Ready(Does.TABLE, definition, Settings(), table))
            recorder.take(ready(f"VALUES {values if table == 't' else '(1,1)'}", table))
        recorder.close()
    pair = [(side.file, side.extents["t"]) for side, _, _ in sides]
    compared(pair[0], pair[1], lambda: None, partial(both.pick, "t"))
    then, now = (Picker(both.picked, both.after.layouts, side.shapes, both.digests) for side, _, _ in sides)
    then.take(ready(f"VALUES {before}"))
    assert both.after.kept is not None
    for statement in both.after.kept.statements("t"):
        now.take(statement)
    both.after.kept.close()
    key = ["id"] if layout.key else []
    return sorted(row_words(row, key) for row in side_by_side(both.picked, then, now))


def test_rows_that_differ_are_shown_with_the_columns_that_do(files: tuple[RowFile, RowFile]) -> None:
    assert shown_rows(files, "(1,1),(2,2),(3,'x\\n')", "(2,2),(3,4),(5,NULL)", KEYED) == [
        "+ id=5, n=NULL",
        "- id=1, n=1",
        "~ id=3: n='x\\n' → 4",
    ]


def test_columns_that_came_are_in_the_rows_and_no_change_by_themselves(
    files: tuple[RowFile, RowFile],
) -> None:
    later = (ID, "`more` int", "`n` int", "PRIMARY KEY (`id`)")

    assert shown_rows(files, "(1,1),(2,2)", "(1,9,1),(2,9,3)", KEYED, later) == ["~ id=2: n=2 → 3"]


def test_columns_of_another_type_are_no_change(files: tuple[RowFile, RowFile]) -> None:
    lines = (ID, "`d` date", "`n` int", "PRIMARY KEY (`id`)")
    later = (ID, "`d` datetime", "`n` int", "PRIMARY KEY (`id`)")

    words = shown_rows(files, "(1,'2026-01-01',2)", "(1,'2026-01-01 00:00:00',3)", lines, later)

    assert words == ["~ id=1: n=2 → 3"]


def test_equal_rows_without_a_key_are_shown_on_the_side_that_has_more(
    files: tuple[RowFile, RowFile],
) -> None:
    assert shown_rows(files, "(1,1),(1,1),(2,2)", "(1,1),(2,2),(2,2),(3,3)", KEYLESS) == [
        "+ a=2, b=2",
        "+ a=3, b=3",
        "- a=1, b=1",
    ]


def test_a_long_value_is_cut_where_it_is_shown_and_few_rows_are(files: tuple[RowFile, RowFile]) -> None:
    rows = ",".join(f"({number},'{'x' * 999}')" for number in range(200))

    words = shown_rows(files, rows, "(1000,1)", KEYED)

    assert len(words) == MOST_SHOWN
    assert max(map(len, words)) < 250


def test_of_long_values_the_beginning_and_a_digest_are_kept(files: tuple[RowFile, RowFile]) -> None:
    both = Comparison(Recorded(files[0]), Recorded(files[1]))
    own = shape(ID, "`n` text", "`m` text", "PRIMARY KEY (`id`)")
    picked = {"t": {both.digests.of(b"1"): (1, 1)}}
    pickers = []
    for end in "ab":
        picker = Picker(picked, {"t": layout_of(own, own)}, {"t": own}, both.digests)
        long = "𝄞" * 100_000
        picker.take(ready(f"VALUES (1,'{long}{end}','{long}')"))
        pickers.append(picker)

    (row,) = side_by_side(picked, *pickers)

    assert row.before is not None
    assert row.before["n"].text == f"'{'𝄞' * 199}…"
    assert max(len(part) for value in row.before.values() for part in value) <= 201
    assert row.differing == ["n"]


# ---------------------------------------------------------------- Whole dumps


def manifest(**tables: str) -> dict[str, Any]:
    """A manifest of tables with these digests of their rows."""
    sections = [{"kind": "table", "name": name, "bytes": 1, "sha256": "d"} for name in tables]
    sections += [{"kind": "rows", "name": name, "bytes": 1, "sha256": rows} for name, rows in tables.items()]
    return {"sections": sections}


def compared_dumps(lines: tuple[str, ...], now: str, then: str) -> list[TableDifference]:
    """What differs of a table in two dumps."""
    before, after = Held(manifest(t="then")), Held(manifest(t="now"))
    with comparison("") as both:
        readers = both.reader_of_after(before, Digester()), both.reader_of_before(before)
        for reader, values in zip(readers, (now, then), strict=True):
            reader.take(Ready(Does.TABLE, defined(*lines), Settings(), "t"))
            reader.take(ready(values))
            reader.close()
        return list(both.found(before, after, lambda: None).tables)


def test_rows_that_two_dump_programs_write_with_other_columns_are_not_compared() -> None:
    lines = (ID, "`n` int", "PRIMARY KEY (`id`)")

    (found,) = compared_dumps(lines, "VALUES (1,1)", "(`id`) VALUES (1)")

    assert (found.gone, found.why_not, found.rows_before, found.rows_after) == (None, "not_cut", 1, 1)


@pytest.mark.parametrize("now", ["VALUES (1,1.5,9),(2,2.5,9)", "(`id`, `n`) VALUES (1,1.5),(2,2.5)"])
def test_what_the_server_computes_is_no_difference_and_is_told_as_are_digits_that_no_dump_has(
    now: str,
) -> None:
    """MariaDB's dumps have values of generated columns, of VIRTUAL ones as of now; MySQL's have none."""
    lines = (ID, "`n` float", "`g` int GENERATED ALWAYS AS (connection_id()) VIRTUAL", "PRIMARY KEY (`id`)")

    assert compared_dumps(lines, now, "VALUES (1,1.5,7),(2,2.5,8)") == []
    (found,) = compared_dumps(lines, now, "VALUES (1,1.5,7),(2,2.75,8)")

    assert (found.gone, found.new, found.changed) == (0, 0, 1)
    assert (found.columns_computed, found.columns_rounded) == (["g"], ("n",))
    assert how_words(asdict(found)).endswith(
        "columns that the server computes, not compared: g; FLOAT columns, of which only the six digits "
        "that dumps have are compared: n"
    )


def test_a_table_of_which_the_dump_holds_no_rows_is_named() -> None:
    before, after = Held(manifest(far="then", near="x")), Held(manifest(far="now", near="x"))
    with comparison("") as both:
        both.unread.add("far")
        found = both.found(before, after, lambda: None)

    assert [(each.table, each.why_not) for each in found.tables] == [("far", "not_read")]
    assert found.same_tables == 1


def test_what_one_side_left_out_is_not_taken_for_gone() -> None:
    left = {"not_in_backup": [{"table": "gone", "why": "its rows lie elsewhere"}]}
    before, after = Held(manifest(gone="a", t="b")), Held({**manifest(t="b"), **left})

    assert changes(before, after, lambda _: False) == []
    assert other_rows(before, after) == set()
    assert changes(after, before, lambda _: False) == []


def test_only_chosen_tables_and_their_triggers_count() -> None:
    trigger = {"kind": "trigger", "name": "x", "table": "t", "bytes": 1, "sha256": "d"}
    told = manifest(t="a", u="b")
    told["sections"] += [trigger, {**trigger, "name": "y", "table": "u"}, {**trigger, "kind": "view"}]

    held = Held(told, ["t"])

    assert held.tables == {"t"}
    assert sorted(each.name for each in held.objects) == ["t", "x"]
    assert held.rows == {"t": "a"}


def test_of_what_was_left_out_only_chosen_tables_are_named() -> None:
    left = {"not_in_backup": [{"table": name, "why": "elsewhere"} for name in ("t", "u", "")]}

    assert Held({**manifest(), **left}).left_out == {"t", "u"}
    assert Held({**manifest(), **left}, ["t"]).left_out == {"t"}


def test_what_a_version_without_libraries_said_of_routines_is_not_compared() -> None:
    function = {"kind": "function", "name": "f", "bytes": 1, "sha256": "d"}
    library = {"kind": "library", "name": "l", "bytes": 1, "sha256": "d"}
    then, now = manifest(t="a"), manifest(t="a", u="b")
    then["sections"] += [{**function, "sha256": "longer"}]
    now["sections"] += [library, function]
    before, after = Held(then), Held(now)

    assert [each.object.name for each in changes(before, after, lambda _: False)] == ["u"]
    assert libraries_unknown(before, after)
    assert not libraries_unknown(before, Held(now, ["u"]))
    # A later side without any has lost them.
    assert [each.object.name for each in changes(after, before, lambda _: False)] == ["f", "l", "u"]
    side = {"server": "mysql 9.4.0", "client": "9.4.0"}
    said = {"before": side, "after": side, "left_out": [], "libraries_unknown": True}
    assert "libraries and routines were not compared" in doubts(said)[0]
    assert doubts({**said, "libraries_unknown": False}) == []


def test_tables_that_were_not_compared_are_not_counted_as_other_rows() -> None:
    none, some = TableDifference("new", "came", 0, 0, 0), TableDifference("t", "", 0, 2, 0)
    not_compared = TableDifference("far", why_not="not_read")

    assert "1 table has other rows and 0 objects differ" in in_short(Differences([none, some]))
    assert "1 table has other rows, 1 was not compared and 0 objects differ" in in_short(
        Differences([none, some, not_compared])
    )


def test_a_disk_without_room_ends_it_in_a_sentence() -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Problem) as raised:
        rowfile.write(Full(), b"x")  # type: ignore[arg-type]

    assert raised.value.code == "diff.no_room"


def test_a_full_disk_is_told_though_closing_the_files_fails_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(dir: str) -> Any:  # noqa: A002  as tempfile calls it
        return Path("/dev/full").open("w+b")

    def fill() -> None:
        with comparison("") as both:
            both.after.kept = Kept("")
            with suppress(Problem):
                both.after.kept.add(ready("VALUES (1)"))
            both.before.file.append(bytes(ROW_BYTES))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)

    with pytest.raises(Problem) as raised:
        fill()

    assert raised.value.code == "diff.no_room"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem) as raised, comparison(str(tmp_path / "gone"), 1000):
        pass

    assert raised.value.code == "diff.folder_not_writable"
    assert str(tmp_path / "gone") in raised.value.told


@pytest.mark.parametrize(("folder", "do"), [("", "Set DUMP_SPOOL_DIR"), ("here", "raise DUMP_SPOOL_MB")])
def test_all_files_of_a_comparison_keep_to_one_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, do: str
) -> None:
    monkeypatch.setattr(rowfile, "_WITHOUT_FOLDER_BYTES", 5 * ROW_BYTES)
    with comparison(folder and str(tmp_path), 5 * ROW_BYTES) as both:
        files = both.before.file, both.after.file
        for _ in range(3):
            files[0].append(bytes(3 * ROW_BYTES))
            files[0].cut(ROW_BYTES)
        files[1].append(bytes(2 * ROW_BYTES))
        with ExitStack() as opened:
            files[1].dealt(files[1].whole(), 0, opened, lambda: None)
        files[1].append(bytes(2 * ROW_BYTES))
        with pytest.raises(Problem) as raised:
            files[0].append(bytes(ROW_BYTES))

    assert raised.value.code == "diff.no_room"
    assert do in raised.value.do


def test_kept_statements_count_for_as_long_as_they_are_kept() -> None:
    same = {"a", "b", "c"}
    with comparison("") as both:
        room = both.after.file.room = Room("")
        room.take(room._most - 150)
        both.after.kept = Kept("")
        layout = layout_of(shape(*KEYED), shape(*KEYED))
        recorder = Recorder(both.after, Digests(), lambda *_: layout, {}, same.__contains__)
        for table in sorted(same | {"d", "e"}):
            definition = defined(*KEYED).replace(b"`t`", f"`{table}`".encode())
            recorder.take(Ready(Does.TABLE, definition, Settings(), table))
            if table == "e":
                break
            recorder.take(ready("VALUES (1,1)", table))
        with pytest.raises(Problem) as raised:
            recorder.take(ready(f"VALUES (1,{'1' * 100})", "e"))

    assert raised.value.code == "diff.no_room"


def test_of_a_dump_that_can_be_read_again_no_more_is_kept_than_there_is_room_for() -> None:
    with comparison("") as both:
        room, side = both.before.file.room, both.before
        for most, taken, is_kept in ((1000, 0, True), (20, 0, False), (1000, room.left - 60, False)):
            side.kept, side.most_kept = Kept(""), most
            room.take(taken)
            side.keep(ready("VALUES (1,1)"))
            assert (side.kept is not None) == is_kept
            side.let_go_of_kept()
            room.give(taken)
            assert side.kept_bytes == 0


def test_who_waits_is_heard_while_a_large_table_is_dealt_out(
    files: tuple[RowFile, RowFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    files[0].append(bytes(20 * ROW_BYTES))
    monkeypatch.setattr(rowfile, "_BLOCK_BYTES", ROW_BYTES)
    ticks: list[None] = []

    with ExitStack() as opened:
        files[0].dealt(files[0].whole(), 0, opened, lambda: ticks.append(None))
    assert len(ticks) == 20


def test_who_waits_is_heard_before_each_statement_that_is_looked_through_for_rows() -> None:
    heard: list[str] = []
    with comparison("") as both:
        both.after.kept = Kept("")
        for _ in range(3):
            both.after.kept.add(ready("VALUES (1,1)"))
        both.picked = {"t": {}}
        for _ in both.kept_of_picked(both.after, lambda: heard.append("tick")):
            heard.append("statement")

    assert heard == ["tick", "statement"] * 3


def test_rows_that_were_seen_before_and_after_a_column_came_lie_in_one_file(tmp_path: Path) -> None:
    table = KeptTable("t", ["id"], 0, 0, 2, 0, b"", b"")
    then = {b"id": b"1", b"v": b"'a'"}
    before, after = {b"id": b"1", b"v": b"'b'"}, {b"id": b"2", b"more": b"5", b"v": b"'c'"}
    changes = [Change("t", 1, then, before, 0, AGAIN, None), Change("t", 2, then, after)]

    for wanted in (changes, changes[::-1]):
        keeping.write_chosen(tmp_path / "rows", [table], wanted)

        with kept_rows(tmp_path / "rows") as rows:
            first, second = rows.changes("t")
        assert (first.now, second.now) == ({**before, b"more": b"NULL"}, after)
        assert (first.then, second.then) == (then, then)


def test_what_a_column_has_that_was_not_named_is_read_in_either_servers_words() -> None:
    definition = b"""CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `a` varchar(20) NOT NULL DEFAULT 'none' COMMENT 'x DEFAULT 7',
  `b` int DEFAULT '0',
  `c` int(11) DEFAULT -1,
  `d` text DEFAULT NULL,
  `e` enum('p DEFAULT q','r') COMMENT ' DEFAULT 5',
  `f` varchar(36) DEFAULT (uuid()),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;
"""
    assert defaults_of(definition) == {
        b"id": b"NULL", b"a": b"none", b"b": b"0", b"c": b"-1", b"d": b"NULL", b"e": b"NULL", b"f": b"NULL",
    }  # fmt: skip
