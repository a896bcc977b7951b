"""Loading over several connections: the same bytes as over one, and every end told and cleaned up."""

from __future__ import annotations

import re
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from backups import mysql, restic
from backups.choices import RestoreMode, Status
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.ready import LoadOptions
from backups.loading import chunks, dispatcher
from backups.loading.connection_pool import Hand, LoadPool
from backups.loading.dispatcher import HeldBefore, StatementDispatcher
from backups.loading.progress import Loading
from backups.loading.reading import judged
from backups.loading.table_plan import Plan, plan_for
from backups.models import Database, Run
from backups.runs import lifecycle
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import AWKWARD, SHOP, Shop, wait_until
from tests.restoring.stories import (
    content,
    drop_all,
    dump_of,
    enqueue,
    failed,
    log_of,
    make_restorable,
    restore,
    store,
    succeeded,
    untouched,
    with_events_disabled,
)
from tests.servers import FLAVOURS, DatabaseServer
from tools import sample

BackUp = Callable[[Database], Run]

# Keys of which the order is not the alphabet's, foreign keys in circles and to what comes later,
# rows whose order only their coming tells.
RELATED = """
SET foreign_key_checks = 0;
CREATE TABLE a_circle (id INT PRIMARY KEY, b INT, code VARCHAR(9), KEY z (b), UNIQUE KEY y (code), KEY x (code, b),
  CONSTRAINT z_first FOREIGN KEY (b) REFERENCES b_circle (id) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT a_second FOREIGN KEY (id) REFERENCES z_parent (id), CONSTRAINT positive CHECK (id > 0));
CREATE TABLE b_circle (id INT PRIMARY KEY, a INT, me INT,
  CONSTRAINT to_a FOREIGN KEY (a) REFERENCES a_circle (id), CONSTRAINT to_me FOREIGN KEY (me) REFERENCES b_circle (id));
CREATE TABLE z_parent (id INT PRIMARY KEY, name VARCHAR(20), UNIQUE KEY name (name), KEY half (name(3)) USING BTREE);
CREATE TABLE c_searched (id INT PRIMARY KEY, name VARCHAR(20), FULLTEXT KEY words (name), KEY name (name),
  CONSTRAINT to_name FOREIGN KEY (name) REFERENCES z_parent (name));
CREATE TABLE no_key (n INT, t VARCHAR(20), KEY t (t), KEY n (n));
CREATE TABLE by_unique (n INT NOT NULL, t VARCHAR(20), UNIQUE KEY n (n), KEY t (t));
CREATE TABLE numbered (a INT NOT NULL, n INT NOT NULL AUTO_INCREMENT, PRIMARY KEY (a), KEY n (n), KEY a (a, n));
CREATE TABLE computed (id INT PRIMARY KEY, b INT, v INT AS (b + 1) VIRTUAL, w INT AS (b + 2) STORED, KEY b (b), KEY v (v));
CREATE TABLE computed_too (id INT PRIMARY KEY, b INT, v INT AS (b + 1) VIRTUAL, KEY b (b));
INSERT INTO z_parent VALUES (1, 'one'), (2, 'two'), (3, NULL);
INSERT INTO c_searched VALUES (1, 'two'), (2, NULL);
INSERT INTO b_circle VALUES (1, 2, 2), (2, 1, 1);
INSERT INTO a_circle VALUES (1, 2, 'x;'), (2, 1, NULL), (3, NULL, 'y');
INSERT INTO no_key VALUES (9, 'nine'), (1, 'one'), (9, 'nine'), (5, NULL), (NULL, 'none'), (2, 'two'), (0, '');
INSERT INTO by_unique VALUES (9, 'nine'), (1, 'one'), (5, NULL);
INSERT INTO numbered VALUES (1, 70), (2, 3);
INSERT INTO computed (id, b) VALUES (1, 1), (2, NULL), (3, 5);
INSERT INTO computed_too (id, b) VALUES (2, 1), (1, NULL), (3, 5);
SET foreign_key_checks = 1;
"""  # noqa: E501

pytestmark = pytest.mark.one_flavour("mariadb")


SLOW = 77700


