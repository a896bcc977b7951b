"""Room for a second copy: asked for before one is made, and told of where a disk fills all the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups import mysql
from backups.actions.preflight import checks
from backups.actions.steps import room
from backups.actions.steps.checks import Found
from backups.choices import RestoreMode
from backups.models import Database, Run
from backups.mysql import error_numbers
from backups.mysql import room as server_room
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import databases_of, drop_all, failed, make_restorable, restore
from tests.restoring.test_left_out import verify
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
SERVER = mysql.Server("db", 3306, "backup", "secret")
MB = 1_000_000


# ---------------------------------------------------------------- How much is wanted, how much there is


@dataclass
class Copied:
    """A snapshot, as far as its size goes."""

    total_bytes_processed: int | None = None
    manifest: dict[str, Any] | None = None
    short_id: str = "abcd1234"
    database: Any = field(default_factory=lambda: SimpleNamespace(database="shop"))


ROWS = [
    {"kind": "rows", "name": "orders", "bytes": 30 * MB},
    {"kind": "rows", "name": "customers", "bytes": 10 * MB},
]


@pytest.mark.parametrize(
    ("snapshot", "live", "binary_log", "tables", "wanted"),
    [
        # What it took when it was backed up, and a quarter more.
        (Copied(10 * MB, {"bytes": 40 * MB, "space_used": 80 * MB}), 400 * MB, False, (), 100 * MB),
        # The server writes all that is loaded into its binary log as well.
        (Copied(10 * MB, {"bytes": 40 * MB, "space_used": 80 * MB}), 0, True, (), 140 * MB),
        # Chosen tables take their share.
        (
            Copied(40 * MB, {"bytes": 40 * MB, "space_used": 80 * MB, "sections": ROWS}),
            0,
            False,
            ("customers",),
            25 * MB,
        ),
        # An older snapshot: what the live database takes, and at the least what the dump does.
        (Copied(40 * MB, {"bytes": 40 * MB}), 80 * MB, False, (), 100 * MB),
        (Copied(40 * MB), 8 * MB, False, (), 50 * MB),
        (Copied(), 0, True, (), None),
    ],
)
def test_what_a_copy_takes(
    monkeypatch: pytest.MonkeyPatch,
    snapshot: Copied,
    live: int,
    binary_log: bool,
    tables: tuple[str, ...],
    wanted: int | None,
) -> None:
    folder = mysql.DataFolder("/var/lib/mysql/", "db", binary_log)
    monkeypatch.setattr(mysql, "data_folder", lambda _connection: folder)
    monkeypatch.setattr(room, "database_server", lambda _database: SERVER)
    monkeypatch.setattr(mysql, "space_used", lambda _connection, _name: live)

    assert room._wanted(None, SERVER, snapshot, tables) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("disks", "free"),
    [
        ([("/", 100)], 100),
        ([("/", 100), ("/var/lib/mysql", 7), ("/var", 50)], 7),
        ([("/", 100), ("/var/lib/mysql-files", 7)], 100),
        ([("/srv", 100)], None),
        ([("/var/lib/mysql", 1), ("/var/lib/mysql", 2)], 2),
        ([], None),
    ],
)
def test_the_plugin_tells_of_the_disk_that_holds_the_data(
    monkeypatch: pytest.MonkeyPatch, disks: list[tuple[str, int]], free: int | None
) -> None:
    monkeypatch.setattr(server_room, "fetch_rows", lambda _connection, _statement, _columns: disks)

    told = mysql.free_by_plugin(None, "/var/lib/mysql/")

    assert told == (None if free is None else free * 1024)


@pytest.mark.parametrize(
    ("host", "hostname", "here"),
    [
        ("127.0.0.1", os.uname().nodename, True),
        ("localhost", os.uname().nodename, True),
        ("/run/mysqld/mysqld.sock", os.uname().nodename, True),
        ("::1", os.uname().nodename, True),
        ("db", os.uname().nodename, False),
        ("10.0.0.7", os.uname().nodename, False),
        # A container whose port is one of this machine's.
        ("127.0.0.1", "f00dfeed0123", False),
    ],
)
def test_whether_a_servers_folder_is_on_this_machine(host: str, hostname: str, here: bool) -> None:
    assert room._is_here(host, mysql.DataFolder("/var/lib/mysql/", hostname, False)) is here


# ---------------------------------------------------------------- Refused beforehand


# Of more than a table in memory may take by default: without a full disk, the server says the same.
FULL = """
SET SESSION max_heap_table_size = 64 * 1024 * 1024;
CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, t VARCHAR(2000)) ENGINE=MEMORY CHARACTER SET utf8mb4;
INSERT INTO notes (t) VALUES ('a'), ('b'), ('c'), ('d'), ('e'), ('f'), ('g'), ('h');
"""


@pytest.fixture(scope="module")
def small(mariadb_server: DatabaseServer) -> Iterator[Shop]:
    """A database that its server takes once, and not again."""
    doubled = "INSERT INTO notes (t) SELECT t FROM notes;" * 9
    shop = make_restorable(mariadb_server, FULL + doubled)
    yield shop
    drop_all(shop)


def test_a_copy_that_does_not_fit_is_not_begun(
    small: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = make_database(small)
    assert back_up(database).snapshot is not None
    # As of a server elsewhere.
    monkeypatch.setattr(room, "_is_here", lambda _host, _folder: False)
    settings.VERIFY_MAX_MB = 1

    told = [
        failed(verify(database)),
        failed(restore(database, RestoreMode.REPLACE, without_safety=True)),
        failed(restore(database, RestoreMode.NEW, target=f"{small.name}_new")),
    ]

    for sentence in told:
        assert "needs about" in sentence
        assert "1.0 MB are allowed by VERIFY_MAX_MB" in sentence
    assert "set VERIFY_MYSQL_HOST" in told[0]
    assert "restore in place" in told[1]
    assert databases_of(small) == [small.name]


def test_preflight_says_where_nobody_knows(
    mariadb_shop: Shop, make_database: MakeDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(mariadb_shop)

    def warnings() -> list[str]:
        return [check.detail for check in checks(database, Found()) if "how much room" in check.detail]

    assert warnings() == [], "a server on this machine is known"
    monkeypatch.setattr(room, "_is_here", lambda _host, _folder: False)
    assert len(warnings()) == 1
    assert "VERIFY_MAX_MB" in warnings()[0]
    settings.VERIFY_MAX_MB = 100
    assert warnings() == []


# ---------------------------------------------------------------- A disk that fills all the same


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1021, "Disk full (/tmp); waiting for someone to free some space..."),
        (1114, "The table 'orders' is full"),
        (1026, "Error writing file './shop/orders.MYD' (Errcode: 28 \"No space left on device\")"),
        (1030, 'Got error 28 "No space left on device" from storage engine InnoDB'),
        (3, "Error writing file '/tmp/MYfd=40' (OS errno 28 - No space left on device)"),
        (1005, 'Can\'t create table `shop`.`orders` (errno: 28 "No space left on device")'),
        (3685, "Create table/tablespace 'orders' failed, as disk is full."),
    ],
)
def test_what_a_full_disk_is_told_as(code: int, text: str) -> None:
    problem = error_numbers.problem_from_number(code, text, SERVER)

    assert isinstance(problem, mysql.DiskFull)
    assert "full" in problem.what
    assert "Free some space" in problem.do


@pytest.mark.parametrize("text", ["Got error 280 from storage engine", "errno: 281", "Duplicate entry '28'"])
def test_what_is_no_full_disk(text: str) -> None:
    assert not isinstance(error_numbers.problem_from_number(1030, text, SERVER), mysql.DiskFull)


def test_the_scratch_database_goes_at_once(
    small: Shop, make_database: MakeDatabase, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures said that there is room; it is no fault of the snapshot's that there was not."""
    database = make_database(small)
    assert back_up(database).snapshot is not None
    monkeypatch.setattr(room, "_room", lambda _connection, _server: None)

    verified = verify(database)
    error = failed(verified)
    replaced = failed(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert "has no room for more rows" in error
    assert f"__verify_{verified.pk} was dropped at once" in error
    assert "VERIFY_MYSQL_HOST" in error
    assert not hasattr(verified, "verification")
    assert "was dropped at once; nothing else was touched" in replaced
    assert databases_of(small) == [small.name]
    assert small.query("SELECT COUNT(*) FROM notes") == [(4096,)]
