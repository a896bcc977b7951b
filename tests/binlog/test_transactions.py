"""A log's transactions are what was done, one by one, whatever kind they are of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backups import binlog
from backups.binlog import Ending, Kind
from tests.binlog import made
from tests.servers import DatabaseServer

Rows = dict[str, dict[str, int]]
# What is done, and what the log has of it: for each transaction its kind, and rows by table and kind.
Told = list[tuple[Ending, Rows]]
XA = "XA START 'n','b',3; INSERT INTO a (v) VALUES ('xa'); XA END 'n','b',3"
INSERT = "INSERT INTO a (v) VALUES"
STEPS: list[tuple[str, Told]] = [
    ("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(1000))", [(Ending.STATEMENT, {})]),
    ("INSERT INTO a (v) VALUES ('x'), (REPEAT('y', 900)), (NULL)", [(Ending.ROWS, {"a": {"insert": 3}})]),
    ("UPDATE a SET v = 'z' WHERE v IS NOT NULL", [(Ending.ROWS, {"a": {"update": 2}})]),
    (
        "BEGIN; DELETE FROM a WHERE id = 1; INSERT INTO a (v) VALUES ('q'); COMMIT",
        [(Ending.ROWS, {"a": {"delete": 1, "insert": 1}})],
    ),
    (
        f"BEGIN; {INSERT} ('q'); SAVEPOINT x; {INSERT} ('w'); ROLLBACK TO x; COMMIT",
        [(Ending.ROWS, {"a": {"insert": 1}})],
    ),
    ("BEGIN; INSERT INTO a (v) VALUES ('never'); ROLLBACK", []),
    (
        f"{XA}; XA PREPARE 'n','b',3; XA COMMIT 'n','b',3",
        [(Ending.XA_PREPARED, {"a": {"insert": 1}}), (Ending.XA_COMMITTED, {})],
    ),
    (
        f"{XA}; XA PREPARE 'n','b',3; XA ROLLBACK 'n','b',3",
        [(Ending.XA_PREPARED, {"a": {"insert": 1}}), (Ending.XA_ROLLED_BACK, {})],
    ),
    (f"{XA}; XA COMMIT 'n','b',3 ONE PHASE", [(Ending.ROWS, {"a": {"insert": 1}})]),
    ("CREATE TABLE m (i INT) ENGINE=MyISAM", [(Ending.STATEMENT, {})]),
    ("INSERT INTO m VALUES (1), (2)", [(Ending.ROWS, {"m": {"insert": 2}})]),
    ("CREATE TABLE c AS SELECT id FROM a WHERE id < 4", [(Ending.ROWS, {"c": {"insert": 2}})]),
    ("ALTER TABLE a ADD COLUMN w INT", [(Ending.STATEMENT, {})]),
    (
        "SET SESSION binlog_format = STATEMENT; INSERT INTO c VALUES (7); SET SESSION binlog_format = ROW",
        [(Ending.ROWS, {})],
    ),
    ("TRUNCATE TABLE c", [(Ending.STATEMENT, {})]),
    ("DROP TABLE a, c", [(Ending.STATEMENT, {})]),
    ("DROP TABLE m", [(Ending.STATEMENT, {})]),
]


def rows_of(transaction: binlog.Transaction) -> Rows:
    return {
        table.decode(): {kind.value: count for kind, count in kinds.items()}
        for (_, table), kinds in binlog.changes(transaction.events).items()
    }


@pytest.mark.parametrize(
    "compressed", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["plain", "compressed"]
)
def test_what_was_done_is_what_is_read(logging_server: DatabaseServer, compressed: bool) -> None:
    server = logging_server
    server.create_database("told")
    read = []

    with made.logged(server, made.COMPRESSED[server.flavour] if compressed else ()) as files:
        for sql, _ in STEPS:
            server.execute(sql, "told")
    for file in files:
        read += made.transactions(file.read_bytes())

    expected = [each for _, told in STEPS for each in told]
    assert [(each.kind, rows_of(each)) for each in read] == expected
    assert all(each.is_known for each in read)
    assert {each.xid for each in read if each.xid} == {binlog.Xid(3, b"n", b"b")}


def test_a_statement_comes_with_the_settings_of_its_session(logging_server: DatabaseServer) -> None:
    with made.logged(logging_server) as files:
        logging_server.execute(
            "SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+03:30', foreign_key_checks = 0, "
            "auto_increment_increment = 5, auto_increment_offset = 2, timestamp = 1700000000.25, "
            "lc_time_names = 'it_IT'; SET NAMES latin1; CREATE DATABASE settings; USE settings; "
            "CREATE TABLE \"a\" (i INT, d TIMESTAMP DEFAULT '2001-02-03'); DROP DATABASE settings"
        )
    read = [each for file in files for each in made.transactions(file.read_bytes())]
    statements = [binlog.parse_query(each.events[-1]) for each in read]

    assert [each.kind for each in read] == [Ending.STATEMENT] * 3
    made_table = statements[1]
    assert made_table.database == b"settings"
    assert made_table.text.startswith(b'CREATE TABLE "a" (')
    assert (made_table.when, made_table.time_zone, made_table.error) == (1700000000, b"+03:30", 0)
    assert made_table.sql_mode is not None
    assert made_table.sql_mode & 4
    assert made_table.flags2 is not None
    assert made_table.flags2 & binlog.NO_FOREIGN_KEY_CHECKS
    assert made_table.charsets is not None
    assert made_table.charsets[0] == 8
    assert made_table.unknown is None
    assert {each.connection for each in read} == {made_table.connection}


def test_mysql_tells_when_a_transaction_was_committed(mysql_server: DatabaseServer) -> None:
    """Whatever time the client says that it is."""
    mysql_server.create_database("told")
    mysql_server.execute("CREATE TABLE a (i INT)", "told")

    with made.logged(mysql_server) as files:
        before = now_us(mysql_server)
        mysql_server.execute("SET timestamp = 1700000000; INSERT INTO a VALUES (1)", "told")
        after = now_us(mysql_server)

    (read,) = made.transactions(files[0].read_bytes())
    assert read.moment == 1700000000
    assert read.committed_us is not None
    assert before <= read.committed_us <= after


def now_us(server: DatabaseServer) -> int:
    return int(server.query("SELECT UNIX_TIMESTAMP(NOW(6)) * 1000000")[0][0])


def test_an_alter_in_two_parts_of_mariadb_is_one_that_begins_and_a_statement(
    mariadb_with_log: DatabaseServer,
) -> None:
    server = mariadb_with_log
    server.create_database("told")
    server.execute("CREATE TABLE a (i INT); INSERT INTO a VALUES (1), (1)", "told")

    with made.logged(server) as files:
        server.execute("SET binlog_alter_two_phase = 1; ALTER TABLE a ADD COLUMN v INT", "told")
        with pytest.raises(Exception, match="Duplicate"):
            server.execute("SET binlog_alter_two_phase = 1; ALTER TABLE a ADD PRIMARY KEY (i)", "told")

    read = made.transactions(files[0].read_bytes())
    kinds = [Ending.ALTER_BEGUN, Ending.STATEMENT, Ending.ALTER_BEGUN, Ending.ALTER_UNDONE]
    assert [each.kind for each in read] == kinds


@pytest.fixture(scope="module")
def rich_log(mysql_server: DatabaseServer) -> bytes:
    mysql_server.create_database("told")
    with made.logged(mysql_server) as files:
        for sql, _ in STEPS:
            mysql_server.execute(sql, "told")
    return files[0].read_bytes()


@pytest.mark.parametrize("size", [1, 19, 4096])
def test_it_does_not_matter_in_which_parts_the_bytes_come(rich_log: bytes, size: int) -> None:
    whole = binlog.read([rich_log], binlog.Reading())

    assert list(binlog.read(made.parts_of(rich_log, size), binlog.Reading())) == list(whole)


def test_reading_goes_on_where_it_has_ended(rich_log: bytes) -> None:
    """In whatever transaction the bytes have ended, that one is read when it is whole."""
    whole = list(binlog.read([rich_log], binlog.Reading()))
    ends = [event.end for event in binlog.read_events([rich_log], binlog.Reading())]

    for end in ends:
        first = binlog.Reading()
        read = list(binlog.read([rich_log[:end]], first))
        assert first.is_open == (first.whole < end)
        again = binlog.Reading(first.format, first.whole)
        assert read + list(binlog.read([rich_log[first.whole :]], again)) == whole


def test_nothing_lies_between_what_is_read(rich_log: bytes) -> None:
    read = list(binlog.read([rich_log], binlog.Reading()))

    assert [each.end for each in read[:-1]] == [each.start for each in read[1:]]
    assert (read[0].start, read[-1].end) == (4, len(rich_log))


def test_events_are_held_where_whoever_reads_wants_them(rich_log: bytes) -> None:
    class Kept(list[binlog.Event]):
        pass

    read = binlog.read([rich_log], binlog.Reading(), Kept)

    assert {type(each.events) for each in read if isinstance(each, binlog.Transaction)} == {Kept}


def written(transactions: Sequence[binlog.Transaction], log_format: binlog.Format) -> bytes:
    """A piece of a log with some transactions of it."""
    parts = [event.written(log_format) for each in transactions for event in each.events]
    return log_format.head() + b"".join(parts)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_a_piece_of_a_log_says_of_each_transaction_where_it_was(
    logging_server: DatabaseServer, compressed: bool
) -> None:
    """Some are left out, as are those of other databases, and the flavour's own program reads it too."""
    server = logging_server
    server.create_database("told")
    with made.logged(server, made.COMPRESSED[server.flavour] if compressed else ()) as files:
        for sql, _ in STEPS:
            server.execute(sql, "told")
    data, reading = files[0].read_bytes(), binlog.Reading()
    whole = [each for each in binlog.read([data], reading) if isinstance(each, binlog.Transaction)]
    assert reading.format is not None
    kept = whole[1::2]
    piece = binlog.Piece("told", files[0].name, reading.format.made, kept[0].start, kept[-1].end)

    bytes_of_it = written(kept, reading.format)
    again = binlog.read([bytes_of_it], binlog.Reading(piece=piece))

    read = [each for each in again if isinstance(each, binlog.Transaction)]
    assert [told(each) for each in read] == [told(each) for each in kept]
    file = server.folder / "piece"
    file.write_bytes(bytes_of_it)
    assert made.told_by_client(server, [file]) == made.rows_of(kept)


def told(each: binlog.Transaction) -> tuple[object, ...]:
    return each.start, each.end, each.gtid, each.moment, each.committed_us, each.kind, rows_of(each)


def test_positions_past_four_gigabytes_are_told_as_they_are() -> None:
    """Events have 32 bits for them."""
    start = 2**32 - 60
    data = made.packed_event(Kind.QUERY, made.query(b"BEGIN"), start)
    data += made.packed_event(Kind.XID, bytes(8), start + len(data))
    head = list(binlog.read([made.head(is_mariadb=False)], begun := binlog.Reading()))
    assert len(head) == 1

    (read,) = binlog.read([data], binlog.Reading(begun.format, start))
    assert (read.start, read.end) == (start, start + len(data))
    assert read.end > 2**32

    piece = binlog.Piece("shop", "binlog.000001", 1, start, start + len(data))
    again = list(binlog.read([made.head(is_mariadb=False) + data], binlog.Reading(piece=piece)))
    assert (again[-1].start, again[-1].end) == (start, start + len(data))
