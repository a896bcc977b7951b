"""The position in the binary log that a dump's manifest tells is the dump's own, or there is none."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from backups import mysql, process
from backups.dumping import log_position
from backups.dumping.order import Order, Report
from backups.dumping.parallel import ParallelOptions
from backups.dumping.program import dump
from tests.backups.worlds import Shop, client_dir, make_shop, wait_until
from tests.dumping.test_dump import Manifest, server_of
from tests.dumping.test_dumps_at_once import connected, may_lock
from tests.servers import FLAVOURS, DatabaseServer
from tests.servers.database import Flavour

MAY_ASK = {"mariadb": "BINLOG MONITOR", "mysql": "REPLICATION CLIENT"}
TABLES = 6
MANY = "".join(
    f"CREATE TABLE t{number} (id BIGINT PRIMARY KEY, pad VARCHAR(60));\n" for number in range(TABLES)
)
PAD = "REPEAT('x', 50)"


def may_ask(shop: Shop) -> Shop:
    shop.server.execute(f"GRANT {MAY_ASK[shop.server.flavour]} ON *.* TO '{shop.user}'@'%'")
    return shop


def ready(server: DatabaseServer, script: str = MANY) -> Shop:
    """A database of which an exact position can be had."""
    return may_lock(may_ask(make_shop(server, script)))


def dumped(shop: Shop, connections: int = 0) -> tuple[Manifest, bytes]:
    """The manifest and the bytes of a dump."""
    server, folder = server_of(shop), client_dir(shop.server)
    order = Order(server, shop.name, client_dir=folder, at_once=ParallelOptions(connections))
    report_fd, out_fd = process.secret_fd(b""), process.secret_fd(b"")
    try:
        manifest = dump(order, out_fd, Report(report_fd))
        return manifest, Path(f"/proc/self/fd/{out_fd}").read_bytes()
    finally:
        os.close(report_fd)
        os.close(out_fd)


def why_not(shop: Shop, connections: int = 0) -> str | None:
    """Why a dump has no exact position; None where it has one."""
    log = dumped(shop, connections)[0]["log"]
    assert (log["why_not"] is None) == log["exact"]
    if not log["exact"]:
        assert [log[name] for name in ("file", "position", "gtid", "server", "how")] == [None] * 5
    return log["why_not"]


# ---------------------------------------------------------------- The dump's own position


@contextmanager
def written(shop: Shop, writers: int = 4) -> Iterator[Callable[[], int]]:
    """Writers who insert rows into several tables, each with a number of its own; tells how many did."""
    over, counts = threading.Event(), [0] * writers
    noise = f"{shop.name}_noise"
    shop.server.execute(f"CREATE DATABASE {noise}; CREATE TABLE {noise}.n (id BIGINT PRIMARY KEY)")

    def write(writer: int) -> None:
        chance = random.Random(writer)
        with closing(connected(shop)) as connection, connection.cursor() as cursor:
            if shop.server.flavour == "mysql":
                cursor.execute("SET SESSION binlog_rows_query_log_events = ON")
            while not over.is_set():
                try:
                    transaction(writer, chance, cursor)
                except MySQLdb.OperationalError:  # a deadlock
                    connection.rollback()
                else:
                    connection.commit() if chance.random() < 0.9 else connection.rollback()
                # The lock has to be had now and then.
                time.sleep(0.005)

    def transaction(writer: int, chance: random.Random, cursor: Any) -> None:
        for _ in range(chance.randint(1, 4)):
            counts[writer] += 1
            number = writer * 10**9 + counts[writer]
            table = f"{shop.name}.t{chance.randrange(TABLES)}"
            cursor.execute(f"INSERT INTO {table} VALUES ({number}, {PAD})")
        if chance.random() < 0.3:
            cursor.execute(f"INSERT INTO {noise}.n VALUES ({writer * 10**9 + counts[writer]})")

    threads = [threading.Thread(target=write, args=[writer], daemon=True) for writer in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: min(counts)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        shop.server.execute(f"DROP DATABASE {noise}")


def ids_in(sql: bytes) -> set[int]:
    return {int(number) for number in re.findall(rb"\((\d+),'x", sql)}


def ids_logged(shop: Shop, log: dict[str, Any]) -> set[int]:
    """What was inserted before a position, by the statements that the log tells beside the rows."""
    logs = [str(row[0]) for row in shop.server.query("SHOW BINARY LOGS")]
    before = [_ids_of(shop, file) for file in logs[: logs.index(log["file"])]]
    return set().union(*before) | set(_ids_in(shop, log["file"], log["position"]))


@cache
def _ids_of(shop: Shop, file: str) -> frozenset[int]:
    """Those of a file that is not written to any more."""
    return frozenset(_ids_in(shop, file, 1 << 40))


def _ids_in(shop: Shop, file: str, end: int) -> Iterator[int]:
    statement = re.compile(rf"INSERT INTO {shop.name}\.t\d VALUES \((\d+), ")
    for _, position, *_, info in shop.server.query(f"SHOW BINLOG EVENTS IN '{file}'"):
        if position < end:
            yield from map(int, statement.findall(str(info)))


def is_boundary(shop: Shop, log: dict[str, Any]) -> bool:
    """Whether an event ends there, or the file is empty up to it."""
    events = shop.server.query(f"SHOW BINLOG EVENTS IN '{log['file']}'")
    return log["position"] in {row[4] for row in events}


def rounds_under_writers(shop: Shop, connections: int, rounds: int) -> int:
    """How many of so many dumps had an exact position, each of which is seen to be the dump's own."""
    exact = 0
    with written(shop) as count:
        for number in range(rounds):
            before = count()
            manifest, sql = dumped(shop, connections)
            log = manifest["log"]
            if log["exact"]:
                exact += 1
                assert ids_in(sql) == ids_logged(shop, log)
                assert is_boundary(shop, log)
                assert ids_in(sql)
            else:
                assert log["why_not"] in ("tables_in_use", "not_begun", "log_changed")
            wait_until(lambda before=before: count() > before, "rows that are written")  # type: ignore[misc]
            if number % 3 == 1:
                shop.server.execute("FLUSH BINARY LOGS")
    return exact