@pytest.fixture(params=[pytest.param(2, marks=pytest.mark.soak), 4])
def several(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Several connections, and no table so small that it comes in one piece."""
    settings.RESTORE_CONNECTIONS = request.param
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)
    count: int = request.param
    return count


@pytest.fixture
def three(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RESTORE_CONNECTIONS = 3
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)


@pytest.fixture(autouse=True)
def slow_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row whose number is SLOW and more keeps its connection busy in the server for as many seconds more.

    No value of a dump may do so by itself.
    """
    run = mysql.LoadingConnection.run

    def run_slowly(connection: mysql.LoadingConnection, statement: bytes) -> None:
        if found := re.search(rb"VALUES \(\d+,(%d\d\d)\)" % (SLOW // 100), statement):
            run(connection, b"SELECT SLEEP(%d)" % (int(found[1]) - SLOW))
        run(connection, statement)

    monkeypatch.setattr(mysql.LoadingConnection, "run", run_slowly)


# tests/restoring/test_general_log.py has the awkward one over two connections.
@pytest.fixture(
    scope="module",
    params=["related", *(pytest.param(each, marks=pytest.mark.soak) for each in ("awkward", "sample"))],
)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module", params=FLAVOURS)
def source(request: pytest.FixtureRequest, kind: str) -> Iterator[Shop]:
    """A database that has to come back as it was."""
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    if kind == "sample":
        script = "\n$$$\n".join(sample.statements(0.1))
        shop = make_restorable(server, f"DELIMITER $$$\n{script}\n$$$\n")
    elif kind == "related":
        shop = make_restorable(server, f"{RELATED}\n{SHOP}")
    else:
        shop = make_restorable(server, "")
        for part in ("common", server.flavour):
            text = (AWKWARD / f"awkward_{part}.sql").read_bytes()
            server.client("--binary-mode", "--default-character-set=utf8mb4", shop.name, stdin=text)
    yield shop
    drop_all(shop)


# ---------------------------------------------------------------- The same bytes


def test_several_connections_give_the_same_bytes_as_one(
    several: int, source: Shop, make_database: MakeDatabase, settings: Any
) -> None:
    """Of dumps whose rows come in many statements. What triggers would add is not there."""
    database = make_database(source)
    was = content(source.server, source.name)
    lines = ["--net-buffer-length=4096", "--skip-extended-insert"]
    store(database, dump_of(source.server, source.name, *lines[: 1 if len(was) > 1000 else 2]))

    for connections in (several, 1):
        settings.RESTORE_CONNECTIONS = connections
        target = f"{source.name}_{connections}"
        run = succeeded(restore(database, RestoreMode.NEW, target=target))
        assert content(source.server, target) == with_events_disabled(was)
        assert "otherwise" not in log_of(run)
        source.server.execute(f"DROP DATABASE `{target}`")


# Above, a new database over several connections; tests/restoring overwrites over two.
@pytest.mark.soak
@pytest.mark.parametrize(
    "kind",
    ["related", *(pytest.param(each, marks=pytest.mark.soak) for each in ("awkward", "sample"))],
    indirect=True,
    scope="module",
)
def test_overwriting_over_several_connections_gives_the_same_bytes(
    source: Shop, make_database: MakeDatabase, back_up: BackUp, three: None
) -> None:
    """Tables of before are in the way, with foreign keys of their own."""
    database = make_database(source)
    was = content(source.server, source.name)
    succeeded(back_up(database))

    for mode in (RestoreMode.IN_PLACE, RestoreMode.REPLACE):
        succeeded(restore(database, mode, without_safety=True))
        assert content(source.server, source.name) == was


# Below, locks; tests/loading/test_loading_others.py has dumps by other hands.
@pytest.mark.soak
def test_locks_and_transactions_in_a_dump_by_other_hands(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, three: None
) -> None:
    shop = make_restorable(mariadb_server, f"{RELATED}\n{SHOP}")
    was = content(shop.server, shop.name)
    database = make_database(shop)
    dump = dump_of(shop.server, shop.name, "--add-locks", "--no-autocommit")
    for insert in (b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO "):
        store(database, re.sub(rb"(?m)^INSERT INTO ", insert, dump))
        succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))
        assert content(shop.server, f"{shop.name}_new") == was
        shop.execute(f"DROP DATABASE `{shop.name}_new`")
    drop_all(shop)


def test_connection_that_has_nothing_to_do_for_long_is_there_when_it_has(
    shop: Shop, make_database: MakeDatabase, three: None
) -> None:
    """The first one waits for the end of all rows, others for the rows of one."""
    database = make_database(shop)
    rows = by_hand(f"(1,{SLOW + 5})", "(2,2)", keys="KEY `n` (`n`)")
    closing = b"-- Dump completed\n"
    view = b"--\n-- Final view structure for view `v`\n--\n\nCREATE VIEW `v` AS SELECT 1 AS one;\n"
    store(database, rows.replace(closing, view + closing))
    ((before,),) = shop.server.query("SELECT @@GLOBAL.wait_timeout")
    shop.server.execute("SET GLOBAL wait_timeout = 2")
    try:
        succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))
    finally:
        shop.server.execute(f"SET GLOBAL wait_timeout = {before}")

    assert shop.server.query("SELECT one FROM v", f"{shop.name}_new") == [(1,)]


