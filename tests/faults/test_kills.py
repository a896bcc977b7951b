"""Whoever takes part in a run is killed, at a random moment of it; then every promise is looked at.

VEDETTA_SEED draws who, when and how; VEDETTA_KILLS says how many (`make soak` makes it hundreds).
What is killed at exact moments: tests/actions/test_kills.py, tests/restoring/test_kills.py.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backups.worlds import children_of, command_of, wait_until
from tests.faults import promises
from tests.faults.killing import SEED, TALLY, Draw, Killing, draws, is_restic, kill_connections, lives
from tests.faults.promises import Seen
from tests.restoring.plays import Stage, kill, until_it_hits
from tests.restoring.stories import content, databases_of

pytestmark = pytest.mark.one_flavour("mariadb")


# Below, they are looked at after each kill.
@pytest.mark.soak
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
@pytest.mark.larger
def test_killed_at_a_random_moment(draw: Draw, verified: Stage) -> None:
    """Played again where the kill came after the end, and struck the earlier."""
    moments = (draw.moment / 2**late for late in itertools.count())
    until_it_hits(lambda: hit_and_judged(replace(draw, moment=next(moments)), verified))


def hit_and_judged(draw: Draw, stage: Stage) -> bool:
    """Whether the kill hit; all promises hold in either case."""
    portal = stage.portal
    before = Seen.of(portal)
    killing = Killing(stage, draw)

    played = killing.play()
    come_round(stage, draw.victim)
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
    if not played.hit:
        stage.put_back()
    return played.hit


# ---------------------------------------------------------------- At exact moments


@pytest.mark.parametrize(
    "victim",
    ["worker", *(pytest.param(victim, marks=pytest.mark.soak) for victim in ("server", "connection"))],
)
def test_killed_while_it_loads_straight_into_the_live_database(victim: str, verified: Stage) -> None:
    """Half of it is overwritten by then: the run says so, and the way back that it names works."""
    stage, shop = verified, verified.shop
    before = Seen.of(stage.portal)
    with shop.held("journal", "READ"):
        fork = stage.begin("play", doing="in_place", snapshot=stage.snapshot, target=shop.name)
        shop.wait_for_a_waiting_dump()
        assert stage.newest()["phase"] == "load"
        kill_at_work(stage, fork, victim)
        stage.end(fork)
    come_round(stage, victim)

    assert content(shop.server, shop.name) not in (stage.before, stage.restored)
    assert stage.newest()["status"] == ("lost" if victim == "worker" else "failed")
    overwritten_with_a_way_back(stage, None, before)


@pytest.mark.parametrize(
    "victim",
    ["worker", *(pytest.param(victim, marks=pytest.mark.soak) for victim in ("server", "connection"))],
)
def test_half_a_new_database_is_taken_away(victim: str, verified: Stage) -> None:
    stage, shop = verified, verified.shop
    target = f"{shop.name}_new"
    strike_in(
        "load", stage, "new", target,
        sign=lambda _: shop.server.query("SHOW TABLES", target),
        strike=lambda fork: kill_at_work(stage, fork, victim),
    )  # fmt: skip
    if victim == "server":
        assert f"{target} holds a part of the snapshot, and is dropped" in stage.newest()["error"]
    come_round(stage, victim)

    assert databases_of(shop) == [shop.name]
    assert stage.newest()["status"] == ("lost" if victim == "worker" else "failed")
    if victim == "worker":
        assert f"{target} was half loaded and is taken away" in stage.newest()["error"]


def test_new_database_that_died_does_not_stop_the_next_one(verified: Stage) -> None:
    """Not even before the reaper has come round."""
    stage, shop = verified, verified.shop
    target = f"{shop.name}_new"
    strike_in(
        "load", stage, "new", target,
        sign=lambda _: shop.server.query("SHOW TABLES", target), strike=lambda _: shop.server.kill(),
    )  # fmt: skip
    shop.server.start()
    # The server itself may have taken back the table that it was making.
    assert target in databases_of(shop)

    stage.do("play", doing="new", snapshot=stage.snapshot, target=target)

    assert stage.newest()["status"] == "succeeded", stage.newest()["error"]
    come_round(stage, "connection")
    assert content(shop.server, target) == stage.restored


def test_half_a_file_is_removed(verified: Stage) -> None:
    stage = verified
    folder = stage.portal.folder / "half"
    strike_in(
        "write", stage, "file", str(folder),
        sign=lambda _: folder.exists() and list(folder.iterdir()), strike=kill,
    )  # fmt: skip
    assert [file.suffix for file in folder.iterdir()] == [".partial"]

    come_round(stage, "worker")

    assert list(folder.iterdir()) == []
    assert stage.newest()["status"] == "lost"


# tests/actions/test_locks.py has such a lock removed.
@pytest.mark.soak
def test_restic_killed_while_it_is_read_leaves_no_lock(verified: Stage) -> None:
    """Neither for the reaper, which looks at lost runs alone, nor for a retention plan."""
    stage = verified
    strike_in(
        "write", stage, "file", str(stage.portal.folder / "dead"),
        sign=reading_restics, strike=lambda fork: kill(*reading_restics(fork)),
    )  # fmt: skip

    assert "restic was killed by signal 9" in stage.newest()["error"]
    promises.no_lock_left(stage.portal)


@pytest.mark.parametrize(
    "phase",
    [
        "load",
        *(
            pytest.param(each, marks=pytest.mark.soak)
            for each in ("preflight", "safety backup", "check", "prepare")
        ),
    ],
)
def test_cancelled_in_each_phase_of_a_replacement(phase: str, verified: Stage) -> None:
    stage = verified
    before = Seen.of(stage.portal)

    stage.do("restore", snapshot=stage.snapshot, cancel_in=phase, without_safety=phase != "safety backup")

    row = stage.newest()
    assert (row["status"], row["phase"]) == ("cancelled", phase)
    assert row["error"].startswith("Cancelled. The live database was not touched.")
    untouched(stage, None, before)
    promises.no_lock_left(stage.portal)


@pytest.mark.parametrize(
    ("by", "phase"),
    [
        ("kill", "heartbeat"),
        # tests/actions/test_backup.py and tests/restoring/test_commands.py stop commands.
        *(
            pytest.param(*each, marks=pytest.mark.soak)
            for each in (("stop", "confirm"), ("kill", "confirm"), ("stop", "heartbeat"))
        ),
    ],
)
def test_backup_cut_short_after_its_snapshot_does_not_deny_it(by: str, phase: str, verified: Stage) -> None:
    stage = verified
    before = Seen.of(stage.portal)

    if by == "kill":
        stage.do("play", doing="backup", snapshot=stage.snapshot, target="", struck_in=phase)
    else:
        stage.do("command", arguments=["backup", "--json"], struck_in=phase)
    stage.do("tend")

    run = stage.portal.run()
    assert run["status"] == {"kill": "lost", "stop": "cancelled"}[by]
    assert "Its snapshot was made" in run["error"]
    promises.what_it_said_is_true(stage.portal, run, before)
    assert len(promises.no_bad_snapshot(stage.portal, before.snapshots)) == 1
    promises.no_heartbeat_without_its_snapshot(stage.portal)


def strike_in(
    phase: str, stage: Stage, doing: str, target: str, *,
    sign: Callable[[int], object], strike: Callable[[int], object],
) -> None:  # fmt: skip
    """Strike as soon as there is a sign of the phase; played again where the run went on to its end."""

    def hit() -> bool:
        last = stage.newest()["id"]
        fork = stage.begin("play", doing=doing, snapshot=stage.snapshot, target=target)
        stage.wait_for_phase(phase, last)
        while lives(fork) and not sign(fork):
            time.sleep(0.002)
        strike(fork)
        stage.end(fork)
        row = stage.newest()
        if row["phase"] == phase and row["status"] != "succeeded":
            return True
        stage.stand_up()
        stage.put_back()
        shutil.rmtree(target, ignore_errors=True)
        return False

    until_it_hits(hit)


def reading_restics(fork: int) -> list[int]:
    """What reads a snapshot for a fork."""
    commands = {child: command_of(child) for child in children_of(fork)}
    return [child for child, command in commands.items() if is_restic(command) and " dump " in command]


def kill_at_work(stage: Stage, fork: int, victim: str) -> None:
    """SIGKILL to the run's worker, the server, or the end of the connections that load."""
    if victim == "worker":
        kill(fork)
    elif victim == "server":
        stage.shop.server.kill()
    else:
        wait_until(lambda: kill_connections(stage.shop) or not lives(fork), "a connection that loads")


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


