"""What changed from one dump to another, and to now, on real servers."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backups.choices import Trigger
from backups.differences.shown import asked
from backups.differences.told import row_words
from backups.models import Database, Run, Snapshot
from backups.requests import DiffRequest
from backups.runs.asked import Asker
from backups.worker import executor
from tests.actions.test_kills import is_dump_program
from tests.actions.tools import back_up, log_of
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import PROJECT, Portal, Shop, the_child, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_flavour("mariadb")]

TABLES = r"""
CREATE TABLE prices (sku BINARY(4), region CHAR(2), price DECIMAL(10,2), f DOUBLE, note TEXT,
  PRIMARY KEY (sku, region));
CREATE TABLE empty_one (id INT PRIMARY KEY);
CREATE TABLE gone_one (id INT PRIMARY KEY);
CREATE TABLE grown (id INT PRIMARY KEY, a INT, b VARCHAR(20));
CREATE TABLE still (id INT PRIMARY KEY, v TEXT);
CREATE TABLE `we``ird; -- x` (`a``b` VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL, v BLOB,
  UNIQUE KEY (`a``b`));
CREATE TABLE loose (a INT, b INT);
INSERT INTO prices VALUES (x'61000000', 'it', 1.50, 0.1, '),(''\\'), (x'61000000', 'de', 2.50, 1e16, NULL),
  (x'61620000', 'it', 3.00, -0.5, 'x');