@pytest.mark.one_flavour("mariadb")
def test_position_is_the_dumps_own_while_others_write(logging_server: DatabaseServer) -> None:
    shop = ready(logging_server)

    assert rounds_under_writers(shop, 0, 2) >= 1


@pytest.mark.soak
@pytest.mark.parametrize("connections", [0, 4])
def test_position_is_the_dumps_own_in_each_of_many_dumps(
    connections: int, logging_server: DatabaseServer
) -> None:
    shop = ready(logging_server)
    assert rounds_under_writers(shop, connections, 10) >= 5


@pytest.mark.one_flavour("mysql")
def test_position_tells_how_it_was_had_and_whose_log_it_is(logging_server: DatabaseServer) -> None:
    shop = ready(logging_server)
    uuid = "server_uuid" if logging_server.flavour == "mysql" else "server_uid"
    ((number, name),) = logging_server.query(f"SELECT @@server_id, @@{uuid}")

    log = dumped(shop)[0]["log"]

    ((file, position, *_),) = logging_server.query(
        "SHOW BINARY LOG STATUS" if logging_server.flavour == "mysql" else "SHOW MASTER STATUS"
    )
    how = {"mysql": "lock", "mariadb": "snapshot"}[logging_server.flavour]
    assert log == {
        "file": file, "position": position, "gtid": log["gtid"], "exact": True, "how": how, "why_not": None,
        "server": {"id": number, "uuid": name},
    }  # fmt: skip
    if logging_server.flavour == "mariadb":
        ((gtid,),) = logging_server.query("SELECT @@gtid_binlog_pos")
        assert log["gtid"] == gtid
        assert dumped(shop, 2)[0]["log"] == {**log, "how": "lock"}


