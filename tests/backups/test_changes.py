"""A table is altered, dropped or made while the dump runs: an error or a whole dump, never half of one."""

from __future__ import annotations

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Ran, make_shop
from tests.servers import DatabaseServer

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


@pytest.mark.parametrize("change", CHANGES)
def test_altered_table_is_an_error_and_the_next_backup_succeeds(
    change: str, db_server: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = make_portal(make_shop(db_server, TABLES))

    ran = backed_up_during(portal, CHANGES[change])

    assert ran.code == 1
    assert "was altered" in ran.json["error"]
    assert "Back up again once the change is through." in ran.json["error"]
    assert portal.snapshots() == []
    assert portal.heartbeat() is None
    assert portal.backup().code == 0


def test_table_made_meanwhile_is_no_harm(db_server: DatabaseServer, make_portal: MakePortal) -> None:
    portal = make_portal(make_shop(db_server, TABLES))

    ran = backed_up_during(portal, "CREATE TABLE new (n INT)")

    assert ran.code == 0, ran.json
    dump = portal.restic("dump", "latest", f"/mysql/{portal.shop.name}.sql")
    assert b"CREATE TABLE `z`" in dump
    assert b"CREATE TABLE `new`" not in dump


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


def backed_up_during(portal: Portal, change: str) -> Ran:
    """A backup in the middle of which a statement is run."""
    with portal.shop.held("m"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        portal.shop.execute(change)
    return portal.finish(backup)
