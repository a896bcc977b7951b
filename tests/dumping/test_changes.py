"""What is altered, dropped or made while the dump runs: an error or a whole dump of one moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import MySQLdb
import pytest

from backups import mysql, process
from backups.dumping import parallel, program
from backups.dumping.moment import altered_defaults
from backups.dumping.order import Order, Report
from backups.errors import Problem
from backups.mysql import tripwires
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Ran, Shop, client_dir, make_shop, over_and_over, wait_until
from tests.dumping.test_dumps_at_once import may_lock
from tests.servers import DatabaseServer
from tools import mariadb_plugins

# The dump is held at "m"; "z" comes after it and "a" before.
TABLES = "".join(
    f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT);\nINSERT INTO {name} VALUES (1, 1), (2, 2);\n"
    for name in "amz"
)
CHANGES = {
    "column added": "ALTER TABLE z ADD COLUMN more INT DEFAULT 7",
    "index added": "ALTER TABLE z ADD INDEX (n)",
    "copied": "ALTER TABLE z FORCE",
    "truncated": "TRUNCATE TABLE z",
    "dropped": "DROP TABLE z",
    "renamed": "RENAME TABLE z TO zz",
}


QUICK = ("column added",)


# MySQL keeps another account of a table that is gone.
@pytest.mark.parametrize(
    "change",
    [
        pytest.param("renamed", marks=pytest.mark.one_flavour("mysql")),
        *(pytest.param(each, marks=pytest.mark.one_flavour("mariadb")) for each in QUICK),
        *(pytest.param(each, marks=pytest.mark.soak) for each in CHANGES if each not in (*QUICK, "renamed")),
    ],
)
def test_altered_table_is_an_error_and_the_next_backup_succeeds(
    change: str, db_server: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = make_portal(make_shop(db_server, TABLES))

    ran = backed_up_during(portal, CHANGES[change])

    assert ran.code == 1
    assert "was altered" in ran.json["error"]
    assert "Back up again when the change is done." in ran.json["error"]
    assert "failed to save" not in ran.err
    assert portal.snapshots() == []
    assert portal.heartbeat() is None
    assert portal.backup().code == 0


def test_table_renamed_that_a_view_reads_is_an_error_about_both(mariadb_server: DatabaseServer) -> None:
    shop = make_shop(mariadb_server, f"{TABLES}CREATE VIEW n_of_z AS SELECT n FROM z;")

    with pytest.raises(
        Problem, match=r"Something that the view n_of_z of .* reads was altered, renamed or dropped"
    ) as told:
        dumped_during(shop, "RENAME TABLE z TO zz")
    assert told.value.do == "Back up again when the change is done."


# Below, nothing that does no harm is an alarm.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_table_made_meanwhile_is_no_harm(db_server: DatabaseServer, make_portal: MakePortal) -> None:
    portal = make_portal(make_shop(db_server, TABLES))

    ran = backed_up_during(portal, "CREATE TABLE new (n INT)")

    assert ran.code == 0, ran.json
    dump = portal.restic("dump", "latest", f"/mysql/{portal.shop.name}.sql")
    assert b"CREATE TABLE `z`" in dump
    assert b"CREATE TABLE `new`" not in dump


# tests/dumping/test_dumps_at_once.py has rows written meanwhile.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_rows_written_meanwhile_are_not_in_the_dump(
    db_server: DatabaseServer, make_portal: MakePortal
) -> None:
    """The dump is of the moment at which it began."""
    portal = make_portal(make_shop(db_server, TABLES))

    ran = backed_up_during(portal, "INSERT INTO z VALUES (3, 333333); DELETE FROM z WHERE id = 1")

    assert ran.code == 0, ran.json
    dump = portal.restic("dump", "latest", f"/mysql/{portal.shop.name}.sql")
    assert b"333333" not in dump
    assert b"(1,1)" in dump.split(b"CREATE TABLE `z`")[1]


# The dump is held at "m": what begins with "a" is dumped by then, what begins with "z" is not. Of its form
# there is no other one: a table that somebody has locked since before the dump cannot be guarded.
PARTS = """
CREATE TABLE a (id INT PRIMARY KEY, n INT);
INSERT INTO a VALUES (1, 11);
CREATE TABLE a_part (id INT PRIMARY KEY) PARTITION BY RANGE (id)
  (PARTITION low VALUES LESS THAN (100), PARTITION high VALUES LESS THAN (200));
