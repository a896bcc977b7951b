"""Commands whose run may not begin: refused at once with who is in the way, or waiting with `--wait`."""

from __future__ import annotations

import signal

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, wait_until


def test_a_command_is_refused_at_once_or_waits_as_long_as_it_is_told(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(mariadb_shop)
    with mariadb_shop.held("orders"):
        first = portal.start("backup", "--json")
        mariadb_shop.wait_for_a_waiting_dump()
        holder = portal.run()

        refused = portal.manage("repository", "check", "--json")
        assert refused.code == 3
        assert refused.json["error_code"] == "run.lease_held"
        held_by = refused.json["held_by"]
        host = holder["worker"].split(":")[0]
        assert (held_by["run_id"], held_by["action"], held_by["host"]) == (holder["id"], "backup", host)
        assert f"backup {holder['id']} of {mariadb_shop.name} (since " in refused.json["error"]
        assert f" on {host})" in refused.json["error"]
        refused_runs = portal.rows("SELECT 1 FROM backups_run WHERE action = 'check'")
        assert refused_runs == [], "what is refused leaves no run"

        gave_up = portal.manage("backup", "--wait-at-most", "1", "--json")
        assert (gave_up.code, gave_up.json["error_code"]) == (3, "run.waited_long_enough")
        assert gave_up.json["waited_for"] == [holder["id"]]
        assert "Nothing was done." in gave_up.json["error"]

        cancelled = portal.start("repository", "check", "--wait")
        wait_until(lambda: waiting(portal), "the check to wait")
        cancelled.send_signal(signal.SIGINT)
        assert portal.finish(cancelled).code == 130
        assert not waiting(portal)

        patient = portal.start("backup", "--wait", "--json")
        (row,) = wait_until(lambda: waiting(portal), "the backup to wait")
        assert row["waits_for_id"] == holder["id"]
        assert row["detail"].startswith(f"Waits for backup {holder['id']} of ")

    assert portal.finish(first).code == 0
    ended = portal.finish(patient)
    assert ended.code == 0, ended.err
    assert ended.json["waited_for"][0] == holder["id"]
    assert f"waits for backup {holder['id']} of" in ended.err
    assert len(portal.snapshots()) == 2
    assert portal.leftovers() == []


def waiting(portal: Portal) -> list[dict[str, object]]:
    return portal.rows("SELECT * FROM backups_run WHERE status = 'queued' AND waits_for_id IS NOT NULL")
