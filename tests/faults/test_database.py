"""The database server refuses, waits, changes or is not what it seems, in the middle of a backup.

Proved elsewhere: a server killed during a dump (tests/actions/test_kills.py), a table altered,
dropped, renamed or made during a dump (tests/dumping/test_changes.py), a server that is down or
refuses the password (tests/actions/test_failures.py), a server that dies during a verification
(tests/actions/test_unreadable.py), a row too large for the server that loads it
(tests/compat/test_servers.py).
"""

from __future__ import annotations

import dataclasses
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import MySQLdb
import pytest

from backups import mysql
from backups.choices import Action, RestoreMode
from backups.dumping import mysqldump
from backups.models import Database
from tests.actions.tools import back_up, log_of, play, verdict, verify
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import SHOP, Shop, client_dir, make_shop, wait_until
from tests.faults import promises
from tests.restoring.stories import drop_all, make_restorable, restore, stored, succeeded
from tests.servers import FLAVOURS, DatabaseServer


@pytest.fixture(scope="module", params=FLAVOURS)
def own_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server whose settings nobody else minds."""
    options = ["--max-allowed-packet=256M", "--log-bin-trust-function-creators=1"]
    with DatabaseServer(request.param, options=options) as server:
        yield server


@contextmanager
def connections(shop: Shop, count: int, *, user: str = "", password: str = "") -> Iterator[None]:
    """As many connections of a user, by default the administrator, held open."""
    server = shop.server
    with ExitStack() as stack:
        for _ in range(count):
            connection = MySQLdb.connect(
                host=server.host, port=server.port, user=user or server.user,
                password=password or server.password,
            )  # fmt: skip
            stack.callback(connection.close)
        yield


# ---------------------------------------------------------------- Connections


@pytest.mark.one_flavour("mariadb")
def test_server_that_takes_no_more_connections(
    own_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_shop(own_server)
    database = make_database(shop)
    ((usual,),) = own_server.query("SELECT @@GLOBAL.max_connections")
    own_server.execute("SET GLOBAL max_connections = 10")
    try:
        with connections(shop, 10):
            run = play(Action.BACKUP, database=database)
    finally:
        wait_until(lambda: own_server.query("SELECT 1"), "a free connection")
        own_server.execute(f"SET GLOBAL max_connections = {usual}")

    assert run.status == "failed"
    assert "takes no more connections. No snapshot was made" in run.error
    assert "Raise max_connections" in run.error
    back_up(database)


@pytest.mark.larger
@pytest.mark.one_flavour("mysql")
def test_user_who_may_connect_once_can_be_backed_up(
    own_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """One connection at a time is all that a backup needs; where somebody has it, the user is told."""
    # Partitions are watched over connections that such a user has not.
    shop = make_shop(own_server, f"{SHOP}CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id);")
    database = make_database(shop)

    for most in (3, 2, 1) if "VEDETTA_SOAK" in os.environ else (1,):
        own_server.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS {most}")
        back_up(database)
    with connections(shop, 1, user=shop.user, password=shop.password):
        run = play(Action.BACKUP, database=database)

    assert run.status == "failed"
    assert "takes no more connections" in run.error


@pytest.mark.one_flavour("mysql")
def test_dump_program_is_let_in_once_our_own_connection_of_before_is_gone(own_server: DatabaseServer) -> None:
    """A busy server may take a while to end a connection that we have closed."""
    shop = make_shop(own_server)
    own_server.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS 1")
    server = mysql.Server(own_server.host, own_server.port, shop.user, shop.password)
    with mysql.connect(server, shop.name) as connection:
        info = mysql.probe(connection)
        programs = mysql.clients(info, client_dir(own_server))
        source = mysql.DumpSource(server, info, programs, shop.name, structure_only=True)
        gone = threading.Timer(0.7, own_server.execute, [f"KILL {connection.thread_id()}"])
        gone.start()
        with mysqldump.let_in(source) as running:
            dumped = b"".join(mysqldump.output(running))
            mysqldump.refuse_bad_end(source, running)
        gone.join()

    assert b"CREATE TABLE `orders`" in dumped


# ---------------------------------------------------------------- Locks


@pytest.mark.one_flavour("mariadb")
def test_dump_that_waits_for_a_lock_says_so_and_goes_on_after_it(
    db_server: DatabaseServer, make_portal: MakePortal
) -> None:
    """The run lives on meanwhile and says where it is; the reaper does not take it for dead."""
    portal = make_portal(make_shop(db_server))
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        first = portal.run()["beat_at"]
        wait_until(lambda: portal.run()["beat_at"] > first, "the run to go on beating")
        promises.reap(portal)
        assert portal.run()["status"] == "running"
        wait_until(lambda: "lock" in portal.run()["detail"], "the run to say what it waits for", 15)
    ran = portal.finish(backup)

    assert ran.code == 0, ran.json
    assert len(promises.no_bad_snapshot(portal)) == 1


# ---------------------------------------------------------------- Sizes


@pytest.mark.one_flavour("mysql")
def test_row_larger_than_max_allowed_packet(own_server: DatabaseServer, make_database: MakeDatabase) -> None:
    """Inserted while that was larger: the server sends it all the same, and the dump holds it."""
    shop = make_restorable(
        own_server, "CREATE TABLE t (b LONGBLOB); INSERT INTO t VALUES (REPEAT('x', 3000000));"
    )
    database = make_database(shop)
    ((usual,),) = own_server.query("SELECT @@GLOBAL.max_allowed_packet")
    own_server.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        run = play(Action.BACKUP, database=database)
    finally:
        own_server.execute(f"SET GLOBAL max_allowed_packet = {usual}")

    assert run.status == "succeeded", run.error
    assert verdict(verify(database)).verdict == "identical"


@pytest.mark.larger
@pytest.mark.one_flavour("mariadb")
def test_row_larger_than_dump_programs_take_by_themselves(
    own_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """Of all bytes, which makes the statement longer than the row. By themselves they take 24 megabytes."""
    megabytes = 64 if "VEDETTA_SOAK" in os.environ else 25
    shop = make_restorable(own_server, "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB);")
    connection = MySQLdb.connect(
        host=own_server.host, port=own_server.port, user=own_server.user, password=own_server.password,
        database=shop.name,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, _binary %s)", [os.urandom(1 << 20) * megabytes])
    connection.commit()
    connection.close()
    database = make_database(shop)

    back_up(database)
    run = verify(database)

    assert verdict(run).verdict == "identical", run.error


@pytest.mark.larger
@pytest.mark.one_flavour("mariadb")
@pytest.mark.timeout(1800)
def test_many_tables(own_server: DatabaseServer, make_database: MakeDatabase) -> None:
    count = 5000 if "VEDETTA_SOAK" in os.environ else 50
    shop = make_restorable(
        own_server,
        "".join(f"CREATE TABLE t{n} (id INT PRIMARY KEY, n INT, KEY (n));\n" for n in range(count)),
    )
    shop.execute(f"INSERT INTO t{count - 1} VALUES (1, 2)")
    database = make_database(shop)

    backup = back_up(database).made_by
    assert backup is not None
    run = verify(database)
    assert verdict(run).verdict == "identical", run.error
    assert (verdict(run).tables, verdict(run).rows) == (count, 1)
    restored = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert shop.query(f"SELECT * FROM t{count - 1}") == [(1, 2)]
    for each in (backup, run, restored):
        assert each.started_at
        assert each.finished_at
        took = each.finished_at - each.started_at
        print(f"{own_server.flavour}, {count} tables, {each.action}: {took.total_seconds():.1f} s")
    drop_all(shop)


# ---------------------------------------------------------------- Names and definers


@pytest.mark.one_flavour("mysql")
def test_name_with_a_line_break_and_another_collation(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """MariaDB's own dump program does not get along with it; MySQL's does."""
    name = "new\nline"
    shop = make_restorable(db_server, SHOP, name=name)
    db_server.execute(f"ALTER DATABASE `{name}` CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    database = make_database(shop, name="named")

    run = play(Action.BACKUP, database=database)

    if db_server.flavour == "mysql":
        assert verdict(verify(database)).verdict == "identical"
    else:
        assert "cannot dump the events of such a database" in run.error
        assert "MYSQL_DATABASE" not in run.error
        shop.execute("DROP EVENT nightly")
        back_up(database)
        assert verdict(verify(database)).verdict == "identical"
    drop_all(shop)


def test_view_whose_definer_is_gone(mariadb_server: DatabaseServer, make_database: MakeDatabase) -> None:
    """MariaDB then writes the database's name before columns, and not before the tables."""
    tables = "CREATE TABLE t (a INT PRIMARY KEY); CREATE TABLE u (a INT); INSERT INTO t VALUES (1), (2);"
    shop = make_restorable(mariadb_server, tables)
    mariadb_server.execute(f"CREATE USER gone@'%'; GRANT ALL ON `{shop.name}`.* TO gone@'%'")
    literal = f"'`{shop.name}`.`t`.`a` it''s'"
    mariadb_server.load(
        f"CREATE DEFINER=gone@'%' VIEW v AS SELECT t.a, {literal} AS b FROM t LEFT JOIN u ON t.a = u.a;",
        shop.name,
    )
    mariadb_server.execute("DROP USER gone@'%'")
    database = make_database(shop)

    back_up(database)
    run = verify(database)

    assert verdict(run).verdict == "identical", run.error
    succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_copy"))
    ((text,),) = mariadb_server.query(
        "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
        arguments=[f"{shop.name}_copy"],
    )
    assert f"from (`{shop.name}_copy`.`t` left join `{shop.name}_copy`.`u`" in text
    assert f"`{shop.name}`.`t`.`a` it" in text
    drop_all(shop)


