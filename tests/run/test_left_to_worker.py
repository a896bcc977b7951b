"""Commands where the secrets are not, as in the portal's container: the worker plays, and they follow it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Ran, copy_repository, wait_until
from tests.restoring.stories import LATER, content, drop_all, make_restorable
from tests.servers import DatabaseServer

NO_SECRETS = {"RESTIC_PASSWORD": "", "MYSQL_PASSWORD": "", "AWS_SECRET_ACCESS_KEY": ""}


@pytest.fixture
def portal(mariadb_server: DatabaseServer, make_portal: MakePortal) -> Iterator[Portal]:
    shop = make_restorable(mariadb_server)
    yield make_portal(shop)
    drop_all(shop)


@pytest.fixture(scope="module")
def with_worker(
    mariadb_server: DatabaseServer, restic_path: Path, empty_repository: Path, migrated: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Portal]:  # fmt: skip
    """One for all tests of this module: a worker takes seconds to start."""
    folder = tmp_path_factory.mktemp("left")
    shop = make_restorable(mariadb_server)
    repository = copy_repository(empty_repository, folder / "repository")
    portal = Portal(folder / "portal", shop, restic_path, repository)
    shutil.copy(migrated, portal.database_file)
    assert portal.manage("bootstrap").code == 0
    with portal.worker():
        yield portal
    drop_all(shop)


def newest(portal: Portal) -> str:
    """The id of the snapshot that was made last."""
    return str(max(portal.snapshots(), key=lambda snapshot: str(snapshot["time"]))["id"])


def count(portal: Portal, action: str) -> int:
    """How many runs of this kind there were."""
    return len(portal.rows("SELECT id FROM backups_run WHERE action = ?", action))


def without_secrets(portal: Portal, *args: str) -> Ran:
    return portal.manage(*args, **NO_SECRETS)  # type: ignore[arg-type]


def test_a_backup_and_all_that_follows_it_is_played_by_the_worker(with_worker: Portal) -> None:
    portal = with_worker

    ran = without_secrets(portal, "backup", "--json")

    assert ran.code == 0, ran.err
    run = portal.run()
    assert (run["status"], run["trigger"], run["requested_by_id"]) == ("succeeded", "cli", None)
    assert ran.json["run_id"] == run["id"]
    assert ran.json["snapshot_id"] == newest(portal)
    assert "The secret env:RESTIC_PASSWORD" in ran.err
    assert f"The worker plays it, as run {run['id']}." in ran.err
    for line in portal.rows("SELECT text FROM backups_runline WHERE run_id = ?", run["id"]):
        assert line["text"].splitlines()[0] in ran.err
    followed = portal.rows("SELECT status FROM backups_run WHERE parent_id = ?", run["id"])
    assert {row["status"] for row in followed} == {"succeeded"}, "it waits for them, as it does here"

    listed = without_secrets(portal, "snapshots", "--json")
    assert ran.json["snapshot_id"] in [each["snapshot_id"] for each in listed.json["snapshots"]]
    verified = without_secrets(portal, "verify", "--json")
    assert (verified.code, verified.json["verdict"]) == (0, "identical"), verified.err
    stats = without_secrets(portal, "repository", "stats")
    assert stats.code == 0, stats.err
    pulses = portal.rows("SELECT cluster FROM backups_workerpulse")
    assert {row["cluster"] for row in pulses} == {"vedetta", "restores"}


# Above, a backup; below, a restore into a file; tests/browser/test_tasks.py has the worker replace and undo.
@pytest.mark.soak
def test_a_restore_and_its_undo_are_played_by_the_worker(with_worker: Portal) -> None:
    portal, shop = with_worker, with_worker.shop
    assert portal.backup().code == 0
    was = content(shop.server, shop.name)
    shop.server.load(LATER, shop.name)
    later = content(shop.server, shop.name)

    ran = without_secrets(portal, "restore", "--snapshot", "latest", "--replace", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert content(shop.server, shop.name) == was
    undone = without_secrets(portal, "undo_restore", "--json")
    assert undone.code == 0, undone.err
    assert content(shop.server, shop.name) == later


def test_a_file_is_written_where_the_worker_is_and_never_to_standard_output(with_worker: Portal) -> None:
    portal = with_worker
    assert portal.backup().code == 0
    restores = count(portal, "restore")
    there = portal.folder / "restored"

    written = without_secrets(portal, "restore", "--snapshot", "latest", "--output", str(there), "--json")
    nearby = without_secrets(portal, "restore", "--snapshot", "latest", "--output", "restored")
    streamed = without_secrets(portal, "restore", "--snapshot", "latest", "--output", "-")

    assert written.code == 0, written.err
    assert f"{there} is a folder where the worker runs." in written.err
    assert [str(file) for file in there.iterdir()] == [written.json["target"]]
    assert nearby.code == 2
    assert "a folder of the worker's machine" in nearby.err
    assert (streamed.code, streamed.out) == (1, "")
    assert "Run this where the worker runs" in streamed.err
    assert count(portal, "restore") == restores + 1


def test_what_fails_there_fails_here_with_its_sentence(with_worker: Portal) -> None:
    portal, shop = with_worker, with_worker.shop
    change = f"ALTER USER '{shop.user}'@'%%' IDENTIFIED BY %s"
    shop.query(change, ["another one"])
    try:
        ran = without_secrets(portal, "backup", "--json")
    finally:
        shop.query(change, [shop.password])

    assert ran.code == 1
    assert ran.json == {
        "status": "failed",
        "run_id": portal.run()["id"],
        "error": portal.run()["error"],
        "error_code": "mysql.access_denied",
    }


def test_ctrl_c_cancels_it_there_and_a_second_one_is_refused_meanwhile(with_worker: Portal) -> None:
    portal = with_worker
    with portal.shop.held("orders"):
        begun = portal.start("backup", "--json", **NO_SECRETS)  # type: ignore[arg-type]
        portal.shop.wait_for_a_waiting_dump()
        second = without_secrets(portal, "backup", "--json")
        begun.send_signal(signal.SIGINT)
        ran = portal.finish(begun)

    assert second.code == 3
    assert ran.code == 130
    assert portal.run()["status"] == "cancelled"
    assert ran.json["error"] == portal.run()["error"]
    assert "Ctrl-C once more leaves it" in ran.err


def test_ctrl_c_right_after_it_was_asked_for_leaves_nothing_behind(with_worker: Portal) -> None:
    """Between the row and whoever follows it, a Ctrl-C said "cancelled" of a backup that was then made."""
    portal = with_worker
    known = len(portal.snapshots())
    for _ in range(3):
        before = count(portal, "backup")
        begun = portal.start("backup", "--json", **NO_SECRETS)  # type: ignore[arg-type]
        wait_until(lambda: count(portal, "backup") > before, "the run", 60)  # noqa: B023
        begun.send_signal(signal.SIGINT)
        ran = portal.finish(begun)
        assert ran.code == 130
        wait_until(lambda: portal.run()["status"] == "cancelled", "the run to be cancelled", 60)
    assert len(portal.snapshots()) == known


def test_without_a_worker_it_is_told_and_nothing_waits(portal: Portal) -> None:
    ran = without_secrets(portal, "backup", "--json")

    assert ran.code == 1
    assert ran.seconds < 60
    assert ran.json["error_code"] == "secret.empty"
    for part in (
        "The secret env:RESTIC_PASSWORD",
        "No worker is there that could do it, so the run was taken out of the queue again.",
        "Or start the worker: `manage.py worker`.",
    ):
        assert part in ran.json["error"]
    # As one that was played here: whoever reads the alert knows that there is no backup.
    assert (portal.run()["status"], portal.run()["error"]) == ("failed", ran.json["error"])


# Above, the run is over before any worker comes.
@pytest.mark.soak
def test_what_was_taken_out_of_the_queue_is_played_by_no_worker_that_starts_later(portal: Portal) -> None:
    assert without_secrets(portal, "backup", "--json").code == 1

    with portal.worker():
        wait_until(lambda: portal.rows("SELECT id FROM backups_workerpulse"), "the worker to be there")
        assert portal.backup().code == 0
    assert [
        run["status"] for run in portal.rows("SELECT status FROM backups_run WHERE action = 'backup'")
    ] == [
        "failed",
        "succeeded",
    ]


def test_preflight_tells_what_the_worker_finds(with_worker: Portal) -> None:
    portal = with_worker

    ran = without_secrets(portal, "preflight", "--grants", "--json")

    here = portal.manage("preflight", "--grants", "--json")
    assert ran.code == here.code, ran.err
    assert [each["name"] for each in ran.json["checks"]] == [each["name"] for each in here.json["checks"]]
    assert set(ran.json) == set(here.json)
    assert ran.json["not_in_backup"] == here.json["not_in_backup"]
    assert isinstance(here.json["grants"], list)
    assert [ran.json[each] for each in ("grants", "lacking")] == [
        here.json[each] for each in ("grants", "lacking")
    ]
    assert "The worker looked at this" in ran.err


def test_preflight_without_a_worker_tells_what_is_missing_here(portal: Portal) -> None:
    ran = without_secrets(portal, "preflight", "--json")

    assert ran.code == 1
    restic = next(each for each in ran.json["checks"] if each["name"] == "restic")
    assert "The secret env:RESTIC_PASSWORD" in restic["detail"]
    assert len(ran.json["checks"]) > 5
