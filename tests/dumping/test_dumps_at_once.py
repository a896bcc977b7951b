"""One dump by several dump programs: the bytes of one, of one moment, or no dump at all."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from backups import mysql
from backups.dumpfile.digesting import Digester
from backups.dumping import parallel
from backups.dumping.parallel import ParallelDumpUnavailable, ParallelOptions
from backups.dumping.shares import shares
from backups.dumping.spool import Spool
from backups.dumping.streaming import Outlet, stream_dump
from backups.errors import Problem
from tests.actions.test_failures import small_disk
from tests.actions.test_kills import (
    assert_next_succeeds,
    assert_nothing_came_of_it,
    is_client,
    is_dump_program,
    is_restic,
)
from tests.backups.conftest import MakePortal
from tests.backups.worlds import (
    Portal,
    Shop,
    children_of,
    client_dir,
    command_of,
    make_awkward,
    make_shop,
    the_child,
    wait_until,
)
from tests.servers import FLAVOURS, DatabaseServer

TABLE_PAIR = """
CREATE TABLE a_purse (id INT PRIMARY KEY, coins INT NOT NULL, filler VARCHAR(2000));
CREATE TABLE b_purse (id INT PRIMARY KEY, coins INT NOT NULL, filler VARCHAR(2000));
"""
BEGUN = "Dumped over 2 connections; no table could be written to for 0."
COINS = 100
PURSES = 50


def source_of(shop: Shop) -> mysql.DumpSource:
    server = mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
    return mysql.DumpSource(server, info, mysql.clients(info, client_dir(shop.server)), shop.name)


def may_lock(shop: Shop) -> Shop:
    pattern = mysql.name_pattern(shop.name)
    shop.server.execute(f"GRANT LOCK TABLES ON {pattern}.* TO '{shop.user}'@'%'")
    return shop


def dumped_alone(source: mysql.DumpSource) -> tuple[bytes, Digester]:
    written, digester = bytearray(), Digester()
    stream_dump(source, Outlet(digester, written.extend))
    return bytes(written), digester


def dumped_at_once(source: mysql.DumpSource, options: ParallelOptions) -> tuple[bytes, Digester]:
    written, digester = bytearray(), Digester()
    with parallel.begun(source, options) as dumps:
        for piece in digester.digested(dumps.pieces(digester.splitter)):
            written += piece.data
    return bytes(written), digester


@pytest.fixture(scope="session", params=FLAVOURS)
def of_one_engine(request: pytest.FixtureRequest) -> Shop:
    """The database of all names, bytes and bodies, but for what several dump programs leave to one."""
    shop = make_awkward(request.getfixturevalue(f"{request.param}_server"), "at, `once.%_")
    with mysql.connect(source_of(shop).server) as connection:
        bare = mysql.tables_without_snapshot(connection, shop.name)
    names = [name.rpartition(" (")[0] for name in bare]
    shop.execute("".join(f"DROP TABLE {mysql.quote(name)};" for name in (*names, "Case", "Cäse")))
    return may_lock(shop)


@pytest.fixture
def lockable(shop: Shop) -> Shop:
    return may_lock(shop)


# ---------------------------------------------------------------- The same bytes


# Below, on MariaDB some of it over the disk.
@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize("connections", [2, *(pytest.param(n, marks=pytest.mark.soak) for n in (3, 8))])
def test_several_programs_write_the_bytes_of_one(of_one_engine: Shop, connections: int) -> None:
    source = source_of(of_one_engine)
    alone, digested_alone = dumped_alone(source)

    at_once, digester = dumped_at_once(source, ParallelOptions(connections))

    assert at_once == alone
    assert digester.sections({}) == digested_alone.sections({})
    assert digester.is_complete


# Above, those that are usually dumped ahead.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_whichever_tables_are_dumped_ahead_the_bytes_are_the_same(
    of_one_engine: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(of_one_engine)
    alone, _ = dumped_alone(source)
    chance = random.Random(7)

    def any_shares(tables: list[mysql.TableSize], connections: int, _: int) -> list[list[str]]:
        dealt: list[list[str]] = [[] for _ in range(connections)]
        for table in tables:
            chance.choice(dealt).append(table.name)
        return dealt

    monkeypatch.setattr(parallel, "shares", any_shares)
    for _ in range(6):
        assert dumped_at_once(source, ParallelOptions(chance.randint(2, 4)))[0] == alone


@pytest.mark.one_flavour("mariadb")
def test_what_waits_on_disk_comes_back(
    lockable: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lockable, "orders_too", megabytes=4)
    source = source_of(lockable)
    monkeypatch.setattr(parallel, "_AHEAD_BYTES", 1 << 20)
    alone, _ = dumped_alone(source)

    at_once, _ = dumped_at_once(source, ParallelOptions(2, str(tmp_path), 50 << 20))

    assert at_once == alone
    assert list(tmp_path.iterdir()) == []


def fill(shop: Shop, table: str, *, megabytes: int) -> None:
    """A table with rows of a kilobyte, and what the server knows of its size up to date."""
    shop.execute(f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, data VARCHAR(1000))")
    shop.execute(f"INSERT INTO {table} (data) VALUES (REPEAT('x', 1000))")
    for _ in range((megabytes * 1000).bit_length()):
        shop.execute(f"INSERT INTO {table} (data) SELECT data FROM {table} LIMIT {megabytes * 500}")
    shop.query(f"ANALYZE TABLE {table}")


# ---------------------------------------------------------------- One moment


@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_each_dump_shows_one_moment_while_others_write(flavour: str, request: pytest.FixtureRequest) -> None:
    shop = may_lock(make_shop(request.getfixturevalue(f"{flavour}_server"), TABLE_PAIR))
    rows = ", ".join(f"({number}, {COINS}, REPEAT('x', 2000))" for number in range(PURSES))
    shop.execute(f"INSERT INTO a_purse VALUES {rows}; INSERT INTO b_purse VALUES {rows}")
    source = source_of(shop)

    with coins_moved(shop) as moves:
        for _ in range(12):
            before = moves()
            dump, _ = patiently(lambda: dumped_at_once(source, ParallelOptions(2)))
            assert coins_in(shop, dump) == 2 * COINS * PURSES
            wait_until(lambda before=before: moves() > before, "coins that are moved")  # type: ignore[misc]


@contextmanager
def coins_moved(shop: Shop) -> Iterator[Callable[[], int]]:
    """Move coins from table to table, each time in one transaction; tells how often."""
    over, moved = threading.Event(), [0, 0]

    def move(number: int) -> None:
        connection = connected(shop)
        chance = random.Random(number)
        with connection.cursor() as cursor:
            while not over.is_set():
                coins, purse = chance.randint(-5, 5), chance.randrange(PURSES)
                cursor.execute(f"UPDATE a_purse SET coins = coins - {coins} WHERE id = {purse}")
                cursor.execute(f"UPDATE b_purse SET coins = coins + {coins} WHERE id = {purse}")
                connection.commit()
                moved[number] += 1
        connection.close()

    # Both in the same order of tables, as they would lock each other out otherwise.
    threads = [threading.Thread(target=move, args=[number], daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: min(moved)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def connected(shop: Shop) -> Any:
    server = shop.server
    return MySQLdb.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=shop.name
    )


def patiently(dump: Callable[[], Any]) -> Any:
    """The tables are not always to be had within a second."""
    for _ in range(10):
        try:
            return dump()
        except ParallelDumpUnavailable:
            continue
    raise AssertionError("the tables were never to be had")


def coins_in(shop: Shop, dump: bytes) -> int:
    copy = f"{shop.name}_copy"
    shop.server.create_database(copy)
    shop.server.client("--default-character-set=utf8mb4", copy, stdin=dump)
    ((coins,),) = shop.server.query(
        "SELECT (SELECT SUM(coins) FROM a_purse) + (SELECT SUM(coins) FROM b_purse)", copy
    )
    return int(coins)


@pytest.mark.one_flavour("mariadb")
def test_tables_are_free_again_once_all_programs_have_begun(lockable: Shop) -> None:
    with parallel.begun(source_of(lockable), ParallelOptions(2)) as dumps:
        lockable.execute(
            "INSERT INTO customers VALUES (77, 'Niklaus'); INSERT INTO orders (customer) VALUES (77)"
        )
        dump = b"".join(bytes(piece.data) for piece in dumps.pieces(Digester().splitter))

    assert 0 < dumps.locked_seconds < 2
    assert b"Niklaus" not in dump
    assert b",77," not in dump


@pytest.mark.one_flavour("mysql")
def test_tables_are_free_again_though_we_were_halted(lockable: Shop) -> None:
    server = source_of(lockable).server
    with mysql.locked_for_reading(server, lockable.name, ["customers", "orders"]) as lock:
        lockable.execute("INSERT INTO customers VALUES (78, 'Barbara')")

        with pytest.raises(mysql.NotLocked, match="let the locked tables go"):
            lock.release()


# ---------------------------------------------------------------- What is left to one program


def refused(shop: Shop, options: ParallelOptions = ParallelOptions(2)) -> str:  # noqa: B008
    with pytest.raises(ParallelDumpUnavailable) as refusal, parallel.begun(source_of(shop), options):
        pass
    return str(refusal.value)


@pytest.mark.one_flavour("mariadb")
def test_user_who_may_not_lock_is_told_what_is_missing(shop: Shop) -> None:
    assert refused(shop) == f"user {shop.user} lacks LOCK TABLES on {mysql.name_pattern(shop.name)}.*"


@pytest.mark.one_flavour("mysql")
def test_transaction_that_writes_is_not_waited_for(lockable: Shop) -> None:
    writer = connected(lockable)
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO journal (what) VALUES ('not committed')")
        assert "in use by a transaction" in refused(lockable)
    writer.close()


@pytest.mark.one_flavour("mariadb")
def test_table_without_snapshots_is_left_to_one_program(lockable: Shop) -> None:
    lockable.execute("CREATE TABLE counters (id INT) ENGINE=MyISAM")

    assert "does not cover counters (MyISAM)" in refused(lockable)


@pytest.mark.one_flavour("mysql")
def test_names_that_the_dump_programs_mix_up_are_left_to_one(lockable: Shop) -> None:
    lockable.execute("CREATE TABLE Orders (id INT)")

    assert "differ only in case" in refused(lockable)


@pytest.mark.one_flavour("mariadb")
def test_table_that_does_not_fit_is_not_dumped_ahead(lockable: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_AHEAD_BYTES", 1000)

    assert "too small" in refused(lockable)


@pytest.mark.one_flavour("mysql")
def test_folder_that_takes_nothing_leaves_it_to_one(lockable: Shop, tmp_path: Path) -> None:
    assert "No such file" in refused(lockable, ParallelOptions(2, str(tmp_path / "gone"), 1 << 20))


@pytest.mark.one_flavour("mariadb")
def test_programs_that_do_not_begin_are_not_waited_for(
    lockable: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_BEGIN_SECONDS", 0)
    monkeypatch.setattr(parallel, "_LOOK_SECONDS", 0)

    assert "did not all begin" in refused(lockable)


@pytest.mark.one_flavour("mysql")
def test_server_that_has_no_more_connections_is_left_to_one(lockable: Shop) -> None:
    lockable.execute(f"ALTER USER '{lockable.user}'@'%' WITH MAX_USER_CONNECTIONS 1")

    assert re.search("did not begin|takes no more connections", refused(lockable))


@pytest.mark.parametrize(
    ("sizes", "connections", "room", "expected"),
    [
        ([10, 10], 2, 100, ["a", "b"]),
        ([1, 42, 8, 20, 1], 2, 500, ["ab", "cde"]),
        ([1, 42, 8, 20, 1], 3, 500, ["a", "b", "cde"]),
        # What is left over has no room: it stays with the first.
        ([1, 42, 8, 20, 1], 2, 10, ["abcd", "e"]),
        ([50, 1, 1], 2, 100, ["a", "bc"]),
        ([1, 1, 50], 2, 10, ["abc"]),
        ([5], 4, 100, ["a"]),
        ([], 4, 100, [""]),
    ],
)
def test_tables_are_dealt_out_in_their_order(
    sizes: list[int], connections: int, room: int, expected: list[str]
) -> None:
    tables = [mysql.TableSize("abcdefg"[i], "BASE TABLE", size, 2 * size) for i, size in enumerate(sizes)]

    assert ["".join(run) for run in shares(tables, connections, room)] == expected


# ---------------------------------------------------------------- What goes wrong


@pytest.mark.one_flavour("mysql")
def test_table_that_one_program_did_not_write_is_an_error(
    lockable: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        parallel,
        "_left_out",
        lambda tables, shares, share: [table.name for table in tables if table.is_table],
    )

    with pytest.raises(Problem, match="did not write the table customers where it belongs"):
        dumped_at_once(source_of(lockable), ParallelOptions(2))


@pytest.mark.one_flavour("mariadb")
def test_table_that_two_programs_wrote_is_an_error(lockable: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_left_out", lambda tables, shares, share: [])

    with pytest.raises(Problem, match="did not write"):
        dumped_at_once(source_of(lockable), ParallelOptions(2))


@pytest.fixture
def large(lockable: Shop, make_portal: MakePortal, tmp_path: Path) -> Iterator[Portal]:
    """A portal that dumps over two connections more than its pipes and its memory hold."""
    spool = tmp_path / "spool"
    spool.mkdir()
    yield with_much_to_dump(lockable, make_portal, spool)
    assert list(spool.iterdir()) == []


def with_much_to_dump(
    lockable: Shop, make_portal: MakePortal, spool: Path, *, first: int = 25, ahead: int = 4
) -> Portal:
    """The megabytes of the table that the `first` program dumps, and of the one that the second dumps ahead.

    What comes between them goes to whose is the smaller.
    """
    fill(lockable, "a_large", megabytes=first)
    fill(lockable, "z_large", megabytes=ahead)
    return make_portal(lockable, DUMP_CONNECTIONS="2", DUMP_SPOOL_DIR=str(spool), DUMP_SPOOL_MB="500")


def clients_of(pid: int) -> list[int]:
    """The first dump program, and the one that dumps ahead."""
    return [child for child in children_of(pid) if is_client(command_of(child))]


@contextmanager
def halfway(portal: Portal, begun: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """A backup whose dump programs have begun and cannot end, as restic does not read."""
    backup = portal.start("backup", "--json")
    the_child(backup.pid, is_dump_program)
    restic = the_child(backup.pid, is_restic)
    os.kill(restic, signal.SIGSTOP)
    wait_until(lambda: begun(backup) if begun else BEGUN in portal.log(), "two dump programs", 30)
    yield backup
    os.kill(restic, signal.SIGCONT)


# Above, the same bytes without restic; tests/dumping/test_connections.py has a backup over several.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_backup_over_two_connections_is_the_one_of_a_single_one(large: Portal) -> None:
    ran = large.backup()
    alone = large.backup(DUMP_CONNECTIONS="1")

    assert ran.code == alone.code == 0, ran.err
    assert ran.json["sha256"] == alone.json["sha256"]
    first, second = (
        large.restic("dump", told.json["snapshot_id"], f"/mysql/{large.shop.name}.sql")
        for told in (ran, alone)
    )
    assert first == second
    assert BEGUN in large.log()
    assert large.leftovers() == []


# Above, the dump says so; tests/dumping/test_connections.py has a backup go over one connection.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_backup_that_cannot_lock_goes_over_one_connection_and_says_so(
    shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(shop, DUMP_CONNECTIONS="2")

    ran = portal.backup()

    assert ran.code == 0, ran.err
    assert f"Dumped over one connection: user {shop.user} lacks LOCK TABLES" in portal.log()


# Below, a program that does not come to its end, and a server that is killed.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_killed_dump_program_makes_a_failed_run(large: Portal) -> None:
    with halfway(large) as backup:
        os.kill(clients_of(backup.pid)[0], signal.SIGKILL)
    ran = large.finish(backup)

    assert ran.code == 1
    assert "The dump program was killed by signal 9." in ran.json["error"]
    assert_nothing_came_of_it(large, "failed")
    assert_next_succeeds(large)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(0, marks=pytest.mark.one_flavour("mysql")),
        pytest.param(1, marks=pytest.mark.soak),
    ],
)
def test_each_program_has_to_come_to_its_end(
    lockable: Shop, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in ("a_large", "z_large"):
        fill(lockable, table, megabytes=25)
    # So small that no program comes to its end before someone takes what it writes.
    monkeypatch.setattr(parallel, "_spool", lambda *_: Spool(1 << 20))
    with parallel.begun(source_of(lockable), ParallelOptions(2, str(tmp_path), 500 << 20)) as dumps:
        pieces = dumps.pieces(Digester().splitter)
        next(pieces)
        os.kill(clients_of(os.getpid())[number], signal.SIGKILL)

        with pytest.raises(Problem, match="killed by signal 9"):
            for _ in pieces:
                pass


# A server that is killed leaves nothing either; tests/actions/test_backup.py stops a backup.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_cancelled_command_leaves_nothing(large: Portal) -> None:
    with halfway(large) as backup:
        backup.send_signal(signal.SIGINT)
    ran = large.finish(backup)

    assert ran.code == 130
    assert_nothing_came_of_it(large, "cancelled")
    assert_next_succeeds(large)


# Above a program does not come to its end, below the server is killed.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_killed_connections_make_a_failed_run(large: Portal) -> None:
    with halfway(large) as backup:
        for (thread,) in large.shop.query(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s", [large.shop.user]
        ):
            with suppress(MySQLdb.OperationalError):  # it has ended meanwhile
                large.shop.execute(f"KILL {thread}")
    ran = large.finish(backup)

    assert ran.code == 1
    # A program that was between two tables gives no reason.
    assert re.search("(was|may have been) lost", ran.json["error"])
    assert_nothing_came_of_it(large, "failed")
    assert_next_succeeds(large)


# Above, a program does not come to its end; tests/actions/test_kills.py has a server that is killed.
@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.one_flavour("mariadb")
def test_killed_server_makes_a_failed_run(flavour: Any, make_portal: MakePortal, tmp_path: Path) -> None:
    with DatabaseServer(flavour) as server:
        portal = with_much_to_dump(may_lock(make_shop(server)), make_portal, tmp_path)
        with halfway(portal) as backup:
            server.kill()
        ran = portal.finish(backup)
        server.start()

        assert ran.code == 1
        # As the last rows of a table are on their way, the dump program ends without a reason.
        gone = rf"connection to the database server at 127\.0\.0\.1:{server.port} (was|may have been) lost"
        assert re.search(gone, ran.json["error"])
        assert_nothing_came_of_it(portal, "failed")
        assert_next_succeeds(portal)


def test_disk_of_the_spool_fills_during_the_dump(
    mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=250) as disk:
        portal = with_much_to_dump(may_lock(mariadb_shop), make_portal, disk, ahead=80)
        filler = disk / "filler"
        with halfway(portal, begun=lambda backup: len(clients_of(backup.pid)) == 2) as backup:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * (1 << 20))
            wait_until(lambda: BEGUN in portal.log(), "two dump programs that have begun", 30)
        ran = portal.finish(backup)

        assert ran.code == 1
        assert "(DUMP_SPOOL_DIR) cannot be written to: No space left on device" in ran.json["error"]
        assert_nothing_came_of_it(portal, "failed")
        assert list(disk.iterdir()) == [filler]
        filler.unlink()
        assert shutil.disk_usage(disk).used == 0
        assert_next_succeeds(portal)


# tests/dumping/test_changes.py has tables altered during a dump of one program, which asks in the same way.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_table_altered_before_a_program_comes_to_it_is_an_error_and_none_afterwards(
    lockable: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    portal = with_much_to_dump(lockable, make_portal, tmp_path, first=20, ahead=28)
    with halfway(portal) as backup:
        portal.shop.execute("ALTER TABLE journal ADD COLUMN more INT")
    ran = portal.finish(backup)

    assert ran.code == 1
    assert "journal" in ran.json["error"]
    assert "altered" in ran.json["error"]
    assert_nothing_came_of_it(portal, "failed")

    with halfway(portal) as backup:
        portal.shop.execute("ALTER TABLE z_large ADD COLUMN more INT")  # as soon as it is dumped
    assert portal.finish(backup).code == 0
