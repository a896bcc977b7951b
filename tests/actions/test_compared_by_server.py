"""Tables that are defined otherwise on both sides: a server compares them, in two scratch databases."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups import mysql
from backups.actions.steps import compared_by_server, scratch
from backups.differences.told import how_words, way_of
from backups.endpoints import scratch_server
from backups.models import Database, Run
from backups.requests import DiffRequest
from backups.runs import notes
from backups.worker import reaper
from tests.actions.test_diff import compare, counts, difference
from tests.actions.test_rows_back import compared as compared_and_kept
from tests.actions.tools import back_up, log_of, scratch_databases, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_flavour("mariadb")]

TABLES = r"""
CREATE TABLE parents (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE typed (id INT PRIMARY KEY, parent INT, price DECIMAL(10,2), at DATETIME, code VARCHAR(20),
  flag BIT(4), words VARCHAR(200) CHARACTER SET latin1, raw VARBINARY(20), f FLOAT, spot POINT,
  twice INT AS (id * 2),
  CONSTRAINT parented FOREIGN KEY (parent) REFERENCES parents (id), KEY (price)) ENGINE=InnoDB;
CREATE TABLE loose (a INT, b VARCHAR(10)) ENGINE=InnoDB;
CREATE TABLE named (name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n INT)
  ENGINE=InnoDB;
CREATE TABLE keyed (a INT NOT NULL, b INT) ENGINE=InnoDB;
CREATE TABLE `we``ird; -- x` (`a``b` INT PRIMARY KEY, v TEXT) ENGINE=InnoDB;
CREATE TABLE alike (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
CREATE TRIGGER typed_seen AFTER INSERT ON typed FOR EACH ROW SET @seen = 1;
INSERT INTO parents VALUES (1);
INSERT INTO typed (id, parent, price, at, code, flag, words, raw, f, spot) VALUES
  (1, 1, 1.50, '2026-01-01 10:00:00', '7', b'101', x'636166e9', x'00275c', 0.1, POINT(1, 2)),
  (2, NULL, 2.50, NULL, 'x', b'1', NULL, x'ff', NULL, NULL),
  (3, 1, 3.00, '2026-01-01', '', NULL, '''),(', '', 1e6, NULL),
  (4, 1, NULL, NULL, NULL, NULL, 'N', 'NULL', 2, POINT(0, 0));
INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, NULL), (3, 'NULL');
INSERT INTO named VALUES ('a', 1), ('B', 2), ('c', 3);
INSERT INTO keyed VALUES (1, 1), (2, 2), (2, 2), (3, 3);
INSERT INTO `we``ird; -- x` VALUES (1, '`'), (2, 'two');
INSERT INTO alike VALUES (1, 1), (2, 2);
"""
# Of `typed` one price is another one, one row is gone and one came; the rest is the same in other types.
CHANGES = r"""
ALTER TABLE typed ADD more INT DEFAULT 5 AFTER id, MODIFY price DECIMAL(14,4), MODIFY at DATETIME(3),
  MODIFY code VARCHAR(40), MODIFY words TEXT CHARACTER SET utf8mb4, MODIFY flag BIT(8), MODIFY f DOUBLE,
  MODIFY raw BLOB, DROP COLUMN twice;
UPDATE typed SET price = 1.5001 WHERE id = 1;
DELETE FROM typed WHERE id = 2;
INSERT INTO typed (id, price) VALUES (9, 9);
ALTER TABLE loose ADD c INT;
DELETE FROM loose WHERE a = 1 LIMIT 1;
INSERT INTO loose VALUES (3, NULL, 1);
ALTER TABLE named MODIFY name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;
UPDATE named SET name = 'A' WHERE name = 'a';
UPDATE named SET n = 9 WHERE name = 'c';
DELETE FROM keyed WHERE a = 2 LIMIT 1;
ALTER TABLE keyed ADD PRIMARY KEY (a);
UPDATE keyed SET b = 9 WHERE a = 3;
ALTER TABLE `we``ird; -- x` ADD w INT;
UPDATE `we``ird; -- x` SET v = 'deux' WHERE v = 'two';
UPDATE alike SET v = 9 WHERE id = 1;
"""
ROWS = {
    "alike": (0, 0, 1),
    "keyed": (1, 0, 1),
    "loose": (1, 1, 0),
    "named": (1, 1, 1),
    "typed": (1, 1, 1),
    "we`ird; -- x": (0, 0, 1),
}


@pytest.fixture
def altered(shop: Shop, make_database: MakeDatabase) -> tuple[Shop, Database, Any]:
    """A database with a snapshot from before its tables were altered, by one who may dump and verify."""
    shop.execute(TABLES)
    least = with_least(shop, "dump", "verify")
    database = make_database(least)
    before = back_up(database)
    shop.execute(CHANGES)
    return least, database, before


def test_tables_that_are_defined_otherwise_are_loaded_and_compared_by_the_server_that_verifies(
    altered: tuple[Shop, Database, Any],
) -> None:
    shop, database, before = altered

    live = compare(database, before)
    stored = compare(database, before, back_up(database))

    for run in (live, stored):
        found = difference(run)
        assert counts(found) == ROWS, log_of(run)
        tables = {each["table"]: each for each in found["tables"]}
        assert {name for name, each in tables.items() if each["by_server"]} == ROWS.keys() - {"alike"}
        typed = tables["typed"]
        assert set(typed["columns_converted"]) == {"price", "at", "flag", "f"}
        assert (typed["columns_came"], typed["columns_gone"]) == (["more"], ["twice"])
        assert (typed["rows_before"], typed["rows_after"], typed["key"]) == (4, 4, ["id"])
        assert "columns of another type, compared by value: " in how_words(typed)
        assert "on a server" not in how_words(tables["alike"])
        address = scratch_server(database).address
        assert found["server"] == {"address": address, "server": found["server"]["server"], "tables": 5}
        assert address in way_of(found)[0]
        assert "1.5001" not in str(run.result) + log_of(run)
        assert not {"scratch", "scratch_beside"} & run.result.keys()
    assert scratch_databases(shop.server) == []


def test_who_may_make_no_scratch_database_is_told_what_the_dumps_alone_say(
    shop: Shop, make_database: MakeDatabase
) -> None:
    shop.execute(TABLES)
    database = make_database(with_least(shop, "dump"))
    before = back_up(database)
    shop.execute(CHANGES)

    run = compare(database, before)

    found = difference(run)
    typed = next(each for each in found["tables"] if each["table"] == "typed")
    assert (typed["gone"], typed["new"], typed["changed"]) == (1, 1, 0), "its price is of another type"
    assert set(typed["columns_retyped"]) == {"price", "at", "flag", "f"}
    assert "may not create the scratch database" in found["server"]["why_not"]
    assert "without a server" in log_of(run)
    assert found["server"]["why_not"] in way_of(found)[1]


def test_where_no_server_is_to_be_had_two_stored_dumps_are_read_once_more(
    shop: Shop, make_database: MakeDatabase
) -> None:
    shop.execute(TABLES)
    database = make_database(with_least(shop, "dump"))
    before = back_up(database)
    shop.execute(CHANGES)

    run = compare(database, before, back_up(database))

    found = difference(run)
    assert counts(found) == {**ROWS, "typed": (1, 1, 0)}, "its price is of another type"
    assert [each["table"] for each in found["tables"] if each["by_server"]] == []
    assert {each["table"]: each["rows_before"] for each in found["tables"]}["loose"] == 5
    assert "may not create the scratch database" in found["server"]["why_not"]


def test_the_server_makes_no_key_that_nothing_needs_while_rows_are_compared(
    shop: Shop, make_database: MakeDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last one is not taken apart, and refers to a key of the one before.
    shop.execute(
        "CREATE TABLE bare (id INT PRIMARY KEY, n INT, KEY (n), FOREIGN KEY (n) REFERENCES bare (id)) "
        "ENGINE=InnoDB; CREATE TABLE parts (id INT PRIMARY KEY, code INT NOT NULL, n INT, UNIQUE KEY (code),"
        " KEY (n)) ENGINE=InnoDB; CREATE TABLE uses (id INT PRIMARY KEY, code INT, FOREIGN KEY (code)"
        " REFERENCES parts (code)) ENGINE=InnoDB ROW_FORMAT=REDUNDANT;"
        "INSERT INTO bare VALUES (1, 1), (2, 1);"
        "INSERT INTO parts VALUES (1, 7, 1); INSERT INTO uses VALUES (1, 7)"
    )
    settings.RESTORE_CONNECTIONS = 2
    database = make_database(with_least(shop, "dump", "verify"))
    before = back_up(database)
    shop.execute("".join(f"ALTER TABLE {table} ADD w INT;" for table in ("bare", "parts", "uses")))
    shop.execute("UPDATE bare SET n = 2 WHERE id = 2; DELETE FROM uses")
    compared_there = compared_by_server._compared
    keys: dict[tuple[str, str], set[str]] = {}

    def looked_at(then: Any, now: Any, table: str, *more: Any) -> mysql.RowCounts:
        for side in (then, now):
            keys[side.database, table] = {
                name
                for (name,) in shop.server.query(
                    "SELECT INDEX_NAME FROM information_schema.STATISTICS"
                    " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
                    arguments=[side.database, table],
                )
            }
        return compared_there(then, now, table, *more)

    monkeypatch.setattr(compared_by_server, "_compared", looked_at)

    found = difference(compare(database, before, back_up(database)))

    assert counts(found) == {"bare": (0, 0, 1), "parts": (0, 0, 0), "uses": (1, 0, 0)}
    assert all(each["by_server"] for each in found["tables"])
    by_table = {table: [of for (_, each), of in keys.items() if each == table] for _, table in keys}
    assert by_table == {
        "bare": [{"PRIMARY"}] * 2,
        "parts": [{"PRIMARY", "code", "n"}] * 2,
        "uses": [{"PRIMARY", "code"}] * 2,
    }


def test_rows_of_such_tables_are_kept_as_far_as_the_dumps_tell_them(
    altered: tuple[Shop, Database, Any],
) -> None:
    _, database, before = altered

    run = compared_and_kept(database, before, "we`ird; -- x", "loose", "typed")

    assert counts(difference(run)) == {name: ROWS[name] for name in ("loose", "typed", "we`ird; -- x")}
    kept = {each["table"]: each for each in run.result["kept"]["tables"]}
    assert (kept["typed"]["gone"], kept["typed"]["new"], kept["typed"]["changed"]) == (1, 1, 0)
    assert kept["we`ird; -- x"]["changed"] == 1
    assert "1 row of typed differs only in columns of another type" in log_of(run)


def test_what_a_comparison_left_behind_when_it_died_is_dropped(
    altered: tuple[Shop, Database, Any],
) -> None:
    shop, database, before = altered
    run = compare(database, before, tables=("alike",))
    names = {each: scratch.scratch_name(shop.name, run.pk, each) for each in notes.SCRATCH_PURPOSES}
    stranger = scratch.scratch_name(shop.name, run.pk + 1, notes.SCRATCH_BESIDE)
    server = scratch_server(database)
    with mysql.connect(server) as connection:
        for name in (*names.values(), stranger):
            mysql.create_database(connection, name, "", "")
    notes.run_update(run.pk, result={**names, "verified_on": {"address": server.address}})
    assert DiffRequest.action in Run.objects.filter(pk=run.pk).values_list("action", flat=True)

    reaper.run()

    assert scratch_databases(shop.server) == [stranger]
    assert not names.keys() & Run.objects.get(pk=run.pk).result.keys()
    shop.server.execute(f"DROP DATABASE {mysql.quote(stranger)}")