@pytest.mark.soak
def test_dump_with_a_position_has_the_bytes_of_one_without(logging_server: DatabaseServer) -> None:
    """All kinds of objects, and what looks like the comments that tell a position."""
    shop = make_shop(logging_server)
    shop.server.load(
        "CREATE TABLE `-- SET GLOBAL` (id INT PRIMARY KEY, what TEXT);\n"
        "INSERT INTO `-- SET GLOBAL` VALUES (1, '\\n-- SET GLOBAL gtid_slave_pos=''0-1-1'';\\n');\n"
        "DELIMITER ;;\nCREATE PROCEDURE z()\nBEGIN\n"
        "-- The deferred gtid setting for slave corresponding to the master-data CHANGE-MASTER follows\n\n"
        "-- Preferably use GTID to start replication from GTID position:\n\n"
        "-- SET GLOBAL gtid_slave_pos='0-7-11';\nDO 1;\nEND;;\nDELIMITER ;\n",
        shop.name,
    )
    before, sql = dumped(shop)
    assert before["log"]["why_not"] == "no_right"

    may_lock(may_ask(shop))
    after, as_well = dumped(shop)

    assert after["log"]["exact"]
    assert body(sql) == body(as_well)
    assert after["sha256"] == before["sha256"]


def body(sql: bytes) -> bytes:
    return sql.partition(b"-- Vedetta manifest")[0]


# ---------------------------------------------------------------- No position


# Below, other reasons.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_without_the_right_there_is_no_position(logging_server: DatabaseServer) -> None:
    assert why_not(may_lock(make_shop(logging_server, MANY))) == "no_right"


def test_without_a_log_there_is_no_position(mariadb_server: DatabaseServer) -> None:
    assert why_not(ready(mariadb_server)) == "log_off"


# Above and below, other reasons why there is none.
@pytest.mark.soak
def test_one_connection_that_was_asked_for_locks_nothing(mysql_server: DatabaseServer) -> None:
    shop = ready(mysql_server)

    assert why_not(shop, 1) == "lock_not_wanted"
    shop.server.execute(f"REVOKE LOCK TABLES ON {mysql.name_pattern(shop.name)}.* FROM '{shop.user}'@'%'")
    assert why_not(shop) == "no_lock_right"


@pytest.mark.parametrize("connections", [0, pytest.param(2, marks=pytest.mark.soak)])
def test_transaction_that_writes_leaves_no_position_and_a_dump(
    connections: int, mysql_server: DatabaseServer
) -> None:
    shop = ready(mysql_server)
    shop.execute(f"INSERT INTO t1 VALUES (1, {PAD})")
    with closing(connected(shop)) as writer, writer.cursor() as cursor:
        cursor.execute(f"INSERT INTO t0 VALUES (2, {PAD})")
        began = time.monotonic()

        manifest, sql = dumped(shop, connections)

        assert time.monotonic() - began < 10
    assert manifest["log"]["why_not"] == "tables_in_use"
    assert ids_in(sql) == {1}


@pytest.mark.soak
def test_open_transaction_is_behind_mariadbs_position(mariadb_with_log: DatabaseServer) -> None:
    """Nothing is locked there."""
    shop = ready(mariadb_with_log)
    with closing(connected(shop)) as writer, writer.cursor() as cursor:
        cursor.execute(f"INSERT INTO {shop.name}.t0 VALUES (2, {PAD})")

        manifest, sql = dumped(shop)

        writer.commit()
    log = manifest["log"]
    assert log["exact"]
    assert ids_in(sql) == ids_logged(shop, log) == set()
    assert ids_logged(shop, {**log, "position": 1 << 40}) == {2}


@pytest.mark.soak
@pytest.mark.parametrize("connections", [0, 2])
def test_table_without_snapshots_leaves_no_position(connections: int, logging_server: DatabaseServer) -> None:
    shop = ready(logging_server)
    shop.execute("CREATE TABLE notes (id INT) ENGINE=MyISAM")

    assert why_not(shop, connections) == "no_snapshot"


@pytest.mark.soak
def test_table_whose_history_tells_transactions_leaves_no_position(mariadb_with_log: DatabaseServer) -> None:
    shop = ready(mariadb_with_log)
    shop.execute(
        "CREATE TABLE v (id INT PRIMARY KEY, a BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, "
        "b BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (a, b)) WITH SYSTEM VERSIONING"
    )

    assert why_not(shop) == "versioned_by_transactions"