INSERT INTO gone_one VALUES (1), (2);
INSERT INTO grown VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, 'three');
INSERT INTO still VALUES (1, REPEAT('always ', 100));
INSERT INTO `we``ird; -- x` VALUES ('a*/', x'00275c0a'), ('b', x'ff'), ('c', '');
INSERT INTO loose VALUES (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (2, NULL);
CREATE EVENT a_first ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM journal;
"""
CHANGES = r"""
UPDATE prices SET price = 9 WHERE region = 'it';
DELETE FROM prices WHERE region = 'de';
INSERT INTO prices VALUES (x'00000000', 'fr', 1, 1, '');
RENAME TABLE gone_one TO came_one;
ALTER TABLE grown ADD more INT DEFAULT 5 AFTER id, MODIFY b VARCHAR(30);
UPDATE grown SET b = 'TWO' WHERE id = 2;
UPDATE `we``ird; -- x` SET v = x'0027' WHERE v = x'00275c0a';
DELETE FROM loose LIMIT 1;
INSERT INTO orders (customer, note) VALUES (3, 'new');
DROP EVENT a_first;
DROP FUNCTION twice;
DROP TRIGGER orders_noted;
CREATE OR REPLACE VIEW open_orders AS SELECT id FROM orders;
"""
# A number that goes on is no change, neither a table's nor a sequence's.
COUNTED = """
CREATE SEQUENCE numbers;
CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, n INT DEFAULT (NEXT VALUE FOR numbers));
INSERT INTO counted () VALUES ();
"""
ROWS = {
    "came_one": (0, 2, 0),
    "gone_one": (2, 0, 0),
    "grown": (0, 0, 1),
    "journal": (0, 1, 0),
    "loose": (1, 0, 0),
    "orders": (0, 1, 0),
    "prices": (1, 1, 2),
    "we`ird; -- x": (0, 0, 1),
}
PRICES = [
    r"+ sku='\0\0\0\0', region='fr', price=1.00, f=1, note=''",
    r"- sku='a\0\0\0', region='de', price=2.50, f=1e16, note=NULL",
    r"~ sku='a\0\0\0', region='it': price=1.50 → 9.00",
    r"~ sku='ab\0\0', region='it': price=3.00 → 9.00",
]
OBJECTS = {
    ("event", "a_first", "gone"),
    ("function", "twice", "gone"),
    ("table", "came_one", "came"),
    ("table", "gone_one", "gone"),
    ("table", "grown", "changed"),
    ("trigger", "orders_noted", "gone"),
    ("view", "open_orders", "changed"),
}


def compare(
    database: Database, snapshot: Snapshot, until: Snapshot | None = None, tables: tuple[str, ...] = ()
) -> Run:
    run = DiffRequest(database, snapshot, until, tables).submit(Asker(Trigger.CLI), send=False)
    played = executor.execute(run.pk)
    assert played is not None
    return played


def on_a_terminal(portal: Portal, *command: str) -> str:
    """What a command shows a person."""
    hands, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    environment = {**os.environ, **portal.environment}
    run = subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=PROJECT,
        env=environment,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = bytearray()
    # Reading fails once nobody has the terminal open any more.
    with suppress(OSError):
        while data := os.read(hands, 4096):
            shown += data
    os.close(hands)
    assert run.wait() == 0, shown
    return shown.decode()


def difference(run: Run) -> dict[str, Any]:
    assert run.status == "succeeded", f"{run.error}\n{log_of(run)}"
    found: dict[str, Any] = run.result["difference"]
    return found


def counts(found: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {each["table"]: (each["gone"], each["new"], each["changed"]) for each in found["tables"]}


def objects(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["kind"], each["name"], each["change"]) for each in found["objects"]}


@pytest.mark.soak
def test_what_changed_to_now_and_to_another_snapshot_is_counted_and_named(
    least_shop: Shop, make_database: MakeDatabase
) -> None:
    is_mariadb = least_shop.server.flavour == "mariadb"
    least_shop.execute(TABLES + (COUNTED if is_mariadb else ""))
    database = make_database(least_shop)
    before = back_up(database)
    least_shop.execute(CHANGES + ("INSERT INTO counted () VALUES ();" if is_mariadb else ""))
    rows = {**ROWS, "counted": (0, 1, 0)} if is_mariadb else ROWS

    live = compare(database, before)
    with asked("anna") as now:
        compare(database, before, tables=("prices", "loose", "still"))
    after = back_up(database)
    with asked("anna") as then:
        stored = compare(database, before, after)

    for run in (live, stored):
        found = difference(run)
        assert counts(found) == rows
        assert objects(found) == OBJECTS
        assert found["same_tables"] == 3, found  # customers, empty_one, still
        by_name = {each["table"]: each for each in found["tables"]}
        assert by_name["prices"]["key"] == ["sku", "region"]
        assert by_name["loose"]["key"] == []
        assert (by_name["grown"]["columns_came"], by_name["grown"]["key"]) == (["more"], ["id"])
        assert (by_name["prices"]["rows_before"], by_name["prices"]["rows_after"]) == (3, 3)
        assert "always" not in str(run.result)
        assert "TWO" not in str(run.result) + log_of(run)
    for wanted in (now, then):
        shown = [
            row_words(row, ["sku", "region"] if row.table == "prices" else []).replace("_binary ", "")
            for row in wanted.rows
            if row.table in ("prices", "loose")
        ]
        assert sorted(each for each in shown if "price" in each) == PRICES, shown
        assert [each for each in shown if "price" not in each] == ["- a=1, b=1"]
    assert "shown on the terminal of anna" in log_of(stored)
    assert difference(live)["after"]["snapshot_id"] is None
    assert difference(stored)["after"]["snapshot_id"] == after.snapshot_id
    # No rows, nothing that is dumped, nothing that is compared: both are the same.
    assert counts(difference(compare(database, after))) == {}
    again = back_up(database)
    nothing = difference(compare(database, after, again))
    assert (nothing["tables"], nothing["objects"]) == ([], [])


def test_the_command_says_what_changed_and_ends_as_others_do(mariadb_portal: Portal) -> None:
    portal, shop = mariadb_portal, mariadb_portal.shop
    first = portal.backup().json["snapshot_id"]
    shop.execute("DELETE FROM orders WHERE id = 2; UPDATE customers SET name = 'secret value' WHERE id = 1")
    shop.execute("DROP VIEW open_orders")

    ran = portal.manage("diff", first[:8], "--json")

    assert ran.code == 0, ran.err
    told = ran.json
    assert [
        {name: each[name] for name in ("table", "gone", "new", "changed")} for each in told["tables"]
    ] == [
        {"table": "customers", "gone": 0, "new": 0, "changed": 1},
        {"table": "orders", "gone": 1, "new": 0, "changed": 0},
    ]
    assert [(each["kind"], each["name"], each["change"]) for each in told["objects"]] == [
        ("view", "open_orders", "gone")
    ]
    assert told["libraries_unknown"] is False
    assert told["compared_at"] == told["after"]["at"] > told["before"]["at"]
    assert "secret value" not in ran.out + ran.err + portal.log() + str(portal.run(told["run_id"]))

    shown = on_a_terminal(portal, "diff", "latest", "--rows", "--table", "customers")
    assert "customers: ~ id=1: name='Ada' → 'secret value'" in shown
    assert "secret value" not in portal.log()
    assert "shown on the terminal of" in portal.log()

    shop.execute("DROP TABLE journal, orders")
    chosen = portal.manage("diff", "latest", "--table", "orders")
    assert "orders: the table is gone, with 3 rows" in chosen.out
    assert "trigger orders_noted: gone" in chosen.out
    assert "customers" not in chosen.out + chosen.err

    for wrong, code, said in (
        (["ffffffff"], "snapshot.unknown", "has no snapshot ffffffff"),
        (["latest", first], "diff.same_snapshot", "Both sides are snapshot"),
        (["latest", "--table", "nowhere"], "diff.no_such_table", "no table nowhere on either side"),
    ):
        ran = portal.manage("diff", *wrong, "--json")
        assert (ran.code, ran.json["error_code"]) == (1, code), ran.err
        assert said in ran.json["error"]
    for wrong in (["--json"], ["latest", "--rows"], ["latest", "--rows", "--json"]):
        # What rows hold goes to a terminal, and nowhere else.
        assert portal.manage("diff", *wrong).code == 2

    with shop.held("customers"):
        waiting = portal.start("diff", "latest", "--json")
        shop.wait_for_a_waiting_dump()
        waiting.send_signal(signal.SIGINT)
        ran = portal.finish(waiting)
    assert ran.code == 130, ran.err
    with shop.held("customers"):
        waiting = portal.start("diff", "latest", "--json", real=True)
        shop.wait_for_a_waiting_dump()
        os.kill(the_child(waiting.pid, is_dump_program), signal.SIGKILL)
        ran = portal.finish(waiting)
    assert (ran.code, ran.json["error_code"]) == (1, "dump.killed"), ran.err
    assert "A comparison changes nothing." in ran.json["error"]

    # Whoever asks looks at it: nobody is told of one that failed.
    assert not [row for row in portal.rows("SELECT subject FROM backups_alert") if "Comp" in row["subject"]]

    repository = Path(portal.repository)
    repository.rename(repository.with_suffix(".away"))
    ran = portal.manage("diff", "latest", "--json")
    assert (ran.code, ran.json["error_code"]) == (1, "restic.no_repository"), ran.json
    repository.with_suffix(".away").rename(repository)
    wait_until(lambda: portal.leftovers() == [], "nothing to be left")
