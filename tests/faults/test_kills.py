"""Whoever takes part in a run is killed, at a random moment of it; then every promise is looked at.

VEDETTA_SEED draws who, when and how; VEDETTA_KILLS says how many (`make soak` makes it hundreds).
What is killed at exact moments: tests/backups/test_kills.py, tests/restore/test_kills.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import promises
from tests.faults.killing import SEED, TALLY, Draw, Killing, draws
from tests.faults.promises import Seen
from tests.restore.plays import Stage
from tests.restore.stories import content, databases_of

USUAL_SECONDS: dict[str, float] = {}


def test_nothing_broke_and_all_promises_hold(stage: Stage) -> None:
    """The promises themselves, seen to hold where nothing happened."""
    portal = stage.portal
    before = Seen.of(portal)

    promises.next_backup_succeeds(portal)
    promises.reap(portal)

    assert promises.no_bad_snapshot(portal)
    promises.no_heartbeat_without_its_snapshot(portal)
    promises.live_untouched(portal, before)
    promises.no_run_left(portal)
    promises.no_lock_left(portal)
    promises.no_database_left(portal.shop)


@pytest.mark.parametrize(
    ("stage", "draw"),
    [pytest.param(draw.flavour, draw, id=f"{draw.flavour}-{draw}") for draw in draws()],
    indirect=["stage"],
    scope="module",  # else pytest takes the stage for one that is made anew each time
)
def test_killed_at_a_random_moment(draw: Draw, verified: Stage) -> None:
    stage, portal = verified, verified.portal
    before = Seen.of(portal)
    killing = Killing(stage, draw)

    played = killing.play(USUAL_SECONDS)
    come_round(stage, draw)
    run = portal.run(played.run_id)
    TALLY.count(played, run["status"])
    told = f"(seed {SEED}, {draw}, in {played.phase or 'nothing: too late'}; {run['status']}: {run['error']})"
    print(told)

    promises.no_run_left(portal)
    promises.no_lock_left(portal)
    promises.no_database_left(portal.shop)
    promises.no_bad_snapshot(portal, before.snapshots)
    promises.no_heartbeat_without_its_snapshot(portal)
    for each in portal.rows("SELECT * FROM backups_run WHERE id >= ?", played.run_id):
        promises.what_it_said_is_true(portal, each, before)
    if played.hit and draw.victim in ("portal", "gate"):
        assert run["status"] == "succeeded", f"killing the {draw.victim} broke a run {told}"
    AFTERWARDS[draw.doing](stage, killing, before)
    the_next_backup_succeeds(stage)


@pytest.fixture
def verified(stage: Stage) -> Iterator[Stage]:
    """The stage, with a verified snapshot that every forget keeps, and put back as it was afterwards."""
    if not stage.portal.rows("SELECT 1 FROM backups_snapshot WHERE verified_at IS NOT NULL"):
        stage.do("play", doing="verify", snapshot=stage.snapshot, target="")
        assert (
            stage.portal.rows("SELECT status FROM backups_run ORDER BY id DESC")[0]["status"] == "succeeded"
        )
        stage.save()
    yield stage
    stage.put_back()


def come_round(stage: Stage, draw: Draw) -> None:
    """What happens by itself within minutes: the server is started again, the reaper goes round."""
    server = stage.portal.shop.server
    if draw.victim == "server":
        stage.do("tend")  # finds no server, and tries again later
        server.stop()
        server.start()
    promises.no_process_left(stage.portal, spared=[stage.pid])
    for _ in range(2):  # a child is given up once its parent is
        stage.do("tend")


def the_next_backup_succeeds(stage: Stage) -> None:
    """Played by the warm process, which spares a second each time."""
    known = [snapshot["id"] for snapshot in stage.portal.snapshots()]
    stage.do("play", doing="backup", snapshot=stage.snapshot, target="")
    run = stage.portal.run()
    assert run["status"] == "succeeded", f"the next backup did not succeed: {run['error']}"
    assert len(promises.no_bad_snapshot(stage.portal, known)) == 1, "the next backup made no snapshot"


# ---------------------------------------------------------------- What the run was to change


def untouched(stage: Stage, _killing: Killing, before: Seen) -> None:
    promises.live_untouched(stage.portal, before)
    assert databases_of(stage.portal.shop) == list(before.databases)


def written_whole_or_not_at_all(stage: Stage, killing: Killing, before: Seen) -> None:
    promises.live_untouched(stage.portal, before)
    folder = Path(killing.target)
    found = list(folder.iterdir()) if folder.exists() else []
    for file in found:
        wrong = promises.what_is_wrong_with(file.read_bytes())
        assert not wrong, f"{file.name} was left and {wrong}"
    assert bool(found) == (stage.newest()["status"] == "succeeded"), "the run does not say whether it wrote"
    shutil.rmtree(folder, ignore_errors=True)


def loaded_whole_or_not_at_all(stage: Stage, killing: Killing, before: Seen) -> None:
    promises.live_untouched(stage.portal, before)
    if stage.newest()["status"] == "succeeded":
        assert content(stage.portal.shop.server, killing.target) == stage.restored
    else:
        assert databases_of(stage.portal.shop) == list(before.databases), "half a database was left"


def replaced_whole_or_not_at_all(stage: Stage, _killing: Killing, _before: Seen) -> None:
    stage.judge()


def overwritten_with_a_way_back(stage: Stage, _killing: Killing, before: Seen) -> None:
    """Straight into the database there is no other promise: it says so, and what was is in a snapshot."""
    row = stage.newest()
    if row["status"] == "succeeded":
        return
    if content(stage.portal.shop.server, stage.portal.shop.name) == before.live:
        return
    assert row["phase"] == "load", f"overwritten in {row['phase']}: {row['error']}"
    assert "partly overwritten" in row["error"], f"overwritten, and the run says: {row['error']}"
    (saved,) = stage.portal.rows("SELECT snapshot_id FROM backups_snapshot WHERE id = ?", row["saved"])
    assert saved["snapshot_id"][:8] in row["error"], f"the way back is not told: {row['error']}"
    stage.do("play", doing="replace", snapshot=saved["snapshot_id"], target=stage.portal.shop.name)
    promises.live_untouched(stage.portal, before, "by the way back")


AFTERWARDS = {
    "backup": untouched,
    "verify": untouched,
    "forget": untouched,
    "check": untouched,
    "file": written_whole_or_not_at_all,
    "new": loaded_whole_or_not_at_all,
    "replace": replaced_whole_or_not_at_all,
    "in_place": overwritten_with_a_way_back,
}