@pytest.mark.soak
@pytest.mark.parametrize("setting", ["binlog-do-db=other", "binlog-ignore-db=shop_kept_out"])
def test_database_that_is_left_out_of_the_log_has_no_position(setting: str) -> None:
    with DatabaseServer("mariadb", options=["--log-bin=binlog", f"--{setting}"]) as server:
        shop = may_lock(may_ask(make_shop(server, MANY, name="shop_kept_out")))

        assert why_not(shop) == why_not(shop, 2) == "not_logged"


@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_replica_that_logs_nothing_of_what_it_receives_has_no_position(flavour: Flavour) -> None:
    updates = {"mariadb": "--log-slave-updates=OFF", "mysql": "--log-replica-updates=OFF"}[flavour]
    begin = {
        "mariadb": "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x'; START SLAVE",
        "mysql": "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1, SOURCE_USER='x'; "
        "START REPLICA",
    }[flavour]
    with DatabaseServer(flavour, options=["--log-bin=binlog", "--server-id=3", updates]) as server:
        shop = ready(server)
        assert why_not(shop) is None
        server.execute(begin)

        assert why_not(shop) == "not_logged"


@pytest.mark.soak
def test_user_with_few_connections_is_not_asked_for_more(logging_server: DatabaseServer) -> None:
    shop = ready(logging_server)
    shop.server.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS 6")

    assert why_not(shop) == "few_connections"


# ---------------------------------------------------------------- What happens just then


def as_it_begins(monkeypatch: pytest.MonkeyPatch, what: Callable[[], None], *, after: bool) -> None:
    """Have something done between the first look at the server and the dump, or `after` that has begun."""
    begin, is_read = log_position.LogPosition.begin, log_position.LogPosition.is_read
    done = threading.Event()

    def begun(self: Any) -> None:
        begin(self)
        what()

    def once() -> None:
        if not done.is_set():
            done.set()
            what()

    def read(self: Any) -> None:
        once()
        is_read(self)

    if after:
        monkeypatch.setattr(log_position.LogPosition, "is_read", read)
    else:
        monkeypatch.setattr(log_position.LogPosition, "begin", begun)