INSERT INTO a_part VALUES (21), (121);
CREATE TABLE a_spare (id INT PRIMARY KEY);
INSERT INTO a_spare VALUES (31);
CREATE TABLE m (id INT PRIMARY KEY, n INT, held INT);
INSERT INTO m VALUES (1, 41, 0);
CREATE TABLE z (id INT PRIMARY KEY, n INT);
INSERT INTO z VALUES (1, 51);
CREATE TABLE z_part (id INT PRIMARY KEY) PARTITION BY RANGE (id)
  (PARTITION low VALUES LESS THAN (100), PARTITION high VALUES LESS THAN (200));
INSERT INTO z_part VALUES (61), (161);
CREATE TABLE z_spare (id INT PRIMARY KEY);
INSERT INTO z_spare VALUES (71);
SET NAMES utf8mb4;
CREATE VIEW sums AS SELECT SUM(n) AS n FROM a;
CREATE VIEW checked AS SELECT n FROM a WHERE n > 0 WITH CASCADED CHECK OPTION;
CREATE PROCEDURE tidy() DELETE FROM a WHERE n IS NULL;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN 2 * n;
CREATE TRIGGER a_kept BEFORE INSERT ON a FOR EACH ROW SET NEW.n = 1;
CREATE TRIGGER z_kept BEFORE INSERT ON z FOR EACH ROW SET NEW.n = 1;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DISABLE DO DELETE FROM a;
"""
BESIDE = """
CREATE TABLE it (id INT PRIMARY KEY);
INSERT INTO it VALUES (81);
CREATE TABLE z (id INT PRIMARY KEY, n INT);
CREATE TABLE busy (id INT PRIMARY KEY);
"""
HARM = {
    "a partition for a table to come": "ALTER TABLE a_part EXCHANGE PARTITION low WITH TABLE z_spare",
    "a table for a partition to come": "ALTER TABLE z_part EXCHANGE PARTITION low WITH TABLE a_spare",
    "another database's for a partition": "ALTER TABLE z_part EXCHANGE PARTITION low WITH TABLE {other}.it",
    "two tables swapped": "RENAME TABLE a TO t, z TO a, t TO z",
    "swapped one by one": "ALTER TABLE z RENAME t; ALTER TABLE a RENAME z; ALTER TABLE t RENAME a",
    "swapped with another database's": "RENAME TABLE z TO {other}.t, {other}.z TO z",
    "emptied": "TRUNCATE TABLE z",
    "a partition emptied": "ALTER TABLE z_part TRUNCATE PARTITION low",
    "a partition dropped": "ALTER TABLE z_part DROP PARTITION low",
    "dropped and made again": "DROP TABLE z; CREATE TABLE z (id INT PRIMARY KEY, n INT)",
    "copied": "ALTER TABLE z FORCE, ALGORITHM=COPY",
    "widened": "ALTER TABLE z ADD COLUMN more INT DEFAULT 7",
    "moved away": "RENAME TABLE z TO {other}.zz",
}
HARM_BESIDE_TABLES = {
    "view": "CREATE OR REPLACE VIEW sums AS SELECT MIN(n) AS n FROM a",
    "procedure": "DROP PROCEDURE tidy; CREATE PROCEDURE tidy() DELETE FROM a",
    "function": "DROP FUNCTION twice;"
    " CREATE FUNCTION twice(n BIGINT) RETURNS INT DETERMINISTIC NO SQL RETURN 2 * n",
    "trigger": "DROP TRIGGER a_kept; CREATE TRIGGER a_kept BEFORE INSERT ON a FOR EACH ROW SET NEW.n = 2;"
    "DROP TRIGGER z_kept; CREATE TRIGGER z_kept BEFORE INSERT ON z FOR EACH ROW SET NEW.n = 2",
    "event": "ALTER EVENT nightly DO DELETE FROM z",
}
# Each with what is said of it.
MORE_HARM_BESIDE_TABLES = {
    "an algorithm": (
        "SET NAMES utf8mb4; CREATE OR REPLACE ALGORITHM=TEMPTABLE VIEW sums AS SELECT SUM(n) AS n FROM a",
        "The view sums of .* was altered",
    ),
    "whose rights": (
        "SET NAMES utf8mb4; CREATE OR REPLACE SQL SECURITY INVOKER VIEW sums AS SELECT SUM(n) AS n FROM a",
        "The view sums of .* was altered",
    ),
    "a check": (
        (
            "SET NAMES utf8mb4;"
            " CREATE OR REPLACE VIEW checked AS SELECT n FROM a WHERE n > 0 WITH LOCAL CHECK OPTION"
        ),
        "The view checked of .* was altered",
    ),
    "what a routine reads": ("ALTER FUNCTION twice CONTAINS SQL", "The function twice of .* was altered"),
    "a comment": ("ALTER PROCEDURE tidy COMMENT 'so'", "The procedure tidy of .* was altered"),
    "a mode": (
        (
            "SET NAMES utf8mb4; SET sql_mode = 'ANSI_QUOTES'; DROP PROCEDURE tidy;"
            " CREATE PROCEDURE tidy() DELETE FROM a WHERE n IS NULL"
        ),
        "The procedure tidy of .* was altered",
    ),
    "a trigger for another": (
        "DROP TRIGGER a_kept; CREATE TRIGGER z_more BEFORE INSERT ON z FOR EACH ROW SET NEW.n = 2",
        "The trigger a_kept of .* was dropped or renamed",
    ),
    "a trigger more": (
        "CREATE TRIGGER z_more BEFORE INSERT ON z FOR EACH ROW SET NEW.n = 2",
        "The trigger z_more of .* was made",
    ),
    "an event less": ("DROP EVENT nightly", "The event nightly of .* was dropped or renamed"),
    "an event's name": ("ALTER EVENT nightly RENAME TO daily", "The event nightly .* was dropped or renamed"),
    "a routine less": ("DROP PROCEDURE tidy", "The procedure tidy of .* was dropped or renamed"),
    "a view less": ("DROP VIEW checked", r"The view checked of .* was dropped|was altered or dropped"),
    "a routine more": ("CREATE PROCEDURE a_more() DELETE FROM a", "The procedure a_more of .* was made"),
    "an event more": (
        "CREATE EVENT more ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM a",
        "The event more of .* was made",
    ),
}
LIBRARIES = """
CREATE LIBRARY maths LANGUAGE JAVASCRIPT AS 'export function f(n) { return n; }';
CREATE LIBRARY spare LANGUAGE JAVASCRIPT AS 'export function f(n) { return 7; }';
CREATE FUNCTION adds(n INT) RETURNS INT DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT USING (maths AS a)
  AS $$ return a.f(n) $$;