WITH_NUL = {
    "procedure": "CREATE PROCEDURE odd() SELECT 'a\0b'",
    "trigger": "CREATE TRIGGER odd BEFORE INSERT ON customers FOR EACH ROW SET @a = 'a\0b'",
    "event": "CREATE EVENT odd ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 'a\0b'",
}


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize(
    "kind", ["trigger", *(pytest.param(each, marks=pytest.mark.soak) for each in ("procedure", "event"))]
)
def test_body_with_a_nul_byte_makes_no_snapshot_and_is_named(
    kind: str, db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """The dump programs stop at it and end with success. No list of the server's shows the byte."""
    shop = make_shop(db_server)
    database = make_database(shop)
    shop.execute(WITH_NUL[kind])

    run = play(Action.BACKUP, database=database)

    assert run.status == "failed"
    assert f"stopped before its closing line, in {kind} odd" in run.error
    assert "look for a NUL byte" in run.error
    shop.execute(f"DROP {kind} odd")
    back_up(database)


@pytest.mark.parametrize("own_server", ["mysql"], indirect=True)
def test_partial_revokes(own_server: DatabaseServer, make_database: MakeDatabase) -> None:
    """MySQL may take away of a grant on everything what is of one database: preflight sees it."""
    server = own_server
    server.execute("SET GLOBAL partial_revokes = ON")
    shop = make_shop(server, grants=["SELECT, SHOW VIEW, TRIGGER, EVENT ON *.*"])
    try:
        database = make_database(shop)
        back_up(database)
        server.execute(f"REVOKE TRIGGER ON `{shop.name}`.* FROM '{shop.user}'@'%'")

        run = play(Action.BACKUP, database=database)

        assert run.status == "failed"
        assert "it cannot see all triggers" in run.error
        server.execute(run.error.split("Run as an administrator: ")[1])
        back_up(database)
        assert "partial_revokes allows no grant for it" in verify(database).error
    finally:
        # While anything is taken away of a user's grants it cannot be turned off.
        server.execute(f"DROP USER '{shop.user}'@'%'; SET GLOBAL partial_revokes = OFF")


# ---------------------------------------------------------------- A replica


@pytest.fixture(params=FLAVOURS)
def replicated(request: pytest.FixtureRequest) -> Iterator[tuple[DatabaseServer, DatabaseServer]]:
    """A source with a shop's user on it, and the replica that follows it."""
    source_options = ["--server-id=1", "--log-bin=binlog", "--log-bin-trust-function-creators=1"]
    replica_options = ["--server-id=2", "--log-bin-trust-function-creators=1"]
    with (
        DatabaseServer(request.param, options=source_options) as source,
        DatabaseServer(request.param, options=replica_options) as replica,
    ):
        source.create_user("follower", "follows", ["REPLICATION SLAVE ON *.*"])
        yield source, replica


def follow(source: DatabaseServer, replica: DatabaseServer) -> None:
    """Have the replica follow the source from now on."""
    old = source.flavour == "mariadb"
    ((file, position, *_),) = source.query("SHOW MASTER STATUS" if old else "SHOW BINARY LOG STATUS")
    word = "MASTER" if old else "SOURCE"
    place = {
        "HOST": f"'{source.host}'",
        "PORT": source.port,
        "USER": "'follower'",
        "PASSWORD": "'follows'",
        "LOG_FILE": f"'{file}'",
        "LOG_POS": position,
    }
    told = ", ".join(f"{word}_{name} = {value}" for name, value in place.items())
    if old:
        replica.execute(f"CHANGE MASTER TO {told}, MASTER_USE_GTID = no; START SLAVE")
    else:
        replica.execute(f"CHANGE REPLICATION SOURCE TO {told}, GET_SOURCE_PUBLIC_KEY = 1; START REPLICA")


def followed_shop(source: DatabaseServer, replica: DatabaseServer) -> Shop:
    """A shop that was made on the source and has arrived on the replica."""
    follow(source, replica)
    shop = make_restorable(source)
    may_ask = "REPLICA MONITOR" if source.flavour == "mariadb" else "REPLICATION CLIENT"
    source.execute(f"GRANT {may_ask} ON *.* TO '{shop.user}'@'%'; CREATE TABLE `{shop.name}`.last (n INT)")
    seen = dataclasses.replace(shop, server=replica)
    here = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'last'"
    wait_until(lambda: replica.query(here, arguments=[shop.name]), "the replica to catch up", 30)
    return seen


# Below, what a replica of MariaDB's says of itself.
@pytest.mark.one_flavour("mysql")
def test_replica_as_the_source_of_backups(
    replicated: tuple[DatabaseServer, DatabaseServer], make_database: MakeDatabase
) -> None:
    """The backup is good, and says how old its data is; that replication stopped is a warning."""
    source, replica = replicated
    database = make_database(followed_shop(source, replica))

    told = log_of_backup(database)
    assert re.search(rf"replica of {source.host}:{source.port}, \d seconds? behind it", told), told
    assert "Its events are stored as a replica has them, disabled" in told
    assert not database.preflight_warnings
    assert verdict(verify(database)).verdict == "identical"

    stop = "STOP SLAVE" if source.flavour == "mariadb" else "STOP REPLICA"
    replica.execute(stop)
    assert "its replication does not run: what is backed up may be old" in log_of_backup(database)
    database.refresh_from_db()
    assert database.preflight_warnings


@pytest.mark.one_flavour("mariadb")
def test_replica_that_is_kept_behind(
    replicated: tuple[DatabaseServer, DatabaseServer], make_database: MakeDatabase
) -> None:
    """A source's row that has not arrived is not in the backup, which says so."""
    source, replica = replicated
    shop = followed_shop(source, replica)
    stop, change, start = (
        ("STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=3600", "START SLAVE")
        if source.flavour == "mariadb"
        else ("STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_DELAY=3600", "START REPLICA")
    )
    replica.execute(f"{stop}; {change}; {start}")
    source.execute(
        "SET timestamp = UNIX_TIMESTAMP() - 200; INSERT INTO orders (customer) VALUES (3)", shop.name
    )
    database = make_database(shop)

    wait_until(lambda: "what is backed up is that old" in log_of_backup(database), "the delay to be seen", 40)

    snapshot = database.snapshots.all()[0]
    assert b"INSERT INTO `orders`" in stored(snapshot)
    assert b"(4,3," not in stored(snapshot)


def log_of_backup(database: Database) -> str:
    """The log of a good backup."""
    run = back_up(database).made_by
    assert run is not None
    return log_of(run)