@pytest.mark.soak
@pytest.mark.parametrize("connections", [0, 2])
def test_table_that_is_made_as_the_dump_begins_leaves_no_position(
    connections: int, logging_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ready(logging_server)
    shop.execute(f"INSERT INTO t0 VALUES (1, {PAD})")
    made = "CREATE TABLE made (id INT PRIMARY KEY)"
    as_it_begins(monkeypatch, lambda: shop.execute(made), after=False)

    manifest, _ = dumped(shop, connections)

    assert manifest["inventory"]["table"][0] == "made"
    assert manifest["log"]["why_not"] == "changed"


@pytest.mark.soak
@pytest.mark.parametrize("connections", [0, 2])
def test_table_that_is_being_made_is_logged_before_the_position_if_it_is_dumped(
    connections: int, logging_server: DatabaseServer
) -> None:
    shop = ready(logging_server)
    making = f"CREATE TABLE {shop.name}.made (id INT PRIMARY KEY) SELECT 1 AS id FROM (SELECT SLEEP(3)) AS s"
    maker = threading.Thread(target=shop.execute, args=[making])
    maker.start()
    wait_until(
        lambda: shop.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"),
        "a table that is being made",
    )

    manifest, _ = dumped(shop, connections)

    maker.join()
    log = manifest["log"]
    if log["exact"]:
        events = shop.server.query(f"SHOW BINLOG EVENTS IN '{log['file']}'")
        words = re.compile(rf"{shop.name}\b.*\bmade\b|\bmade\b.*{shop.name}")
        (made,) = (
            position
            for _, position, kind, *_, info in events
            if "CREATE TABLE" in str(info) and words.search(str(info)) and kind == "Query"
        )
        assert ("made" in manifest["inventory"]["table"]) == (made < log["position"])
    assert log["exact"] or log["why_not"] in ("changed", "tables_in_use")


@pytest.mark.soak
def test_table_that_is_dropped_as_the_dump_begins_leaves_no_position(
    logging_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ready(logging_server)
    as_it_begins(monkeypatch, lambda: shop.execute("DROP TABLE t5"), after=False)

    assert why_not(shop) == ("changed" if logging_server.flavour == "mariadb" else "not_asked")


@pytest.mark.soak
def test_trigger_that_is_made_anew_as_the_dump_begins_leaves_no_position(
    logging_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the position it may not have been there."""
    shop = ready(logging_server)
    trigger = "CREATE TRIGGER a BEFORE INSERT ON t0 FOR EACH ROW SET NEW.id = 1"
    shop.execute(trigger)
    as_it_begins(monkeypatch, lambda: shop.execute(f"DROP TRIGGER a; {trigger}"), after=False)

    assert why_not(shop) == "changed"


@pytest.mark.soak
def test_log_that_is_begun_anew_as_the_dump_begins_leaves_no_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with DatabaseServer("mariadb", options=["--log-bin=binlog"]) as server:
        shop = ready(server)
        as_it_begins(monkeypatch, lambda: server.execute("RESET MASTER"), after=True)

        assert why_not(shop) == "log_changed"


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True])
def test_sequence_that_is_used_as_the_dump_begins_leaves_no_position(
    after: bool, mariadb_with_log: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ready(mariadb_with_log, f"CREATE SEQUENCE `a s` NOCACHE; {MANY}")
    assert why_not(shop) is None
    as_it_begins(monkeypatch, lambda: shop.execute("SELECT NEXTVAL(`a s`)"), after=after)

    assert why_not(shop) == "sequences_changed"


# ---------------------------------------------------------------- XA


@contextmanager
def prepared(shop: Shop, name: str, number: int) -> Iterator[None]:
    """An XA transaction that is prepared, and that nobody is connected for any more."""
    with closing(connected(shop)) as connection, connection.cursor() as cursor:
        cursor.execute(f"XA START '{name}'")
        cursor.execute(f"INSERT INTO {shop.name}.t0 VALUES ({number}, {PAD})")
        cursor.execute(f"XA END '{name}'")
        cursor.execute(f"XA PREPARE '{name}'")
    try:
        yield
    finally:
        if shop.server.query("XA RECOVER"):
            shop.server.execute(f"XA ROLLBACK '{name}'")


# Above, another transaction that is not committed.
@pytest.mark.soak
def test_prepared_transaction_leaves_no_position(mysql_server: DatabaseServer) -> None:
    """The user may not see it there, but the tables are locked by it."""
    shop = ready(mysql_server)
    with prepared(shop, shop.name, 1):
        assert why_not(shop) == "tables_in_use"
    assert why_not(shop) is None


@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_prepared_transaction_leaves_no_position_after_a_crash(flavour: Flavour) -> None:
    options = ["--log-bin=binlog"] if flavour == "mariadb" else []
    with DatabaseServer(flavour, options=options) as server:
        shop = ready(server)
        shop.execute(f"INSERT INTO t0 VALUES (7, {PAD})")
        with prepared(shop, "a", 1):
            server.kill()
            server.start()
            for connections in (0, 2):
                assert why_not(shop, connections) == ("xa" if flavour == "mariadb" else "tables_in_use")
            if flavour == "mysql":
                server.execute(f"GRANT XA_RECOVER_ADMIN ON *.* TO '{shop.user}'@'%'")
                assert why_not(shop) == "xa"


@pytest.mark.soak
def test_transaction_of_two_phases_over_the_dumps_begin_leaves_no_position(
    mariadb_with_log: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prepared after the first look, committed before the second."""
    shop = ready(mariadb_with_log)
    shop.execute(f"INSERT INTO t0 VALUES (7, {PAD})")
    with prepared(shop, "a", 1):
        shop.server.execute("XA ROLLBACK 'a'")
    assert why_not(shop) is None
    preparing = prepared(shop, "b", 2)
    begin, is_read = log_position.LogPosition.begin, log_position.LogPosition.is_read
    committed = threading.Event()

    def begun(self: Any) -> None:
        begin(self)
        preparing.__enter__()

    def read(self: Any) -> None:
        if not committed.is_set():
            shop.server.execute("XA COMMIT 'b'")
            committed.set()
        is_read(self)

    monkeypatch.setattr(log_position.LogPosition, "begin", begun)
    monkeypatch.setattr(log_position.LogPosition, "is_read", read)
    manifest, sql = dumped(shop)

    assert ids_in(sql) == {7}
    assert manifest["log"]["why_not"] == "xa"