"""
ADDS = (
    "DROP FUNCTION adds; CREATE FUNCTION adds(n INT) RETURNS INT DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT"
    " USING ({used}) AS $$ return a.f(n) $$"
)
HARM_OF_LIBRARIES = {
    "replaced": (
        "DROP LIBRARY maths; CREATE LIBRARY maths LANGUAGE JAVASCRIPT AS 'export const f = 9'",
        "The library maths of .* was altered",
    ),
    "commented": ("ALTER LIBRARY maths COMMENT 'more'", "The library maths of .* was altered"),
    "dropped": ("DROP LIBRARY spare", "The library spare of .* was dropped"),
    "dropped in use": ("DROP LIBRARY maths", "The library maths of .* was dropped"),
    "another name for it": (ADDS.format(used="maths AS b"), "The function adds of .* was altered"),
    "another one": (ADDS.format(used="spare AS a"), "The function adds of .* was altered"),
}
# Elsewhere on the server tables are altered all the while.
NO_HARM = {
    "dumped already": "ALTER TABLE a ADD INDEX (n); OPTIMIZE TABLE a; TRUNCATE TABLE a_spare",
    "one partition more": "ALTER TABLE a_part ADD PARTITION (PARTITION p VALUES LESS THAN (900))",
    "among the dumped": "RENAME TABLE a TO t, t TO a; ALTER TABLE a_part TRUNCATE PARTITION low",
    "looked at": "ANALYZE TABLE z, z_part; CHECK TABLE z, z_part, z_spare",
    "written to": "INSERT INTO z_part VALUES (62); DELETE FROM z",
    "view made again": "SET NAMES utf8mb4; CREATE OR REPLACE VIEW sums AS SELECT SUM(n) AS n FROM a",
    "event ended": "ALTER EVENT nightly ENABLE",
}
# For these the table is wanted alone, as it is for an EXCHANGE PARTITION.
NO_HARM_ALONE = {
    "trigger": "CREATE TRIGGER count_them BEFORE INSERT ON a_part FOR EACH ROW SET @n = 1",
    "flushed": "FLUSH TABLES z_part, z, z_spare",
    "locked": "LOCK TABLES z_part WRITE, z WRITE; UNLOCK TABLES",
}
# MySQL's wants all tables alone, those too that are being dumped.
OTHER_DEFAULTS = "ALTER DATABASE CHARACTER SET cp1251"


@pytest.fixture
def parts(db_server: DatabaseServer) -> Iterator[Shop]:
    """A shop with partitions, and another database beside it, as `beside` names it."""
    shop = make_shop(db_server, PARTS)
    db_server.create_database(beside(shop))
    db_server.load(BESIDE, beside(shop))
    yield shop
    db_server.execute(f"DROP DATABASE {shop.name}; DROP DATABASE {beside(shop)}")


def beside(shop: Shop) -> str:
    return f"{shop.name}_beside"


@pytest.mark.parametrize("tries", [1, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    "change",
    [
        # On MySQL the next test has it.
        pytest.param("a partition for a table to come", marks=pytest.mark.one_flavour("mariadb")),
        pytest.param("two tables swapped", marks=pytest.mark.one_flavour("mariadb")),
    ],
)
def test_what_was_read_of_two_moments_is_noticed(change: str, tries: int, parts: Shop) -> None:
    notice(parts, HARM[change], tries)


@pytest.mark.soak
@pytest.mark.parametrize("change", HARM)
def test_every_change_that_does_harm_is_noticed(change: str, parts: Shop) -> None:
    notice(parts, HARM[change], 20)


def notice(parts: Shop, change: str, tries: int) -> None:
    for _ in range(tries):
        if "z TO {other}" in change:
            # A table that has triggers goes to no other database; nor is one of the same second seen there,
            # on MySQL, by who may not see it.
            parts.execute("DROP TRIGGER z_kept")
            parts.server.execute(f"GRANT SELECT ON {beside(parts)}.* TO '{parts.user}'@'%'")
        with pytest.raises(Problem, match=r"was altered|was altered or dropped|does not hold") as told:
            dumped_during(parts, change.format(other=beside(parts)))
        assert told.value.do
        remade(parts)


@pytest.mark.one_flavour("mysql")
def test_a_partition_of_the_only_table_that_has_any_is_noticed(parts: Shop) -> None:
    """With a table that no other one was made in the second of."""
    parts.execute("DROP TABLE z_part, a_spare, z_spare; DO SLEEP(1.1)")
    parts.execute("CREATE TABLE z_spare (id INT PRIMARY KEY)")
    with pytest.raises(Problem, match=r"was altered while the dump ran \(z_spare"):
        dumped_during(parts, HARM["a partition for a table to come"])


@pytest.mark.parametrize(
    "engine", ["MyISAM", *(pytest.param(each, marks=pytest.mark.soak) for each in ("Aria", "CSV"))]
)
def test_swapped_tables_are_noticed_of_which_renaming_leaves_the_time(
    engine: str, mariadb_server: DatabaseServer
) -> None:
    tables = "".join(f"CREATE TABLE {name} (id INT NOT NULL) ENGINE={engine};" for name in ("a", "z"))
    shop = make_shop(mariadb_server, f"CREATE TABLE m (held INT); {tables} INSERT INTO z VALUES (1)")
    with pytest.raises(Problem, match=r"was altered while the dump ran \(z"):
        dumped_during(shop, HARM["two tables swapped"])


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(each, marks=pytest.mark.one_flavour("mysql" if each in ("view", "event") else "mariadb"))
        for each in HARM_BESIDE_TABLES
    ],
)
def test_what_has_no_rows_of_another_moment_is_noticed(kind: str, parts: Shop) -> None:
    with pytest.raises(Problem, match=rf"The {kind} \w+ .* was altered while the dump ran"):
        dumped_during(parts, HARM_BESIDE_TABLES[kind])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("an algorithm", marks=pytest.mark.one_flavour("mysql")),
        pytest.param("a trigger for another", marks=pytest.mark.one_flavour("mariadb")),
    ],
)
def test_what_was_made_or_dropped_is_named(change: str, parts: Shop) -> None:
    statements, said = MORE_HARM_BESIDE_TABLES[change]
    with pytest.raises(Problem, match=said) as told:
        dumped_during(parts, statements)
    assert told.value.do


@pytest.mark.soak
@pytest.mark.parametrize("change", MORE_HARM_BESIDE_TABLES)
def test_every_change_of_what_has_no_rows_is_noticed(change: str, parts: Shop) -> None:
    statements, said = MORE_HARM_BESIDE_TABLES[change]
    if "more" in change and parts.server.flavour == "mysql":
        held = dumped_during(parts, statements)
        assert "more" not in str(held)  # its dump program may list them as they were when it began
        return
    with pytest.raises(Problem, match=said) as told:
        dumped_during(parts, statements)
    assert told.value.do


SOAKED = [pytest.param(each, marks=pytest.mark.soak) for each in HARM_OF_LIBRARIES if each != "dropped"]


@pytest.mark.parametrize("change", ["dropped", *SOAKED])
def test_library_of_another_moment_is_noticed(change: str, mysql_server: DatabaseServer) -> None:
    mysql_server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    shop = make_shop(mysql_server, TABLES + LIBRARIES)
    statements, said = HARM_OF_LIBRARIES[change]
    if change == "made":
        assert dumped_during(shop, statements)["library"] == ["maths", "spare"]
        return
    with pytest.raises(Problem, match=said) as told:
        dumped_during(shop, statements)
    assert told.value.do


@pytest.mark.one_flavour("mariadb")
def test_changes_that_do_no_harm_are_no_alarm(parts: Shop) -> None:
    with altered_elsewhere(parts):
        dumped_during(parts, *NO_HARM.values())
    remade(parts)
    dumped_during(parts, *NO_HARM_ALONE.values())


@pytest.mark.one_flavour("mysql")
@pytest.mark.soak
def test_other_defaults_of_the_database_are_no_alarm(parts: Shop) -> None:
    altered_during(parts, OTHER_DEFAULTS).result()


def test_other_defaults_are_said_and_refused_where_something_was_made_under_them(parts: Shop) -> None:
    with mysql.connect(server_of(parts), parts.name) as connection:
        before, made = (
            mysql.database_defaults(connection, parts.name),
            mysql.made_under(connection, parts.name),
        )
        assert altered_defaults(connection, parts.name, before, made) == ""
        parts.execute(OTHER_DEFAULTS)
        said = altered_defaults(connection, parts.name, before, made)
        assert "was altered while the dump ran (ALTER DATABASE: from " in said
        parts.execute("DROP PROCEDURE tidy; CREATE PROCEDURE tidy() DO 1")
        made = mysql.made_under(connection, parts.name)
        with pytest.raises(Problem, match="The procedure tidy was made under the new one"):
            altered_defaults(connection, parts.name, before, {"procedure tidy": made["procedure tidy"]})


def altered_during(parts: Shop, change: str) -> Dumping:
    """A dump during which a statement is begun that may wait for it."""
    with parts.held("m"):
        dumping = Dumping(parts)
        parts.wait_for_a_waiting_dump()
        altering = threading.Thread(target=parts.execute, args=[change], daemon=True)
        altering.start()
        altering.join(3)
    altering.join()
    return dumping


def test_server_that_is_slow_for_a_moment_is_no_alarm(
    mysql_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL tells by a time limit that somebody waits, which a busy machine passes by itself."""
    refused = 0

    def execute(connection: Any, sql: str) -> None:
        nonlocal refused
        if sql.startswith("SELECT  1 FROM"):
            refused += 1
            raise MySQLdb.OperationalError(3024, "maximum statement execution time exceeded")
        mysql.execute(connection, sql)

    shop = make_shop(mysql_server, PARTS)
    mysql_server.create_database(beside(shop))
    mysql_server.load(BESIDE, beside(shop))
    with altered_elsewhere(shop), shop.held("m"):
        dumping = Dumping(shop)
        shop.wait_for_a_waiting_dump()
        with monkeypatch.context() as slow:
            slow.setattr(tripwires, "execute", execute)
            wait_until(lambda: refused >= 4, "rounds with a slow server")

    assert dumping.result()


