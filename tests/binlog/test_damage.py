"""Whatever was done to a log is named, and nothing else ever comes of it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups import binlog
from backups.binlog import Kind, Unreadable, Why, events
from backups.binlog.compressed import inflated
from backups.binlog.events import read_events
from backups.binlog.queries import parse_query
from tests.binlog import made
from tests.servers import FLAVOURS, DatabaseServer

# Where a file says that it is being written to, which no checksum covers.
IN_USE = 4 + 17
SMALL = (
    "CREATE TABLE small (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(300), t TEXT)",
    "INSERT INTO small (v, t) VALUES ('a', NULL), (REPEAT('b', 280), REPEAT('c', 500))",
    "UPDATE small SET v = CONCAT(v, 'x') WHERE id = 1",
    "BEGIN; DELETE FROM small WHERE id = 1; SAVEPOINT s; INSERT INTO small (v) VALUES ('d'); COMMIT",
    "XA START 'x'; INSERT INTO small (v) VALUES ('xa'); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
    "ALTER TABLE small ADD COLUMN w INT",
)


@pytest.fixture(scope="session")
def small_logs(mariadb_with_log: DatabaseServer, mysql_server: DatabaseServer) -> dict[str, bytes]:
    """A small file of the log of each flavour, plain and compressed, and one without checksums."""
    found = {}
    for server in (mariadb_with_log, mysql_server):
        server.create_database("small")
        for name, wanted in (
            ("plain", []),
            ("compressed", made.COMPRESSED[server.flavour]),
            ("unchecked", ["binlog_checksum = NONE"]),
        ):
            with made.logged(server, wanted) as files:
                for statement in (*SMALL, "DROP TABLE small"):
                    server.execute(statement, "small")
            found[f"{server.flavour} {name}"] = files[0].read_bytes()
    return found


LOGS = [f"{flavour} {name}" for flavour in FLAVOURS for name in ("plain", "compressed", "unchecked")]
CHECKED = [name for name in LOGS if "unchecked" not in name]


HOW_MANY = pytest.mark.parametrize("how_many", [100, pytest.param(None, marks=pytest.mark.soak)])


def some(length: int, how_many: int | None) -> Sequence[int]:
    """All places, or so many, which are drawn."""
    return range(length) if how_many is None else sorted(random.sample(range(length), how_many))


def ends(data: bytes) -> list[int]:
    """Where events end."""
    return [4, *(event.end for event in binlog.read_events([data], binlog.Reading()))]


@HOW_MANY
@pytest.mark.parametrize("name", LOGS)
def test_a_file_that_is_cut_is_read_up_to_the_last_whole_transaction(
    name: str, how_many: int | None, small_logs: dict[str, bytes]
) -> None:
    data = small_logs[name]
    whole = made.transactions(data)
    boundaries = set(ends(data))

    for length in sorted({*some(len(data), how_many), *boundaries}):
        reading, read = binlog.Reading(), []
        if length in boundaries:
            read = list(binlog.read([data[:length]], reading))
        else:
            with pytest.raises(Unreadable) as cut:
                read += binlog.read([data[:length]], reading)
            assert cut.value.why is Why.CUT
            assert cut.value.position == max(end for end in (0, *boundaries) if end <= length)
        found = [each for each in read if isinstance(each, binlog.Transaction)]
        assert found == [each for each in whole if each.end <= length]
        assert reading.whole == max([0, *(each.end for each in read)]) or not read


def flips(data: bytes, how_many: int | None) -> Iterator[tuple[int, int]]:
    """A byte and one of its bits: of each, or of so many, which are drawn."""
    for at in some(len(data), how_many):
        yield at, 1 << random.randrange(8)


@HOW_MANY
@pytest.mark.parametrize("name", CHECKED)
def test_a_bit_that_has_turned_is_found(
    name: str, how_many: int | None, small_logs: dict[str, bytes]
) -> None:
    data = small_logs[name]

    for at, bit in flips(data, how_many):
        if (at, bit) != (IN_USE, 1):
            with pytest.raises(Unreadable):
                made.explore(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])


@HOW_MANY
@pytest.mark.parametrize("name", [name for name in LOGS if "unchecked" in name])
def test_without_checksums_a_bit_that_has_turned_is_found_or_read(
    name: str, how_many: int | None, small_logs: dict[str, bytes]
) -> None:
    data = small_logs[name]

    for at, bit in flips(data, how_many):
        with suppress(Unreadable):
            made.explore(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])


@pytest.mark.parametrize("name", LOGS)
def test_an_event_that_was_taken_out_or_put_in_twice_is_found(
    name: str, small_logs: dict[str, bytes]
) -> None:
    data = small_logs[name]
    boundaries = ends(data)

    for start, end in list(pairwise(boundaries))[1:-1]:
        for damaged in (data[:start] + data[end:], data[:end] + data[start:]):
            with pytest.raises(Unreadable) as found:
                made.explore(damaged)
            assert found.value.why in {Why.POSITION, Why.ORDER}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_change_of_a_log_comes_to_anything_but_a_named_failure(
    small_logs: dict[str, bytes], data: st.DataObject
) -> None:
    """Bytes changed, events swapped, and checksums made right again."""
    log = bytearray(small_logs[data.draw(st.sampled_from(LOGS))])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(log) - 1))
        log[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    with suppress(Unreadable):
        made.explore(with_right_checksums(bytes(log)))


def with_right_checksums(data: bytes) -> bytes:
    """The same with the checksum that each event should have."""
    out, at = bytearray(data[:4]), 4
    while at + events.HEADER.size <= len(data):
        size = int.from_bytes(data[at + 9 : at + 13], "little")
        raw = bytearray(data[at : at + max(size, events.HEADER.size + 4)])
        raw[13:17] = bytes(4)
        out += raw[:-4] + zlib.crc32(raw[:-4]).to_bytes(4, "little")
        at += max(size, events.HEADER.size + 4)
    return bytes(out)


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_no_bytes_come_to_anything_but_a_named_failure(data: bytes, has_magic: bool, has_head: bool) -> None:
    before = made.head(is_mariadb=has_magic) if has_head else binlog.MAGIC * has_magic

    with suppress(Unreadable):
        made.explore(before + data)


BODIES = st.one_of(st.binary(max_size=80), st.integers(0, 255).map(lambda byte: bytes([byte]) * 60))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*Kind, 99, 200]), BODIES), min_size=1, max_size=6), st.booleans())
def test_no_events_come_to_anything_but_a_named_failure(
    made_of: list[tuple[int, bytes]], is_mariadb: bool
) -> None:
    """Each has a right checksum and the right length, and anything in it."""
    with suppress(Unreadable):
        made.explore(made.log_of(*made_of, is_mariadb=is_mariadb))


def test_what_is_no_log_is_named() -> None:
    head = made.head(is_mariadb=True)
    cases = {
        b"": (Why.CUT, 0),
        b"\xfe": (Why.CUT, 0),
        b"-- MariaDB dump": (Why.MAGIC, 0),
        b"\xfdbin" + bytes(508): (Why.ENCRYPTED, 0),
        binlog.MAGIC + made.packed_event(Kind.STOP, b"", 4): (Why.FORMAT, 4),
        # A server would read another database's name in a table map than the one that stands where we look.
        made.head(is_mariadb=True, table_map=40): (Why.FORMAT, 4),
        head + bytes(9) + b"\xff\xff\xff\x7f" + bytes(9): (Why.SIZE, len(head)),
        head + bytes(9) + b"\x05\x00\x00\x00" + bytes(9): (Why.SIZE, len(head)),
    }

    for data, (why, position) in cases.items():
        with pytest.raises(Unreadable) as found:
            made.explore(data)
        assert (found.value.why, found.value.position) == (why, position)
        assert found.value.code == "log.unreadable"
        assert found.value.params == {"position": position, "why": why.value}
        assert str(position) in str(found.value)


def test_a_time_zone_is_said_in_plain_letters() -> None:
    """It goes to the server within quotes, and in sjis two of these bytes are one letter and one quote."""
    told = b"\x95\\', @@GLOBAL.general_log = 1 -- "
    settings = b"\x05" + bytes([len(told)]) + told
    body = (
        bytes(8) + b"\x04" + bytes(2) + len(settings).to_bytes(2, "little") + settings + b"shop\0DROP TABLE a"
    )

    for letter, zone in ((b"\x95", None), (b"+", told.replace(b"\x95", b"+"))):
        log = made.log_of((Kind.QUERY, body.replace(b"\x95", letter)), is_mariadb=True)
        event = list(read_events([log], binlog.Reading()))[-1]
        if zone is None:
            with pytest.raises(Unreadable):
                parse_query(event)
        else:
            assert parse_query(event).time_zone == zone


def test_an_event_of_a_kind_that_nobody_knows_is_given_out_as_one() -> None:
    """It is not passed over, whatever it means."""
    made_of = [(99, b"x"), (Kind.MARIADB_GTID, bytes(19)), (99, b"x"), (Kind.XID, bytes(8))]
    data = made.log_of(*made_of, is_mariadb=True)

    read = list(binlog.read([data], binlog.Reading()))

    assert [each.is_known for each in read] == [True, False, False]
    assert len(made.facts_of(data).unknown) == 2


def test_what_says_that_it_may_be_passed_over_is_passed_over() -> None:
    data = made.head(is_mariadb=False)
    data += made.packed_event(99, b"x", len(data), flags=events.IGNORABLE)

    assert [each.is_known for each in binlog.read([data], binlog.Reading())] == [True, True]


def test_what_inflates_to_more_than_it_says_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(10_000_000))

    for length in (1, 9_999_999, 10_000_001, 2**32 - 1):
        with pytest.raises(Unreadable) as found:
            inflated(b"\x84" + length.to_bytes(4, "big") + bomb, 5)
        assert found.value.why is Why.COMPRESSED
    assert len(inflated(b"\x84" + (10_000_000).to_bytes(4, "big") + bomb, 5)) == 10_000_000
