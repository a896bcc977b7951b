"""What a database's log says is made again in a copy beside it, and nowhere else."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from backups.binlog.events import MAGIC, Reading, read_events
from backups.binlog.kinds import GTIDS, Kind
from backups.binlog.names import Piece
from backups.dumpfile.log_positions import Place
from backups.errors import Cancelled, Problem
from backups.replaying.result import Replayed
from backups.replaying.way import Part
from tests.replaying.playing import OPTIONS, Played, end_of_log, parts_of_log
from tests.replaying.stories import AFTERWARDS, DEFINITIONS, FROM_ELSEWHERE, NEIGHBOUR, ROWS, TABLES
from tests.servers import DatabaseServer, Flavour

# A number that was given and never used is in no log, and the definition of a table tells the next one.
COUNTERS = {("table", "log"), ("table", "orders"), ("table", "customer")}


# tests/moments has MySQL's replayed, and live databases untouched by it.
@pytest.mark.one_flavour("mariadb")
def test_the_copy_is_what_the_source_is_and_all_others_are_untouched(played: Played) -> None:
    played.load(NEIGHBOUR + TABLES + ROWS)
    played.execute(*DEFINITIONS)
    for statement in FROM_ELSEWHERE:
        played.server.execute(played.named(statement), played.other)
    played.load(AFTERWARDS)
    before = played.digests(played.source), played.digests(played.other)
    until = end_of_log(played.server)

    with played.watched() as said:
        replayed = played.replay(until)

    assert (played.digests(played.source), played.digests(played.other)) == before
    # Bodies stay as they are written: they do not run while they are defined.
    bare = [
        statement for statement in said if not re.match(r"CREATE .*(TRIGGER|PROCEDURE|EVENT)\b", statement)
    ]
    assert any(statement.startswith("BINLOG") for statement in bare)
    assert not [each for each in bare if re.search(rf"\b({played.source}|{played.other})\b(?!__)", each)]
    assert played.differing() == {("event", "later")}
    assert played.query("SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()") == [
        ("DISABLED",)
    ]
    assert replayed.position == until
    assert replayed.transactions > 20
    assert replayed.seen > replayed.transactions
    assert replayed.row_events
    assert replayed.statements


@pytest.mark.one_flavour("mysql")
def test_rows_are_counted_and_not_the_events_that_hold_many_of_them(played: Played) -> None:
    played.execute(
        "CREATE TABLE t (i INT PRIMARY KEY, b VARCHAR(9))",
        "INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, ''), (4, 'd')",
        "UPDATE t SET b = 'x' WHERE i < 3",
        "DELETE FROM t WHERE i > 1",
    )

    replayed = played.replay(end_of_log(played.server))

    assert (replayed.rows, replayed.row_events) == (4 + 2 + 3, 3)


def test_it_ends_at_the_place_that_was_asked_for_or_between_transactions(played: Played) -> None:
    played.execute("CREATE TABLE t (i INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    until = end_of_log(played.server)
    played.execute("DELETE FROM t")
    with pytest.raises(Problem) as late:
        played.replay(Place(until.file, until.position + 10**6))
    assert late.value.code == "replay.log_ends_early"
    played.server.execute("DROP TABLE t", played.target)
    with pytest.raises(Problem) as within:
        played.replay(Place(until.file, until.position + 1))
    assert within.value.code == "replay.within_transaction"
    played.server.execute("DROP TABLE t", played.target)

    assert played.replay(until).position == until
    assert played.query("SELECT i FROM t") == [(1,)]

    def tick(replayed: Replayed) -> None:
        if replayed.seen == 2:
            raise Cancelled

    played.server.execute("DROP TABLE t", played.target)
    with pytest.raises(Cancelled):
        played.replay(tick=tick)


@pytest.mark.parametrize(
    ("in_copy", "logged", "number"),
    [
        ("INSERT INTO t VALUES ('other')", "DELETE FROM t", 1032),
        ("INSERT INTO t VALUES ('new@example.org')", "INSERT INTO t VALUES ('new@example.org')", 1062),
        pytest.param("DROP TABLE t", "DELETE FROM t", 1146, marks=pytest.mark.soak),
        pytest.param("DROP TABLE t", "ALTER TABLE t ADD i INT", 1146, marks=pytest.mark.soak),
        pytest.param("ALTER TABLE t ADD i INT", "ALTER TABLE t ADD i INT", 1060, marks=pytest.mark.soak),
    ],
)
def test_a_log_that_does_not_fit_ends_in_a_sentence_without_values_of_rows(
    played: Played, in_copy: str, logged: str, number: int
) -> None:
    table = "CREATE TABLE t (v VARCHAR(40) PRIMARY KEY)"
    played.execute(table, "INSERT INTO t VALUES ('somebody@example.org')")
    played.server.execute(f"{table}; {in_copy}", played.target)
    played.after = end_of_log(played.server)
    played.execute(logged)

    with pytest.raises(Problem) as raised:
        played.replay()

    problem = raised.value
    assert problem.code == "replay.does_not_fit"
    assert problem.params["number"] == number
    assert problem.params["file"] == played.after.file
    assert "example.org" not in str(problem)
    assert problem.__cause__ is None


@pytest.mark.soak
@pytest.mark.parametrize(
    ("flavour", "options"),
    [
        ("mariadb", ["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]),
        ("mariadb", ["--binlog-checksum=NONE", "--binlog-row-metadata=FULL"]),
        ("mariadb", ["--binlog-row-image=MINIMAL", "--binlog-annotate-row-events=OFF"]),
        ("mysql", ["--binlog-checksum=NONE", "--binlog-row-metadata=FULL"]),
        ("mysql", ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--binlog-transaction-compression=ON"]),
        ("mysql", ["--binlog-row-image=MINIMAL", "--binlog-row-value-options=PARTIAL_JSON"]),
        ("mysql", ["--lower-case-table-names=1", "--binlog-rows-query-log-events=ON"]),
    ],
)
def test_a_log_may_be_written_in_any_form(flavour: Flavour, options: list[str]) -> None:
    with DatabaseServer(flavour, options=[*OPTIONS[flavour], *options]) as server:
        played = Played(server)
        played.load(NEIGHBOUR + TABLES + ROWS)
        played.execute(*DEFINITIONS)
        played.server.restart()
        played.load(AFTERWARDS)
        before = played.tables_of(played.other)

        played.replay()

        assert played.differing() == {("event", "later")}
        assert played.tables_of(played.other) == before


@pytest.mark.soak
def test_it_is_played_while_others_write_and_only_the_copy_changes(played: Played) -> None:
    played.load(NEIGHBOUR + TABLES + ROWS)
    until = end_of_log(played.server)
    wanted = played.digests(played.source)
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            played.execute(
                "INSERT INTO log (what) VALUES ('meanwhile')", "UPDATE orders SET total = total + 1"
            )

    with ThreadPoolExecutor(2) as writers:
        writing = [writers.submit(write) for _ in range(2)]
        time.sleep(0.5)
        try:
            played.replay(until)
        finally:
            over.set()
        for each in writing:
            each.result()

    assert {
        name for name, digest in wanted.items() if played.digests(played.target)[name] != digest
    } <= COUNTERS


def test_what_is_not_known_ends_the_replay(played: Played) -> None:
    played.execute("CREATE TABLE t (i INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    until = end_of_log(played.server)

    for place in ("between", "within"):
        played.server.execute("DROP TABLE IF EXISTS t", played.target)
        with pytest.raises(Problem) as raised:
            played.replay(until, parts=unknown_put_in(played, until, place))
        assert raised.value.code == "replay.barrier"
        assert played.query("SELECT * FROM t") == []


def unknown_put_in(played: Played, until: Place, place: str) -> list[Part]:
    """The log with an event of a kind that nobody knows before the last transaction, or in it."""
    *before, last = parts_of_log(played.server, played.after)
    reading = Reading()
    found = [event for event in read_events(last.chunks, reading) if event.end <= until.position]
    assert reading.format is not None
    kinds = [event.kind for event in found]
    at = len(kinds) - 1 - kinds[::-1].index(Kind.TABLE_MAP)
    if place == "between":
        at = max(number for number, kind in enumerate(kinds) if kind in GTIDS)
    found.insert(at, found[at]._replace(kind=200, body=b"\0" * 20))
    data = MAGIC + reading.format.raw + b"".join(event.written(reading.format) for event in found[1:])
    return [*before, Part(last.file, [data], Piece(played.source, last.file, 1, 4, 1 << 40))]