@pytest.mark.soak
@pytest.mark.parametrize("change", NO_HARM)
def test_every_change_that_does_no_harm_is_no_alarm(change: str, parts: Shop) -> None:
    for _ in range(20):
        with altered_elsewhere(parts):
            dumped_during(parts, NO_HARM[change])
        remade(parts)


@pytest.mark.soak
@pytest.mark.parametrize("change", NO_HARM_ALONE)
def test_table_that_somebody_wants_alone_is_no_alarm(change: str, parts: Shop) -> None:
    for _ in range(20):
        dumped_during(parts, NO_HARM_ALONE[change])
        remade(parts)


@pytest.mark.one_flavour("mysql")
def test_whoever_wants_a_table_alone_gets_it_within_two_seconds(parts: Shop) -> None:
    with parts.held("m"):
        dumping = Dumping(parts)
        parts.wait_for_a_waiting_dump()
        since = time.monotonic()
        parts.execute("ALTER TABLE a_part ADD PARTITION (PARTITION top VALUES LESS THAN (900))")
        took = time.monotonic() - since
    dumping.result()
    assert took < 4  # two, and what a busy machine takes


def test_table_of_which_mariadb_forgets_when_it_was_made_is_no_alarm(mariadb_server: DatabaseServer) -> None:
    """InnoDB's purge opens such tables before anyone asks for their times, about every second time."""
    shop = make_shop(mariadb_server, FORGOTTEN)
    for number in range(3):
        forget(shop, number)
        dumped(shop)