def test_a_statement_that_a_deadlock_rolled_back_is_run_again(db_server: DatabaseServer) -> None:
    """MariaDB ends one of two that begin to fill the same empty table; made certain here otherwise."""
    shop = make_restorable(
        db_server, "CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 0), (2, 0), (3, 0);"
    )
    address = mysql.Server(db_server.host, db_server.port, shop.user, shop.password)
    ours = mysql.LoadingConnection.open(address, shop.name)
    other = mysql.LoadingConnection.open(address, shop.name)
    # The server ends who changed fewer rows: us.
    other.run(b"BEGIN")
    other.run(b"UPDATE t SET n = 1 WHERE id > 1")
    loading = threading.Thread(target=ours.run, args=[b"UPDATE t SET n = n + 10 ORDER BY id"])
    loading.start()
    waits = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    # InnoDB keeps what the last one read for as long as somebody reads it again within a tenth of a second.
    wait_until(lambda: db_server.query(waits), "us to wait for the other", every=0.3)
    other.run(b"UPDATE t SET n = 1 WHERE id = 1")
    other.run(b"COMMIT")
    loading.join(30)

    assert shop.query("SELECT n FROM t ORDER BY id") == [(11,), (11,), (11,)]
    for connection in (ours, other):
        connection.driver.close()
    drop_all(shop)


# ---------------------------------------------------------------- Ends


HEADER = b"/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;\n"


def by_hand(*rows: str, keys: str = "KEY `n` (`n`)") -> bytes:
    """A dump of two tables, of which the first has these rows."""
    dump = HEADER
    for table, inserted in (("first", rows), ("second", ("(1,1)",))):
        dump += (
            f"--\n-- Table structure for table `{table}`\n--\n\nCREATE TABLE `{table}` (\n"
            f"  `id` int NOT NULL,\n  `n` int DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  {keys}\n"
            f") ENGINE=InnoDB;\n\n--\n-- Dumping data for table `{table}`\n--\n\n"
        ).encode()
        dump += "".join(f"INSERT INTO `{table}` VALUES {row};\n" for row in inserted).encode()
    return dump + b"-- Dump completed\n"


def waiting(shop: Shop) -> list[int]:
    """The connections of the shop's user in which a statement sleeps."""
    return [
        int(thread)
        for (thread,) in shop.query(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND INFO LIKE %s",
            [shop.user, "%SLEEP%"],
        )
    ]


def test_first_error_of_any_connection_is_the_one_told(
    shop: Shop, make_database: MakeDatabase, three: None
) -> None:
    database = make_database(shop)
    broken = by_hand("(1,1)", f"(2,{SLOW + 60})", "(3,3)", "(1,4)", "(5,5)")
    store(database, broken)

    began = time.monotonic()
    with untouched(shop):
        run = restore(database, RestoreMode.NEW, target=f"{shop.name}_new")

    assert "Duplicate entry '1'" in failed(run)
    # The row that is still being inserted takes a minute.
    assert time.monotonic() - began < 45
    assert waiting(shop) == []


def test_unique_key_that_cannot_be_made_says_how_to_go_on(
    shop: Shop, make_database: MakeDatabase, three: None
) -> None:
    database = make_database(shop)
    store(database, by_hand("(1,7)", "(2,7)", keys="UNIQUE KEY `n` (`n`)"))

    with untouched(shop):
        told = failed(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))

    assert "Duplicate entry '7'" in told
    assert "RESTORE_CONNECTIONS=1" in told


# Of those that are not sent, and of those that the server is asked of, one each.
@pytest.mark.parametrize(
    "torn",
    [
        "(2,'it",
        "(2,)",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("(2,`x)", "(2,/* x)", "(2,2")),
    ],
)
def test_row_that_is_torn_ends_the_restore(
    torn: str, mariadb_shop: Shop, make_database: MakeDatabase, three: None
) -> None:
    database = make_database(mariadb_shop)
    store(database, by_hand("(1,1)", torn, "(3,3)"))

    with untouched(mariadb_shop):
        told = failed(restore(database, RestoreMode.NEW, target=f"{mariadb_shop.name}_new"))

    # What does not look like rows is not sent; of what does, the server is asked.
    assert any(why in told for why in ("begins with", "no closing line", "error in your SQL syntax"))


