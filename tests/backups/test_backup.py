"""A backup from end to end: real server, real restic, real files."""

from __future__ import annotations

from tests.backups.worlds import Portal


def test_command_backs_up_and_says_so_in_json(portal: Portal) -> None:
    ran = portal.backup()

    assert ran.code == 0, ran.err
    (snapshot,) = portal.snapshots()
    run = portal.run()
    assert ran.json == {
        "status": "succeeded",
        "run_id": run["id"],
        "snapshot_id": snapshot["id"],
        "dump_bytes": snapshot["summary"]["total_bytes_processed"],
        "data_added": snapshot["summary"]["data_added"],
        "sha256": portal.rows("SELECT dump_sha256 FROM backups_snapshot")[0]["dump_sha256"],
    }
    assert run["status"] == "succeeded"
    assert portal.leftovers() == []
