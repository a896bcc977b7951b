"""Generated columns that are stored are computed anew by a load: as they were, or the difference is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from backups.choices import Health, RestoreMode
from backups.dumpfile.ready import Does, Ready
from backups.dumpfile.settings import Settings
from backups.endpoints import database_server
from backups.loading.connection_pool import Hand
from backups.models import Database, Run
from backups.mysql import (
    LoadingConnection,
    MySQLProblem,
    computed_anew,
    computed_beside,
    computed_in,
    loading_connections,
)
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    content,
    drop_all,
    failed,
    log_of,
    make_restorable,
    restore,
    store,
    stored,
    succeeded,
)
from tests.restoring.test_settings import set_for_all
from tests.servers import FLAVOURS

BackUp = Callable[[Database], Run]
MakeCalls = Callable[..., Shop]
TOKYO = "'+09:00'"
# The day of a moment depends on the time zone; the sum of two numbers on nothing.
CALLS = """
SET SESSION time_zone = '+09:00';
CREATE TABLE calls (
  id INT PRIMARY KEY, at TIMESTAMP NULL, place POINT, note CHAR(9) CHARACTER SET latin1, weight FLOAT,
  day DATE GENERATED ALWAYS AS (DATE(at)) STORED, KEY (day)
);
INSERT INTO calls (id, at, place, note, weight) VALUES
  (1, '2024-01-01 05:30:00', ST_GeomFromText('POINT(1 2)'), 'spät', 0.1), (2, NULL, NULL, NULL, NULL);