def test_killed_connection_ends_the_restore(shop: Shop, make_database: MakeDatabase, three: None) -> None:
    database = make_database(shop)
    store(database, by_hand("(1,1)", f"(2,{SLOW + 30})", "(3,3)"))

    def kill() -> None:
        for thread in wait_until(lambda: waiting(shop), "a row that is being loaded"):
            shop.execute(f"KILL {thread}")

    killing = threading.Thread(target=kill)
    killing.start()
    with untouched(shop):
        told = failed(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))
    killing.join()

    assert "was lost" in told or "killed" in told or "interrupted" in told


@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.soak), 3])
def test_connection_that_is_lost_while_the_repository_is_slow_is_not_held_against_the_snapshot(
    connections: int,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing runs that could be broken off: it is seen with the next statement."""
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    goes_on = tmp_path / "goes_on"
    slow = restic_that_pauses(restic.find(), tmp_path / "restic", until=goes_on)
    monkeypatch.setattr(restic, "find", lambda: str(slow))
    settings.RESTORE_CONNECTIONS = connections
    target = f"{shop.name}_new"
    # Idle for a second: those that only look something up are gone by then.
    of_the_load = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND DB = %s AND TIME >= 1"

    def kill() -> None:
        found: Callable[[], Any] = lambda: shop.server.query(of_the_load, None, [shop.user, target])  # noqa: E731
        try:
            wait_until(lambda: len(found()) == (1 if connections == 1 else 4), "the connections that load")
            for (thread,) in found():
                shop.server.execute(f"KILL {thread}")
        finally:
            goes_on.touch()

    killing = threading.Thread(target=kill)
    killing.start()
    with untouched(shop):
        told = failed(restore(database, RestoreMode.NEW, target=target))
    killing.join()

    assert "was lost" in told or "killed" in told


# Above, one that is lost while the repository is slow, and one that is killed.
@pytest.mark.soak
def test_connection_that_is_lost_before_the_first_statement_is_told_as_lost(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked between opening the connections and loading goes over the same wire."""
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    asked = mysql.tables

    def killed_and_asked(driver: Any, name: str) -> Any:
        shop.server.execute(f"KILL {driver.thread_id()}")
        return asked(driver, name)

    monkeypatch.setattr(mysql, "tables", killed_and_asked)
    with untouched(shop):
        told = failed(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))

    assert "was lost" in told or "killed" in told


def restic_that_pauses(real: str, place: Path, until: Path) -> Path:
    """restic, which keeps its reader waiting after a kilobyte of a file, until another file is there."""
    pause = f"while [ ! -e {until} ]; do sleep 0.1; done"
    place.write_text(
        f'#!/bin/sh\ncase " $* " in\n*" dump "*) {real} "$@" | {{ head -c 1000; {pause}; cat; }} ;;\n'
        f'*) exec {real} "$@" ;;\nesac\n'
    )
    place.chmod(0o755)
    return place


def test_cancel_ends_statements_that_run(shop: Shop, make_database: MakeDatabase, three: None) -> None:
    database = make_database(shop)
    store(database, by_hand("(1,1)", f"(2,{SLOW + 60})", "(3,3)"))
    run = enqueue(database, RestoreMode.NEW, target=f"{shop.name}_new")
    asked = threading.Event()

    def observe(_state: Any, _lines: list[str]) -> None:
        if not asked.is_set() and waiting(shop):
            asked.set()
            lifecycle.run_cancel(run)

    from backups.worker import executor

    began = time.monotonic()
    with untouched(shop):
        played = executor.execute(run.pk, observer=observe, send_follow_ups=False)

    assert played is not None
    assert (played.status, asked.is_set()) == (Status.CANCELLED, True)
    assert time.monotonic() - began < 30
    assert waiting(shop) == []


@pytest.mark.parametrize(
    ("limit", "loading"),
    [(4, 3), *(pytest.param(*each, marks=pytest.mark.soak) for each in ((3, 2), (2, 1)))],
)
def test_server_that_is_short_of_connections_gives_what_it_has(
    limit: int, loading: int, shop: Shop, make_database: MakeDatabase, back_up: BackUp, three: None
) -> None:
    database = make_database(shop)
    was = content(shop.server, shop.name)
    succeeded(back_up(database))
    shop.server.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS {limit}")

    run = succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))

    assert content(shop.server, f"{shop.name}_new") == was
    assert (f"has connections for {loading} of 3" in log_of(run)) == (loading < 3)


