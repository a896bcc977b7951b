"""A portal of the version before, with its repository, its status folder and its .env, goes on with this one.

`before/` was made by that version: a backup, a verification, a second backup, and a `--replace` back to the
first snapshot, whose kept tables are in `shop__before_7`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.backups.worlds import Portal, Shop
from tests.restore.stories import content, may_restore
from tests.servers import DatabaseServer

BEFORE = Path(__file__).with_name("before")
KEPT = "shop__before_7"


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """A server with the databases as that version left them."""
    with DatabaseServer("mariadb") as server:
        for name in ("shop", KEPT):
            server.create_database(name)
            server.client("--binary-mode", "--comments", name, stdin=(BEFORE / f"{name}.sql").read_bytes())
        server.create_user("vedetta", "of-the-fixture", may_restore(server, "shop"))
        yield server


@pytest.fixture(scope="module")
def portal(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory, restic_path: Path) -> Portal:
    """The portal of before, where only the server's port and the folders are others."""
    folder = tmp_path_factory.mktemp("upgrade")
    with tarfile.open(BEFORE / "repository.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    shop = Shop(server, "shop", "vedetta", "of-the-fixture")
    portal = Portal(folder / "portal", shop, restic_path, str(folder / "repository"))
    shutil.copytree(BEFORE / "status", portal.folder / "status", dirs_exist_ok=True)
    with closing(sqlite3.connect(portal.database_file)) as connection:
        connection.executescript((BEFORE / "portal.sql").read_text())
        connection.execute("UPDATE backups_repository SET url = ?", [portal.repository])
        connection.execute("UPDATE backups_database SET port = ?", [server.port])
        connection.commit()
    return portal


def test_it_goes_on_without_anything_being_done(portal: Portal) -> None:
    """The commands in the order in which a person on call would need them, first of all a backup."""
    before = portal.heartbeat()
    assert before is not None

    assert portal.manage("bootstrap").code == 0
    ran = portal.backup()
    assert ran.code == 0, ran.err
    assert "heartbeat" not in ran.json, "nothing is suspicious about a database as it was"
    after = portal.heartbeat()
    assert after is not None
    assert after > before
    (repository,) = portal.rows("SELECT restic_id FROM backups_repository")
    assert repository["restic_id"] == json.loads(portal.restic("cat", "config"))["id"]
    present = portal.rows("SELECT 1 FROM backups_snapshot WHERE forgotten_at IS NULL")
    assert len(portal.snapshots()) == len(present)


def test_a_snapshot_of_before_is_proved_and_restored(portal: Portal, server: DatabaseServer) -> None:
    first = portal.snapshots()[0]["short_id"]

    verified = portal.manage("verify", "--snapshot", first, "--json")
    assert verified.json["verdict"] == "identical", verified.err
    restored = portal.manage("restore", "--snapshot", first, "--into", "shop_copy", "--json")
    assert restored.code == 0, restored.err
    assert server.query("SELECT COUNT(*) FROM orders", "shop_copy") == [(3,)]


def test_a_restore_of_before_is_undone(portal: Portal, server: DatabaseServer) -> None:
    """What it kept was written down by that version."""
    kept = server.query("SELECT id, note FROM orders ORDER BY id", KEPT)

    ran = portal.manage("undo_restore", "--json")

    assert ran.code == 0, ran.err
    assert server.query("SELECT id, note FROM orders ORDER BY id", "shop") == kept
    text = b"\n".join(content(server, "shop"))
    for name in (b"every_parcel", b"customers_noted", b"hourly", b"twice"):
        assert name in text