@pytest.mark.soak
def test_rows_written_to_tables_of_which_the_time_moves_or_is_unknown_are_no_alarm() -> None:
    options = [f"--plugin-dir={mariadb_plugins.home()}", "--plugin-load-add=ha_archive"]
    with DatabaseServer("mariadb", options=options) as server:
        engines = {"a_old": "ARCHIVE", "a_text": "CSV", "z_old": "ARCHIVE", "z_text": "CSV"}
        tables = [f"CREATE TABLE {name} (id INT NOT NULL) ENGINE={each};" for name, each in engines.items()]
        shop = make_shop(server, f"CREATE TABLE m (held INT); {''.join(tables)}")
        for _ in range(3):
            dumped_during(shop, *(f"INSERT INTO {name} VALUES (1)" for name in engines))


@pytest.mark.soak
def test_twenty_of_twenty_tables_are_forgotten_without_an_alarm(mariadb_server: DatabaseServer) -> None:
    shop = make_shop(mariadb_server, FORGOTTEN)
    unknown = 0
    for number in range(20):
        forget(shop, number)
        unknown += made_in(shop)["gen"].at is None
        dumped(shop)
        forget(shop, number + 100)
        with pytest.raises(Problem, match="was altered"):
            dumped_during(shop, "RENAME TABLE gen TO t, gen2 TO gen, t TO gen2")
    assert unknown