def come_round(stage: Stage, victim: str) -> None:
    """What happens by itself within minutes: the server is started again, the reaper goes round."""
    server = stage.portal.shop.server
    if victim == "server":
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


def untouched(stage: Stage, _killing: Killing | None, before: Seen) -> None:
    promises.live_untouched(stage.portal, before)
    assert databases_of(stage.portal.shop) == list(before.databases)


def written_whole_or_not_at_all(stage: Stage, killing: Killing, before: Seen) -> None:
    promises.live_untouched(stage.portal, before)
    folder = Path(killing.target)
    found = list(folder.iterdir()) if folder.exists() else []
    for file in found:
        wrong = promises.what_is_wrong_with(file.read_bytes())
        assert not wrong, f"{file.name} was left and {wrong}"
    assert found or stage.newest()["status"] != "succeeded", "the run says that it wrote a file"
    shutil.rmtree(folder, ignore_errors=True)


def loaded_whole_or_not_at_all(stage: Stage, killing: Killing, before: Seen) -> None:
    promises.live_untouched(stage.portal, before)
    if stage.newest()["status"] == "succeeded":
        assert content(stage.portal.shop.server, killing.target) == stage.restored
    elif killing.target in databases_of(stage.portal.shop):  # all done but for saying so
        assert content(stage.portal.shop.server, killing.target) == stage.restored, "half a database was left"


def replaced_whole_or_not_at_all(stage: Stage, _killing: Killing, _before: Seen) -> None:
    stage.judge()


def overwritten_with_a_way_back(stage: Stage, _killing: Killing | None, before: Seen) -> None:
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
    run = stage.portal.run()
    assert run["status"] == "succeeded", f"the way back was not gone: {run['error']}"
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
