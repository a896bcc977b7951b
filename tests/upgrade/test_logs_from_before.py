"""A binary log that a version before stored goes on: fetched, searched, proved and restored from.

`before_logs/` was made by commit 7017072d on a MySQL, which has a name that can be given to another one: its
portal and repository, and the server's log as `binlog.*`, whose end it had not stored yet. `shop.sql` is the
database at that end. The log holds 40 customers, a definition, and rows of another database, which must be
in no piece.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backups.worlds import Portal, Shop
from tests.moments.conftest import MAY_REPLAY
from tests.restoring.stories import may_restore
from tests.servers import DatabaseServer
from tests.shipping.conftest import logging, may_ship
from tests.upgrade.earlier import earlier_portal, earlier_shop, written

BEFORE = Path(__file__).with_name("before_logs")
# The server's.
UUID = "d54045da-ed0a-11f1-94c6-02fc00000001"
PIECES = "SELECT file, start, end, transactions, forgotten_at FROM backups_logpiece ORDER BY file_made, start"


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """The server as that version left it, with its log."""
    with logging("mysql") as server:
        server.create_database("shop")
        server.client("--binary-mode", "--comments", "shop", stdin=(BEFORE / "shop.sql").read_bytes())
        server.create_user("vedetta", "of-the-fixture", may_restore(server, "shop"))
        server.execute(f"GRANT {MAY_REPLAY['mysql']} ON *.* TO 'vedetta'@'%'")
        may_ship(Shop(server, "shop", "vedetta", "of-the-fixture"))
        server.stop()
        data = server.folder / "data"
        for file in [*data.glob("binlog.*")]:
            file.unlink()
        for file in BEFORE.glob("binlog.*"):
            shutil.copy(file, data)
        (data / "auto.cnf").write_text(f"[auto]\nserver-uuid={UUID}\n")
        server.start()
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        yield server


@pytest.fixture(scope="module")
def portal(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory, restic_path: Path) -> Portal:
    """The portal of before, where only the server's port and the folders are others."""
    folder = tmp_path_factory.mktemp("upgrade")
    portal = earlier_portal(BEFORE / "portal.sql", BEFORE, folder, earlier_shop(server), restic_path, {})
    written(portal, "UPDATE backups_server SET port = ?", server.port)
    written(portal, "UPDATE backups_logarchive SET address = ?", f"{server.host}:{server.port}")
    return portal


def test_it_is_fetched_from_where_it_was_without_a_gap(portal: Portal) -> None:
    before = portal.rows(PIECES)
    assert portal.manage("bootstrap").code == 0

    looked = portal.manage("archive_logs", "--once", "--json")

    assert looked.code == 0, looked.err
    assert portal.rows("SELECT code FROM backups_loggap") == []
    status = json.loads(portal.manage("log_archive", "status", "--json").out)
    assert (status["state"], status["problem"]) == ("following", None)
    after = portal.rows(PIECES)
    assert after[: len(before)] == before
    assert sum(each["transactions"] for each in after[len(before) :]) == 1
    for _ in range(9):
        # A few at each look.
        if not portal.rows("SELECT id FROM backups_logpiece WHERE sealed AND read_back_at IS NULL"):
            break
        portal.manage("archive_logs", "--once")
    else:
        pytest.fail("pieces are never read back")
    assert portal.rows("SELECT code FROM backups_loggap") == []


def transactions(portal: Portal, *options: str) -> list[dict[str, Any]]:
    ran = portal.manage("log_archive", "transactions", *options, "--json")
    assert ran.code == 0, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)["transactions"]
    return found


def test_it_is_searched(portal: Portal) -> None:
    """What of it is listed, and the log itself, by a key."""
    assert {"customers": {"insert": 40}} in [each["tables"] for each in transactions(portal)]
    time = ("--from", "2026-11-01 00:00:00", "--to", "2036-01-01 00:00:00")
    assert [each["tables"] for each in transactions(portal, *time, "--key", "139")] == [
        {"customers": {"insert": 40}},
        {"customers": {"delete": 1}},
    ]


def test_it_leads_from_a_backup_of_before_to_the_next(portal: Portal) -> None:
    """A proof is one of a hundred transactions at least."""
    portal.shop.execute("INSERT INTO journal (what) VALUES ('x');" * 110)
    assert portal.backup().code == 0
    assert portal.manage("archive_logs", "--once").code == 0

    proved = portal.manage("verify", "--replay", "--json")

    assert proved.code == 0, proved.err
    assert proved.json["verdict"] == "identical", proved.json["reason"]


def test_a_moment_of_before_is_restored(portal: Portal, server: DatabaseServer) -> None:
    (delete,) = [each for each in transactions(portal) if "delete" in each["tables"].get("customers", {})]

    to = ("--before-transaction", delete["id"], "--into", "shop_then", "--yes", "--json")
    restored = portal.manage("restore", *to)

    assert restored.code == 0, restored.err
    assert server.query("SELECT COUNT(*) FROM customers", "shop_then") == [(42,)]
    assert server.query("SELECT town FROM customers WHERE id = 2", "shop_then") == [("Oslo",)]
    assert server.query("SELECT COUNT(*) FROM customers WHERE id = 900", "shop") == [(1,)]


def test_no_piece_holds_what_was_another_databases(portal: Portal) -> None:
    for each in portal.snapshots():
        if "log" in each["tags"]:
            piece = portal.restic("dump", each["id"], each["paths"][0])
            assert b"hunter" not in piece