def test_defaults_that_the_server_tells_in_its_own_time_zone_are_the_snapshots(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp, three: None
) -> None:
    database = make_database(shop)
    shop.execute("CREATE TABLE epochs (id INT PRIMARY KEY, since TIMESTAMP NOT NULL DEFAULT '2000-01-01')")
    shop.server.execute("SET GLOBAL time_zone = '+05:00'")
    try:
        succeeded(back_up(database))
        succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    finally:
        shop.server.execute("SET GLOBAL time_zone = 'SYSTEM'")


def test_locks_of_a_dump_are_in_the_way_of_no_other_connection(
    shop: Shop, make_database: MakeDatabase, three: None
) -> None:
    """Dumps by hand lock each table, also those that go over one connection as they are written."""
    database = make_database(shop)
    rows = ",".join(f"({number},1,'{'x' * 300}')" for number in range(1, 60))
    store(
        database,
        HEADER
        + locked_table("parents", "PRIMARY KEY (`id`)", rows)
        + locked_table(
            "children",
            "PRIMARY KEY (`id`), CONSTRAINT `of` FOREIGN KEY (`n`) REFERENCES `parents` (`id`)",
            "(1,1,'one')",
        )
        + b"-- Dump completed\n",
    )

    succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))


def locked_table(name: str, keys: str, rows: str) -> bytes:
    """A table as a dump by hand has it, of a kind that is not taken apart."""
    return (
        f"--\n-- Table structure for table `{name}`\n--\n\nCREATE TABLE `{name}` (\n"
        "  `id` int NOT NULL,\n  `n` int DEFAULT NULL,\n  `what` varchar(300) DEFAULT NULL,\n"
        f"  {keys},\n  FULLTEXT KEY `what` (`what`)\n) ENGINE=InnoDB;\n\n"
        f"--\n-- Dumping data for table `{name}`\n--\n\n"
        f"LOCK TABLES `{name}` WRITE;\nINSERT INTO `{name}` VALUES {rows};\nUNLOCK TABLES;\n"
    ).encode()


def test_table_that_is_not_defined_as_in_the_snapshot_is_never_swapped_in(
    shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    three: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    database = make_database(shop)
    shop.execute("ALTER TABLE orders ADD KEY note (note), ADD KEY n (customer, note)")
    succeeded(back_up(database))

    def without_keys(definition: bytes) -> Plan | None:
        plan = plan_for(definition)
        return plan and replace(plan, whole=plan.bare, keys=b"")

    monkeypatch.setattr(dispatcher, "plan_for", without_keys)
    shop.execute("ALTER TABLE orders DROP FOREIGN KEY orders_ibfk_1")
    shop.execute("ALTER TABLE orders ADD COLUMN later INT")

    with untouched(shop):
        told = failed(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert "not defined as in the snapshot: orders" in told
    assert "RESTORE_CONNECTIONS=1" in told

    settings.RESTORE_CONNECTIONS = 1
    succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))


# ---------------------------------------------------------------- Memory


class SlowConnection(mysql.LoadingConnection):
    """A connection of a server that takes its time, which a real one takes only under load."""

    taken: ClassVar[int] = 0

    def set(self, changes: Any) -> None:
        """Settings are nothing to it."""

    def warnings(self) -> list[tuple[int, str]]:
        return []

    def run(self, statement: bytes) -> None:
        time.sleep(0.001)
        SlowConnection.taken += len(statement)


def test_memory_is_bounded_however_slow_the_server_is() -> None:
    row = b"(1,'" + b"x" * 1000 + b"')"
    insert = b"INSERT INTO `first` VALUES " + b",".join([row] * 500) + b";\n"
    head, tail = by_hand("(1,1)").split(b"INSERT INTO `first` VALUES (1,1);\n")
    nowhere = mysql.Server("nowhere", 3306, "nobody", "")
    main, *hands = [Hand(SlowConnection(None, 0, 0, nowhere, "x"), "") for _ in range(3)]
    pool = LoadPool(nowhere, hands)
    dialect = Dialect.of(is_mariadb=True, number=(10, 11, 19))
    statements = judged(
        iter([head, *[insert] * 200, tail]),
        Loading(),
        Allowed(dialect, LoadOptions("x", source="x")),
        dialect,
    )

    tracemalloc.start()
    before = HeldBefore(is_fresh=True, referenced=[])
    options = LoadOptions("x", source="x")
    spread = StatementDispatcher(main, pool, before, assert_complete=lambda: None, options=options)
    spread.send(statements)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pool.stop()

    assert SlowConnection.taken >= 200 * len(insert.rstrip(b";\n")) > 100e6
    assert peak < 24e6