FORGOTTEN = """
CREATE TABLE gen (id INT PRIMARY KEY, a INT, b INT GENERATED ALWAYS AS (a * 2) VIRTUAL, KEY (b));
CREATE TABLE gen2 LIKE gen;
CREATE TABLE a (id INT PRIMARY KEY);
"""


def forget(shop: Shop, number: int) -> None:
    shop.execute(f"REPLACE INTO gen (id, a) VALUES (1, {number}), (2, {number}); FLUSH TABLES gen")
    time.sleep(0.6)


def made_in(shop: Shop) -> dict[str, mysql.Made]:
    with mysql.connect(server_of(shop)) as connection:
        return mysql.definitions_changed_at(connection, shop.name)


@pytest.mark.soak
def test_several_programs_notice_what_the_one_of_them_has_not_read(parts: Shop) -> None:
    """Each is stopped in a large table of its own, for the reader is slow."""
    may_lock(parts)
    for table in ("b_large", "n_large"):
        parts.execute(f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, filler LONGBLOB)")
        for _ in range(48):
            parts.execute(f"INSERT INTO {table} (filler) VALUES (REPEAT(RANDOM_BYTES(1000), 1000))")
    parts.execute("ANALYZE TABLE b_large, n_large; CREATE TABLE c_spare LIKE a_spare; CREATE TABLE c LIKE a")

    dumping = Dumping(parts, connections=2, is_slow=True)
    parts.execute("ALTER TABLE a ADD INDEX (n)")
    dumping.result()

    for change in (
        "ALTER TABLE a_part EXCHANGE PARTITION low WITH TABLE c_spare",
        "RENAME TABLE a TO t, c TO a, t TO c",
    ):
        dumping = Dumping(parts, connections=2, is_slow=True)
        parts.execute(change)
        with pytest.raises(Problem, match="was altered"):
            dumping.result()