CREATE TABLE sums (a INT, b INT, c INT GENERATED ALWAYS AS (a + b) STORED);
INSERT INTO sums (a, b) VALUES (1, 2), (1, 2), (3, NULL);
"""

# MariaDB takes none of these for a column that is stored.
MORE_OF_MYSQL = """
SET SESSION sql_mode = 'PAD_CHAR_TO_FULL_LENGTH', lc_time_names = 'de_DE', div_precision_increment = 10;
CREATE TABLE padded (id INT PRIMARY KEY, c CHAR(5), long_it_is INT AS (LENGTH(c)) STORED);
INSERT INTO padded (id, c) VALUES (1, 'a');
CREATE TABLE days (day DATE PRIMARY KEY, name VARCHAR(20) AS (DATE_FORMAT(day, '%W')) STORED);
INSERT INTO days (day) VALUES ('2024-01-01');
CREATE TABLE parts (a INT PRIMARY KEY, part VARCHAR(40) AS (a / 7) STORED UNIQUE);
INSERT INTO parts (a) VALUES (1);
"""


@pytest.fixture
def make_calls(request: pytest.FixtureRequest) -> Iterator[MakeCalls]:
    """Makes databases with stored generated columns, gone after the test."""
    made: list[Shop] = []

    def make(flavour: str, sql: str = CALLS) -> Shop:
        made.append(make_restorable(request.getfixturevalue(f"{flavour}_server"), sql))
        return made[-1]

    yield make
    for shop in made:
        drop_all(shop)


@pytest.mark.parametrize("flavour", [pytest.param("mariadb", marks=pytest.mark.soak), "mysql"])
def test_where_the_sessions_that_wrote_them_had_settings_of_their_own_the_difference_is_said(
    make_calls: MakeCalls, flavour: str, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_calls(flavour, CALLS + MORE_OF_MYSQL if flavour == "mysql" else CALLS)
    differing = ["calls", "days", "padded", "parts"] if flavour == "mysql" else ["calls"]
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot

    run = succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}__copy"))
    assert [each["table"] for each in run.result["computed_anew"] if each["differ"]] == differing
    assert "stored generated columns of calls (day) hold other values" in log_of(run)

    told = verify(database, snapshot)
    assert verdict(told).verdict == "different"
    assert "stored generated columns of calls (day) hold other values after the restore" in told.error
    assert "sums" not in told.error
    assert "the server's global settings" in told.error
    assert [each["table"] for each in told.result["computed_anew"]] == differing
    database.repository.refresh_from_db()
    assert database.repository.health != Health.SUSPECT, "a server's settings accuse no repository"


@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_where_the_server_has_their_settings_they_come_back_as_they_were(
    make_calls: MakeCalls, flavour: str, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_calls(flavour)
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    was = content(shop.server, shop.name)
    with set_for_all(shop.server, {"time_zone": TOKYO}):
        assert verdict(verify(database, snapshot)).verdict == "identical"
        run = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert "computed_anew" not in run.result
    ((day,),) = shop.query("SELECT day FROM calls WHERE id = 1")
    assert str(day) == "2024-01-01"
    assert content(shop.server, shop.name) == was


@pytest.mark.soak
def test_of_a_snapshot_that_does_not_tell_what_they_held_nothing_is_claimed(
    make_calls: MakeCalls, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_calls("mysql")
    database = make_database(shop)
    saved = succeeded(back_up(database)).snapshot
    assert saved is not None
    dump = stored(saved).partition(b"-- Vedetta manifest")[0]
    database.snapshots.all().delete()
    snapshot = store(database, dump)
    found = verdict(verify(database, snapshot))
    assert "values of the stored generated columns of calls (day)" in "\n".join(found.not_compared)
    run = succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True, tables=["calls"]))
    assert [(each["table"], each["differ"]) for each in run.result["computed_anew"]] == [("calls", False)]
    assert "Not proved are the values of the stored generated columns of calls (day)" in log_of(run)


def test_a_table_that_is_written_to_as_its_dump_begins_proves_nothing_and_accuses_nobody(
    make_calls: MakeCalls, make_database: MakeDatabase
) -> None:
    shop = make_calls("mysql")
    server = database_server(make_database(shop))
    of_other_rows = {"table": "calls", "columns": ["day"], "given": "3 1", "whole": "3 2"}
    (found,) = computed_anew(server, shop.name, ["calls"], computed_in({"computed": [of_other_rows]}))
    assert not found.differ
    assert "when somebody writes" in found.words


@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_whoever_writes_meanwhile_accuses_nobody(
    make_calls: MakeCalls, flavour: str, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_calls(flavour, CALLS.replace("'+09:00'", "'+00:00'"))
    database = make_database(shop)
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.003):
            shop.execute("INSERT INTO sums (a, b) VALUES (7, 8)")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # The next backup forgets the one of before.
        runs = [verify(database, succeeded(back_up(database)).snapshot) for _ in range(3)]
    finally:
        over.set()
        writer.join()
    for run in runs:
        assert verdict(run).verdict == "identical"
        assert not any(each["differ"] for each in run.result.get("computed_anew", []))


def test_a_row_that_is_too_large_to_be_digested_proves_nothing(
    make_calls: MakeCalls, make_database: MakeDatabase
) -> None:
    shop = make_calls("mysql")
    shop.execute(
        "ALTER TABLE calls ADD wide LONGTEXT; UPDATE calls SET wide = REPEAT('x', 3000) WHERE id = 2"
    )
    server = database_server(make_database(shop))
    with set_for_all(shop.server, {"max_allowed_packet": "2048"}), computed_beside(server, shop.name) as read:
        told = {each.table: each.why for each in read.told()}
    assert told["sums"] == ""
    assert "max_allowed_packet" in told["calls"]


@pytest.mark.parametrize(
    "told", [None, {}, {"computed": 1}, {"computed": [1, {}, {"table": 2, "columns": []}, {"table": "a"}]}]
)
def test_a_manifest_of_any_form_is_read(told: dict[str, object] | None) -> None:
    assert computed_in(told) == []


# ---------------------------------------------------------------- What a load has to do for them

# Less than zero, as the difference of two numbers without a sign.
BELOW_ZERO = """
SET SESSION sql_mode = 'NO_UNSIGNED_SUBTRACTION';
CREATE TABLE stock (
  id INT UNSIGNED PRIMARY KEY, sold INT UNSIGNED, made INT UNSIGNED,
  rest BIGINT GENERATED ALWAYS AS (made - sold) STORED, KEY (sold)
);
INSERT INTO stock (id, sold, made) VALUES (1, 5, 1), (2, 1, 5);
"""
CUT_AND_CHECKED = """
SET SESSION sql_mode = 'TIME_TRUNCATE_FRACTIONAL';
CREATE TABLE ticks (
  id INT PRIMARY KEY, at DATETIME(6), second DATETIME GENERATED ALWAYS AS (at) STORED, UNIQUE (second)
);
INSERT INTO ticks (id, at) VALUES (1, '2024-01-01 00:00:00.9'), (2, '2024-01-01 00:00:01.2');
SET SESSION time_zone = '+09:00';
CREATE TABLE shifts (
  id INT PRIMARY KEY, begins TIMESTAMP, CONSTRAINT early CHECK (HOUR(begins) < 9), CHECK (id > 0)
);
INSERT INTO shifts VALUES (1, '2024-01-01 05:00:00');
SET SESSION sql_mode = 'NO_UNSIGNED_SUBTRACTION';
CREATE TABLE debts (owed INT UNSIGNED PRIMARY KEY, CHECK (owed - 5 < 0));
INSERT INTO debts VALUES (1);
"""


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_statement_runs_again_under_what_its_table_needs(
    make_calls: MakeCalls, flavour: str, make_database: MakeDatabase
) -> None:
    shop = make_calls(flavour, "")
    as_written = Settings().with_mode("NO_AUTO_VALUE_ON_ZERO")
    make = b"CREATE TABLE stock (sold INT UNSIGNED, made INT UNSIGNED, rest BIGINT AS (made - sold) STORED)"
    fill = b"INSERT INTO stock (sold, made) VALUES (5, 1), (1, 5)"
    server = database_server(make_database(shop))
    with loading_connections(server, shop.name, 1) as (connection,):
        hand = Hand(connection, "")
        hand.run(Ready(Does.TABLE, make, as_written, "stock"))
        hand.run(Ready(Does.ROWS, fill, as_written, "stock"))
        with pytest.raises(MySQLProblem, match="no_column"):
            hand.run(Ready(Does.ROWS, b"INSERT INTO stock (no_column) VALUES (1)", as_written, "stock"))
        with pytest.raises(MySQLProblem, match="out of range"):
            hand.run(Ready(Does.DEFINITION, b"SELECT CAST(1 AS UNSIGNED) - 2", as_written))
    assert shop.query("SELECT rest FROM stock ORDER BY rest") == [(-4,), (4,)]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_others_who_load_a_table_go_on_while_one_tries_what_may_help(
    make_calls: MakeCalls, flavour: str, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB knows no such sql_mode; what they would say of it would hide the duplicate that it is about."""
    shop = make_calls(flavour, "CREATE TABLE t (id INT PRIMARY KEY)")
    server = database_server(make_database(shop))
    shared: dict[str, str] = {}
    rows = [Ready(Does.ROWS, b"INSERT INTO t VALUES (%d)" % row, Settings(), "t") for row in (1, 5)]
    with loading_connections(server, shop.name, 2) as (one, other):
        first, second = Hand(one, "", shared), Hand(other, "", shared)
        first.run(rows[0])
        set_ = LoadingConnection.set
        tried: list[Mapping[str, str | None]] = []

        def meanwhile(connection: LoadingConnection, changes: Mapping[str, str | None]) -> None:
            if "TIME_TRUNCATE_FRACTIONAL" in str(changes) and not tried:
                tried.append(changes)
                second.run(rows[1])
            set_(connection, changes)

        monkeypatch.setattr(LoadingConnection, "set", meanwhile)
        with pytest.raises(MySQLProblem, match="Duplicate entry '1'"):
            first.run(rows[0])
    assert tried
    assert shop.query("SELECT id FROM t ORDER BY id") == [(1,), (5,)]


@pytest.mark.soak
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_rows_that_need_the_settings_of_who_wrote_them_are_loaded(
    make_calls: MakeCalls,
    flavour: str,
    connections: int,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: DjangoSettings,
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    shop = make_calls(flavour, BELOW_ZERO + CUT_AND_CHECKED if flavour == "mysql" else BELOW_ZERO)
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    was = content(shop.server, shop.name)
    with set_for_all(shop.server, {"time_zone": TOKYO}):
        assert verdict(verify(database, snapshot)).verdict == "identical"
        run = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
        assert "computed_anew" not in run.result
        assert content(shop.server, shop.name) == was
        succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True))
    assert content(shop.server, shop.name) == was


@pytest.mark.soak
def test_rows_that_hold_a_check_under_no_setting_that_is_known_are_named_with_the_way_out(
    make_calls: MakeCalls, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_calls("mysql", CUT_AND_CHECKED)
    database = make_database(shop)
    succeeded(back_up(database))
    told = failed(restore(database, RestoreMode.NEW, target=f"{shop.name}__copy"))
    assert "Rows of shifts break its CHECK under the global settings" in told
    assert "'early' is violated" in told
    assert "Set its global settings to the values that the application's sessions have" in told
