"""A portal of before there were channels, labels, pauses and invitations goes on with this version.

`before_people/portal.sql` is the portal of `before/`, taken over by the version that had the queue, pins and
a key already: one pin, a second database whose server was never asked, an operator and a failed run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups.worlds import Portal
from tests.restoring.stories import may_restore
from tests.servers import DatabaseServer
from tests.servers.inbox import inbox
from tests.upgrade.earlier import earlier_portal, earlier_shop, written

FOLDER = Path(__file__).parent
# By which that version signed what it made.
KEY = "0wIjDqgLGHHMmuZr4CteQkpb04hYGZwwWzB7P/wP5Kw="


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """A server with the database as it was backed up."""
    with DatabaseServer("mariadb") as server:
        server.create_database("shop")
        dump = (FOLDER / "before" / "shop.sql").read_bytes()
        server.client("--binary-mode", "--comments", "shop", stdin=dump)
        server.create_user("vedetta", "of-the-fixture", may_restore(server, "shop"))
        yield server


@pytest.fixture(scope="module")
def portal(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory, restic_path: Path) -> Portal:
    """The portal of before, where only the server's port and the folders are others."""
    folder = tmp_path_factory.mktemp("people")
    rows, environment = FOLDER / "before_people" / "portal.sql", {"VEDETTA_KEY": KEY}
    kept = FOLDER / "before"
    portal = earlier_portal(rows, kept, folder, earlier_shop(server), restic_path, environment)
    written(portal, "UPDATE backups_server SET port = ?", server.port)
    return portal


def test_backups_go_on_and_everything_is_where_it_was(portal: Portal) -> None:
    """Nobody does anything but start the new version: no new setting, and nothing to confirm."""
    before = portal.heartbeat()
    assert before is not None
    assert portal.manage("bootstrap").code == 0

    ran = portal.backup()

    assert ran.code == 0, ran.err
    after = portal.heartbeat()
    assert after is not None
    assert after > before
    names = portal.rows("SELECT name, backup_cron FROM backups_database ORDER BY name")
    assert [tuple(each.values()) for each in names] == [("blog", "30 2 * * *"), ("shop", "0 3,15 * * *")]
    assert portal.rows("SELECT * FROM backups_standdown") == []
    # Nobody's binary log is stored unasked.
    assert portal.rows("SELECT * FROM backups_logarchive") == []
    planned = {(each["name"], each["cron"]) for each in portal.rows("SELECT * FROM django_q_schedule")}
    assert {("vedetta backup 1", "0 3,15 * * *"), ("vedetta verify 1", "0 5 * * 0")} <= planned
    kept = portal.manage("retention", "--preview", "--json").json["keep"]
    assert "before migration 42" in json.dumps(kept)


def test_the_address_in_the_env_still_hears_of_a_failure(portal: Portal) -> None:
    with inbox() as box:
        failed = portal.backup(NOTIFY_URLS=f"json://127.0.0.1:{box.port}", MYSQL_PASSWORD="of another one")

        assert failed.code == 1
        assert b"shop" in box.requests[0].body