class Dumping:
    """A dump without a repository, beside; a slow one is read only when its result is wanted."""

    def __init__(self, shop: Shop, connections: int = 1, *, is_slow: bool = False) -> None:
        order = Order(
            server_of(shop),
            shop.name,
            client_dir(shop.server),
            at_once=parallel.ParallelOptions(connections),
        )
        self.report = Report(process.secret_fd(b""))
        self._raised: list[BaseException] = []
        self._held: dict[str, list[str]] = {}
        self._reading, writing = os.pipe()

        def work() -> None:
            try:
                self._held.update(program.dump(order, writing, self.report)["inventory"])
            except BaseException as error:  # noqa: BLE001  raised again by `result`
                self._raised.append(error)
            finally:
                os.close(writing)

        self._working = threading.Thread(target=work, daemon=True)
        self._working.start()
        if is_slow:
            wait_until(lambda: self.report.read().get("progress"), "a dump that has begun")
            time.sleep(2)
        else:
            self._emptying = threading.Thread(target=self._empty, daemon=True)
            self._emptying.start()

    def result(self) -> dict[str, list[str]]:
        """Wait for the end; answers what the dump holds. Raises what the dump raised."""
        self._empty()
        self._working.join()
        if self._raised:
            raise self._raised[0]
        return self._held

    def _empty(self) -> None:
        while os.read(self._reading, 1 << 20):
            pass


def dumped(shop: Shop) -> None:
    Dumping(shop).result()


def dumped_during(shop: Shop, *changes: str) -> dict[str, list[str]]:
    """What a dump holds in the middle of which statements are run."""
    with shop.held("m" if "m" in tables_of(shop) else "a"):
        dumping = Dumping(shop)
        shop.wait_for_a_waiting_dump()
        for change in changes:
            shop.execute(change)
    return dumping.result()


def tables_of(shop: Shop) -> set[str]:
    return {name for (name,) in shop.query("SHOW TABLES")}


def server_of(shop: Shop) -> mysql.Server:
    return mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)


def remade(shop: Shop) -> None:
    """Have the shop as it was."""
    for name in (shop.name, beside(shop)):
        shop.server.create_database(name)
    shop.server.load(PARTS, shop.name)
    shop.server.load(BESIDE, beside(shop))


@contextmanager
def altered_elsewhere(shop: Shop) -> Iterator[None]:
    """Somebody alters and renames tables of another database, over and over."""

    def alter() -> None:
        shop.server.execute(
            "ALTER TABLE busy FORCE; RENAME TABLE busy TO busier; RENAME TABLE busier TO busy", beside(shop)
        )

    with over_and_over(alter, pause=0.05):
        yield


def backed_up_during(portal: Portal, change: str) -> Ran:
    """A backup in the middle of which a statement is run."""
    with portal.shop.held("m"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        portal.shop.execute(change)
    return portal.finish(backup)
