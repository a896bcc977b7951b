"""Two dumps read at once: equal rows are left out as bytes, and what is found is what it was in turns."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from backups.differences import meeting as meetings
from backups.differences import settling, sifting
from backups.differences.comparison import Comparison, comparison
from backups.differences.held import Held
from backups.differences.meeting import AFTER, BEFORE, Meeting, NotMet
from backups.differences.recording import Recorder
from backups.differences.result import Differences
from backups.differences.settling import Settling, rows_within
from backups.differences.shapes import Layout, Shape
from backups.differences.sifting import Sifter
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.chosen_tables import chosen_tables
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import LoadOptions
from backups.loading.progress import Loading
from backups.loading.reading import digested, judged

MYSQL, MARIADB = b",", b",\n"
# What may be taken for the end of a row, or of a text.
HOSTILE = (
    b"1", b"NULL", b"'),('", b"'it''s'", rb"'x\\'", rb"'\''", rb"'\\\''", b"''", rb"'),\n('", rb"'\"'",
    b"'(''('",
)  # fmt: skip
TAME = (b"1", b"22", b"'a'")
DIALECT = Dialect.of(is_mariadb=True, number=(11, 4, 2))


def row(chance: random.Random, key: int, values: Sequence[bytes]) -> bytes:
    return b"(%d,%b,%b)" % (key, chance.choice(values), chance.choice(values))


def meddled(chance: random.Random, rows: Sequence[bytes], values: Sequence[bytes]) -> list[bytes]:
    """The same rows with some gone, changed, new, doubled, and whole stretches that came."""
    found = []
    for each in rows:
        kind = chance.random()
        if kind < 0.1:
            continue
        if kind < 0.2:
            found.append(row(chance, int(each[1:].partition(b",")[0]), values))
            continue
        if kind < 0.28:
            found += [row(chance, chance.randrange(900), values) for _ in range(chance.randrange(20))]
        found.append(each)
    return found


WINDOWS = [(64, 40, 200), (8, 16, 60), (1 << 12, 1 << 11, 4 << 20)]


@pytest.fixture(params=WINDOWS, ids=["some", "few", "all"])
def windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is looked at once: of a few rows as little as of millions."""
    first, look, enough = request.param
    monkeypatch.setattr(settling, "_FIRST_BYTES", first)
    monkeypatch.setattr(settling, "_FIRST_LOOK", look)
    monkeypatch.setattr(settling, "ENOUGH_BYTES", enough)
    monkeypatch.setattr(meetings, "_MOST_WAITING", 2 * enough)
    monkeypatch.setattr(sifting, "_LEFT_BYTES", enough // 4)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("between", [MYSQL, MARIADB], ids=["mysql", "mariadb"])
def test_what_is_left_out_changes_nothing_of_what_differs(between: bytes) -> None:
    for seed in range(150):
        chance = random.Random(seed)
        values = chance.choice([HOSTILE, TAME])
        before = [row(chance, key, values) for key in range(chance.randrange(60))]
        sides = before, meddled(chance, before, values)
        settled = Settling(between)
        left: list[list[bytes]] = [[], []]
        waiting = [list(side) for side in sides]
        over: set[int] = set()
        while len(over) < 2:
            side, count = chance.randrange(2), chance.randrange(1, 8)
            some, waiting[side] = waiting[side][:count], waiting[side][count:]
            if some:
                settled.add(side, between.join(some))
            elif side not in over:
                settled.end(side)
                over.add(side)
        for side in (0, 1):
            assert not settled.waiting(side)
            for text in settled.take_left(side):
                left[side] += [b"(" + each + b")" for each in rows_within(text[1:-1], between)]

        all_rows, others = map(Counter, sides), map(Counter, left)
        (then, now), (then_left, now_left) = all_rows, others
        assert (then_left - now_left, now_left - then_left) == (then - now, now - then), seed
        assert then_left.total() + settled.settled == then.total(), seed
        assert now_left.total() + settled.settled == now.total(), seed


def test_long_stretches_that_are_gone_or_came_do_not_hide_what_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Far less than the stretches have.
    monkeypatch.setattr(settling, "ENOUGH_BYTES", 1 << 14)
    rows = [b"(%d,'%d')" % (key, key * 7919) for key in range(20_000)]
    for sides in (
        (rows, rows[:2_000] + rows[18_000:]),
        (rows[:2_000] + rows[18_000:], rows),
        (rows, [each for at, each in enumerate(rows) if at % 1000]),
    ):
        settled = Settling(MYSQL)
        waiting = [list(side) for side in sides]
        while any(waiting):
            # As a meeting has it: who is ahead waits.
            side = min((0, 1), key=lambda each: (not waiting[each], settled.waiting(each)))
            some, waiting[side] = waiting[side][:200], waiting[side][200:]
            settled.add(side, MYSQL.join(some))
        for side in (0, 1):
            settled.end(side)

        assert settled.settled == min(map(len, sides))


# ---------------------------------------------------------------- Whole dumps


def dump(tables: dict[str, tuple[str, Sequence[bytes]]], between: bytes, most: int) -> bytes:
    """A dump as the programs write one, with statements of at most so many rows."""
    parts = [b"-- MariaDB dump 10.19\n\n/*!40101 SET NAMES utf8mb4 */;\n\n"]
    for name, (columns, rows) in tables.items():
        title = b"\n--\n-- %b for table `" + name.encode() + b"`\n--\n\n"
        lines = ",\n".join(f"  {line}" for line in columns.split("; "))
        parts += [
            title % b"Table structure",
            f"DROP TABLE IF EXISTS `{name}`;\nCREATE TABLE `{name}` (\n{lines}\n) ENGINE=InnoDB;\n".encode(),
            title % b"Dumping data",
            b"LOCK TABLES `%b` WRITE;\n" % name.encode(),
        ]
        for at in range(0, len(rows), most):
            head = b"INSERT INTO `%b` VALUES" % name.encode() + (b"\n" if b"\n" in between else b" ")
            parts.append(head + between.join(rows[at : at + most]) + b";\n")
        parts.append(b"UNLOCK TABLES;\n")
    return b"".join([*parts, b"-- Dump completed\n"])


def chunks(text: bytes, size: int) -> Iterator[bytes]:
    yield from (text[at : at + size] for at in range(0, len(text), size))


def manifest(text: bytes) -> Held:
    digester = Digester()
    for _ in [*digester.feed(text), *digester.close()]:
        pass
    return Held({"sections": digester.sections({})})


class Read:
    """Both dumps, read in turns or at once."""

    def __init__(self, before: bytes, after: bytes, size: int) -> None:
        self.texts, self.size = (before, after), size
        self.held = manifest(before), manifest(after)

    def in_turns(self, both: Comparison) -> Differences:
        loading = Loading()
        self._play(1, both.reader_of_after(self.held[0], loading.digester), loading, None)
        self._play(0, both.reader_of_before(self.held[0]), Loading(), None)
        return both.found(*self.held, lambda: None)

    def at_once(self, both: Comparison, patience: float | None = None) -> Differences:
        order = [each.name for each in self.held[0].objects if each.kind == "table"]
        meeting = Meeting(order, {}, patience)
        both.before.settled = both.after.settled = meeting.settled
        loading = Loading(), Loading()

        def may_settle(table: str) -> bool:
            layout = meeting.layout(table)
            return layout is not None and layout.is_whole

        def layout(table: str, _: Shape) -> Layout | None:
            return meeting.layout(table)

        takers = (
            both.reader_of_before(self.held[0], layout),
            both.reader_of_after(self.held[0], loading[1].digester, layout),
        )
        raised: list[BaseException] = []

        def play(side: int) -> None:
            try:
                self._play(side, takers[side], loading[side], Sifter(meeting, side, may_settle))
            except BaseException as error:  # noqa: BLE001  looked at below
                raised.append(error)
                meeting.call_off()

        threads = [threading.Thread(target=play, args=[side], daemon=True) for side in (BEFORE, AFTER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "the sides wait for each other"
        if raised:
            raise raised[0]
        return both.found(*self.held, lambda: None)

    def _play(self, side: int, taker: Recorder, loading: Loading, sifter: Sifter | None) -> None:
        pieces = digested(chunks(self.texts[side], self.size), loading)
        if sifter is not None:
            pieces = sifter.sifted(pieces)
        allowed = Allowed(DIALECT, LoadOptions("shop", source="shop"))
        every = {each.name for held in self.held for each in held.objects}
        for ready in judged(
            map(bytes, chosen_tables(pieces, every)), Loading(), allowed, DIALECT, is_ours=True
        ):
            taker.take(ready)
        taker.close()


KEYED = "`id` int NOT NULL; `a` text; `b` text; PRIMARY KEY (`id`)"
LOOSE = "`id` int; `a` text; `b` text"
WIDER = "`id` int NOT NULL; `a` text; `b` text; `c` int; PRIMARY KEY (`id`)"


def made_up(seed: int) -> tuple[bytes, bytes]:
    """A database of a few tables, then and now, each written in its own pieces."""
    chance = random.Random(seed)
    between = chance.choice([MYSQL, MARIADB])
    before: dict[str, tuple[str, Sequence[bytes]]] = {}
    after: dict[str, tuple[str, Sequence[bytes]]] = {}
    for name in "abcdefgh"[: chance.randrange(1, 9)]:
        values = chance.choice([HOSTILE, TAME])
        rows = [row(chance, key, values) for key in range(chance.choice([0, 3, 40]))]
        columns = chance.choice([KEYED, LOOSE])
        now = chance.choice([rows, meddled(chance, rows, values)])
        if chance.random() > 0.15:
            before[name] = columns, rows
        if chance.random() < 0.1:
            after[name] = WIDER, [each[:-1] + b",5)" for each in now]
        elif chance.random() > 0.1:
            after[name] = columns, now
    return dump(before, between, chance.randrange(1, 30)), dump(after, between, chance.randrange(1, 30))


@pytest.mark.usefixtures("windows")
def test_what_is_found_at_once_is_what_is_found_in_turns() -> None:
    settled = 0
    for seed in range(40):
        before, after = made_up(seed)
        read = Read(before, after, random.Random(seed).choice([70, 700, 1 << 20]))
        with comparison("") as turns, comparison("") as beside:
            turns.defined_before = beside.defined_before
            expected, found = read.in_turns(turns), read.at_once(beside)
            settled += sum(beside.before.settled.values())

        wider = {each.table for each in found.tables if each.columns_came}
        assert [each for each in found.tables if each.table not in wider] == [
            each for each in expected.tables if each.table not in wider
        ], seed
        assert found.objects == expected.objects, seed
    assert settled > 300


def test_tables_in_another_order_and_a_side_that_is_too_slow_are_not_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [row(random.Random(), key, TAME) for key in range(50)]
    tables: dict[str, tuple[str, Sequence[bytes]]] = dict.fromkeys(("a", "b", "c"), (KEYED, rows))
    turned_round = {name: tables[name] for name in ("c", "b", "a")}
    with comparison("") as both, pytest.raises(NotMet):
        Read(dump(tables, MYSQL, 9), dump(turned_round, MYSQL, 9), 100).at_once(both)

    read = Read(dump(tables, MYSQL, 9), dump({**tables, "d": (KEYED, rows[1:])}, MYSQL, 9), 100)
    play, over = read._play, threading.Event()

    def slow(side: int, *how: Any) -> None:
        if side == BEFORE:
            over.wait(10)
            raise NotMet
        try:
            play(side, *how)
        finally:
            over.set()

    monkeypatch.setattr(read, "_play", slow)
    with comparison("") as both, pytest.raises(NotMet):
        read.at_once(both, patience=0.1)


def test_a_statement_of_many_megabytes_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sifting, "_LONGEST_STATEMENT", 300)
    rows = [row(random.Random(5), key, HOSTILE) for key in range(60)]
    before, after = (dump({"t": (KEYED, some)}, MYSQL, 60) for some in (rows, rows[1:]))
    read = Read(before, after, 50)
    with comparison("") as both:
        (found,) = read.at_once(both).tables
        assert dict(both.before.settled) == {"t": 0}

    assert (found.gone, found.new, found.changed, found.rows_before, found.rows_after) == (1, 0, 0, 60, 59)
