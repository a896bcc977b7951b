"""One part of a log follows another, or it is known why not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups import binlog
from backups.binlog import Gap, GtidSet, Kind, follows
from tests.binlog import made
from tests.servers import FLAVOURS, DatabaseServer
from tests.servers.database import Flavour

OPTIONS = {
    "mariadb": ["--log-bin=binlog", "--server-id=7"],
    "mysql": ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
}


@pytest.fixture(params=FLAVOURS)
def own_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server with GTIDs, whose log may be reset."""
    flavour: Flavour = request.param
    with DatabaseServer(flavour, options=OPTIONS[flavour]) as server:
        server.create_database("shop")
        server.execute("CREATE TABLE shop.a (i INT)")
        yield server


def inserted(server: DatabaseServer, rows: int = 3) -> None:
    for number in range(rows):
        server.execute(f"INSERT INTO shop.a VALUES ({number})")


def facts_of_part(data: bytes, start: int, known: binlog.Facts) -> binlog.Facts:
    """What bytes from the midst of a file say, to who knows what was before them."""
    facts = binlog.Facts(known.file, start, before=known.after, after=known.after and known.after.copy())
    facts.format = known.format
    for each in binlog.read([data[start:]], binlog.Reading(known.format, start)):
        facts.note(each)
    return facts


def first_part(data: bytes, transactions: int, file: str) -> binlog.Facts:
    """What a file says to the end of one of its transactions."""
    end = made.transactions(data)[transactions - 1].end
    return made.facts_of(data[:end], file)


# tests/shipping/test_shipping.py has MySQL's followed over all of these.
@pytest.mark.one_flavour("mariadb")
def test_files_follow_each_other_over_rotation_restart_and_kill_and_no_other_way(
    own_server: DatabaseServer,
) -> None:
    server = own_server
    first, _ = made.end_of(server)
    inserted(server)
    server.execute("FLUSH BINARY LOGS")
    inserted(server)
    server.restart()
    inserted(server)
    server.kill()
    server.start()
    inserted(server)

    files = made.files_from(server, first)
    datas = [file.read_bytes() for file in files]
    parts = [made.facts_of(data, file.name) for data, file in zip(datas, files, strict=True)]

    assert [(bool(part.next_file), part.is_stopped) for part in parts] == [
        (True, False),
        (False, True),
        (False, False),
        (True, False),
    ]
    assert [follows(before, after) for before, after in pairwise(parts)] == [None] * 3
    assert follows(parts[0], parts[2]) is Gap.FILE
    assert follows(parts[1], parts[0]) is Gap.FILE
    # Whatever it is called, what it says was before it is not what was.
    assert follows(parts[0], replace(parts[2], file=parts[1].file)) is Gap.GTIDS

    whole, file = parts[0], files[0].name
    part = first_part(datas[0], 3, file)
    assert follows(part, parts[1]) is Gap.GTIDS
    rest = facts_of_part(datas[0], part.end, part)
    assert follows(part, rest) is None
    assert follows(rest, parts[1]) is None
    assert rest.after == whole.after
    assert follows(first_part(datas[0], 2, file), rest) is Gap.POSITION
    assert follows(part, replace(rest, before=whole.after)) is Gap.GTIDS
    assert follows(whole, replace(parts[1], start=500)) is Gap.HEAD


@pytest.mark.one_flavour("mysql")
def test_a_log_that_was_reset_is_another_one_though_its_files_have_the_same_names(
    own_server: DatabaseServer,
) -> None:
    server = own_server
    reset = "RESET MASTER" if server.flavour == "mariadb" else "RESET BINARY LOGS AND GTIDS"
    server.execute(reset)
    inserted(server)
    file, _ = made.end_of(server)
    data = made.path_of(server, file).read_bytes()
    before = made.facts_of(data, file)
    time.sleep(1.1)
    server.execute(reset)
    inserted(server, rows=9)

    regrown = made.path_of(server, made.end_of(server)[0])

    assert regrown.name == file
    assert len(regrown.read_bytes()) > before.end
    after = replace(made.facts_of(regrown.read_bytes(), file), start=before.end)
    assert follows(before, after) is Gap.REMADE


@pytest.mark.one_flavour("mariadb")
def test_another_server_does_not_go_on_with_our_log(own_server: DatabaseServer) -> None:
    inserted(own_server)
    file, _ = made.end_of(own_server)
    part = made.facts_of(made.path_of(own_server, file).read_bytes(), file)
    assert part.format is not None

    assert follows(part, replace(part, format=replace(part.format, server_id=8))) is Gap.SERVER
    other = replace(part.format, is_mariadb=not part.format.is_mariadb)
    assert follows(part, replace(part, format=other)) is Gap.SERVER


def test_what_a_server_says_that_it_lost_is_a_gap() -> None:
    name = b"binlog.000002"
    data = made.log_of((Kind.INCIDENT, b"\x01\x00\x04lost"), (Kind.ROTATE, bytes(8) + name), is_mariadb=True)
    after = made.facts_of(made.log_of((Kind.GTID_LIST, bytes(4)), is_mariadb=True), "binlog.000002")

    assert follows(made.facts_of(data), after) is Gap.INCIDENT


def test_the_servers_own_set_is_ours(own_server: DatabaseServer) -> None:
    """With tags too, where the server has them."""
    server, is_mariadb = own_server, own_server.flavour == "mariadb"
    first, _ = made.end_of(server)
    inserted(server)
    insert = "INSERT INTO shop.a VALUES (7)"
    if is_mariadb:
        server.execute(f"SET gtid_domain_id = 5; {insert}; SET server_id = 9; {insert}")
    else:
        server.execute(f"SET gtid_next = 'AUTOMATIC:one'; {insert}; {insert}")
        uuid = server.query("SELECT @@server_uuid")[0][0]
        server.execute(f"SET gtid_next = 'AUTOMATIC:two'; {insert}; SET gtid_next = '{uuid}:900'; {insert}")
    told = server.query("SELECT @@gtid_binlog_state" if is_mariadb else "SELECT @@GLOBAL.gtid_executed")[0][0]

    files = made.files_from(server, first)
    facts = made.facts_of(files[-1].read_bytes())
    last = made.path_of(server, made.end_of(server)[0]).read_bytes()

    assert facts.after is not None
    assert facts.after == GtidSet.parse(told)
    assert made.facts_of(last).before == facts.after
    assert GtidSet.parse(str(facts.after)) == facts.after


NUMBERS = st.lists(st.integers(1, 40), max_size=30)
SOURCES = st.sampled_from(["", ":a", ":b2"])


@given(st.lists(st.tuples(SOURCES, st.integers(1, 30)), max_size=60))
def test_a_set_does_not_depend_on_the_order_in_which_it_grew(gtids: list[tuple[str, int]]) -> None:
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    sets = []
    for order in (gtids, sorted(gtids), gtids[::-1]):
        sets.append(GtidSet())
        for tag, number in order:
            sets[-1].add(f"{uuid}{tag}:{number}")

    assert sets[0] == sets[1] == sets[2] == GtidSet.parse(str(sets[0]))
    assert {
        (source, number)
        for source, intervals in sets[0].intervals.items()
        for first, last in intervals
        for number in range(first, last + 1)
    } == {(f"{uuid}{tag}", number) for tag, number in gtids}


@given(st.text(max_size=60))
def test_what_is_no_set_is_refused(text: str) -> None:
    try:
        parsed = GtidSet.parse(text)
    except ValueError:
        return
    assert GtidSet.parse(str(parsed)) == parsed
