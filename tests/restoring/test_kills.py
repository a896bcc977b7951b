"""Killing whoever takes part in a replacement, at any moment: the database is whole afterwards.

Wholly as before or wholly restored, the run says which, nothing is left behind, the way back works.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import MySQLdb
import pytest

from tests.backups.worlds import children_of, command_of, wait_until
from tests.restoring.plays import Stage, kill, until_it_hits

pytestmark = pytest.mark.one_flavour("mariadb")

SEED = 20261123
# `make soak` draws hundreds, in an order of its own each time.
UNDO_KILLS = int(os.environ.get("VEDETTA_UNDO_KILLS", "1"))
UNDO_SEED = os.environ.get("VEDETTA_SEED", str(SEED))


@pytest.fixture(autouse=True)
def _outcomes(stage: Stage, request: pytest.FixtureRequest) -> Iterator[None]:
    stage.outcomes.clear()
    stage.here = "before"
    yield
    kills = sum(stage.outcomes.values())
    print(f"\n{stage.shop.server.flavour} {request.node.name}: {kills} kills: {dict(stage.outcomes)}")


# ---------------------------------------------------------------- Inside the swap


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.soak), 23])
def test_killed_before_and_after_the_steps_of_a_swap(stride: int, stage: Stage) -> None:
    """An undo is a swap like any other, without the seconds of restic before it."""
    stage.restore_in_full()
    for at in range(1, 200, stride):
        stage.do("undo", at=at)
        if stage.newest()["status"] == "succeeded":
            stage.here = "before" if stage.here == "restored" else "restored"
            break
        stage.judge()
    assert sum(stage.outcomes.values()) >= 30 // stride
    assert set(stage.outcomes) == {"lost, as before", "lost, restored"}
    stage.back_to_before()


# Above, an undo is killed at some of its steps, which is judged in the same way.
@pytest.mark.soak
@pytest.mark.larger
@pytest.mark.timeout(300 + 60 * UNDO_KILLS)
def test_killed_in_an_undo_and_in_the_one_after_it(stage: Stage) -> None:
    """Restored twice; whoever dies, undone twice it is what it was at first, and at no time empty."""
    chance = random.Random(f"{UNDO_SEED} {stage.shop.server.flavour} undos")
    began = stage.strikes()
    while stage.strikes() - began < UNDO_KILLS:
        states = [stage.before]
        for text in ("of the first", "of the second"):
            stage.restore_in_full()
            stage.shop.execute(f"INSERT INTO journal (what) VALUES ('{text}')")
            stage.shop.execute("CREATE VIEW later AS SELECT id FROM above")
            states.append(stage.content())
        for wanted, was in ((states[1], states[2]), (states[0], states[1])):
            outcome = ""
            while outcome != "restored":
                stage.undo_struck(chance)
                outcome = stage.assert_whole(was, wanted)
        stage.here = "before"
        assert stage.content() == stage.before
        stage.back_to_before()
        assert stage.shop.query("SELECT COUNT(*) FROM parcels") == [(1,)]


@pytest.mark.larger
def test_server_killed_inside_the_swap(stage: Stage) -> None:
    server = stage.shop.server
    stage.restore_in_full()
    moments = (4, 13, 17, 24)
    for at in moments if "VEDETTA_SOAK" in os.environ else moments[2:3]:
        struck = stage.strikes()
        stage.do("undo", at=at, victim=server.pid)
        assert stage.strikes() == struck + 1, f"nothing was struck at step {at}"
        server.kill()
        stage.do("tend")  # finds no server, and tries again later
        server.start()
        stage.judge()
    stage.back_to_before()


@pytest.mark.soak
@pytest.mark.larger
def test_reaper_killed_while_it_ends_a_swap(stage: Stage) -> None:
    stage.restore_in_full()
    moments = ((9, 1), (13, 3), (14, 6), (20, 9), (28, 12))
    for at, then in moments if "VEDETTA_SOAK" in os.environ else moments[1::2]:
        struck = stage.strikes()
        stage.do("undo", at=at)
        stage.do("tend", at=then)
        assert stage.strikes() == struck + 2, f"not both were struck, at the steps {at} and {then}"
        stage.judge()
    stage.back_to_before()


def test_rename_that_waits_for_a_lock_dies_with_its_worker(stage: Stage) -> None:
    """Else it would go through long after the swap was rolled back."""
    server = stage.shop.server
    last = stage.newest()["id"]
    connection = MySQLdb.connect(
        host=server.host, port=server.port, user=server.user, password=server.password,
        database=stage.shop.name,
    )  # fmt: skip
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM parcels")
        pid = stage.begin("restore", snapshot=stage.snapshot, without_safety=True)
        assert stage.wait_for_phase("swap", last)
        wait_until(
            lambda: server.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME T%'"),
            "the RENAME to wait",
        )
        kill(pid)
        stage.end(pid)
        stage.do("tend")
    time.sleep(0.5)
    assert stage.judge() == "as before"


# ---------------------------------------------------------------- Before the swap, and whoever

PHASES = ("preflight", "safety backup", "load", "check", "prepare", "swap")
VICTIMS: dict[str, Callable[[str], bool]] = {
    "restic": lambda command: "restic" in command and " dump " in command,
    "dump program": lambda command: "--no-data" in command,
}


# Two of the others have something that has to be taken back: above, a swap; below, the server dies in a load.
@pytest.mark.parametrize(
    "phase",
    [each if each == "safety backup" else pytest.param(each, marks=pytest.mark.soak) for each in PHASES],
)
def test_worker_killed_in_each_phase(phase: str, stage: Stage) -> None:
    def strike() -> bool:
        last = stage.newest()["id"]
        pid = stage.begin("restore", snapshot=stage.snapshot, without_safety=phase != "safety backup")
        stage.wait_for_phase(phase, last)
        kill(pid)
        stage.end(pid)
        return was_in(phase, stage)

    until_it_hits(strike)


# tests/actions/test_kills.py kills them in a backup, tests/actions/test_unreadable.py in a verification.
@pytest.mark.soak
def test_programs_killed_while_they_work(stage: Stage) -> None:
    for is_it in VICTIMS.values():
        until_it_hits(lambda is_it=is_it: program_struck(is_it, stage))  # type: ignore[misc]


def program_struck(is_it: Callable[[str], bool], stage: Stage) -> bool:
    pid = stage.begin("restore", snapshot=stage.snapshot, without_safety=True)
    struck = False
    while not struck and Path(f"/proc/{pid}").exists():
        for child in children_of(pid):
            command = command_of(child)
            if is_it(command) and "setpriv" not in command:
                kill(child)
                struck = True
    stage.end(pid)
    # A program that had done its work is missed by nobody.
    hit = struck and stage.newest()["status"] == "failed"
    judge_and_go_back(stage)
    return hit


@pytest.mark.parametrize("phase", ["load", pytest.param("prepare", marks=pytest.mark.soak)])
@pytest.mark.soak
def test_server_killed_before_the_swap(phase: str, stage: Stage) -> None:
    def strike() -> bool:
        last = stage.newest()["id"]
        pid = stage.begin("restore", snapshot=stage.snapshot, without_safety=True)
        stage.wait_for_phase(phase, last)
        stage.shop.server.kill()
        stage.end(pid)
        stage.shop.server.start()
        return was_in(phase, stage)

    until_it_hits(strike)


def was_in(phase: str, stage: Stage) -> bool:
    """Whether the run that was struck ended in this phase; judges it, and goes back."""
    row = stage.newest()
    judge_and_go_back(stage)
    return bool(row["phase"] == phase and row["status"] != "succeeded")


def judge_and_go_back(stage: Stage) -> None:
    if stage.judge() == "restored":
        stage.back_to_before()


@pytest.mark.soak
def test_worker_killed_at_random_moments(stage: Stage) -> None:
    chance = random.Random(f"{SEED} {stage.shop.server.flavour}")
    began = time.monotonic()
    stage.restore_in_full()
    usual = time.monotonic() - began
    stage.back_to_before()
    hits = 0
    for _ in range(6):
        last = stage.newest()["id"]
        pid = stage.begin("restore", snapshot=stage.snapshot, without_safety=True)
        wait_until(lambda last=last: stage.newest()["id"] > last, "the run")  # type: ignore[misc]
        time.sleep(chance.uniform(0, usual))
        kill(pid)
        stage.end(pid)
        hits += stage.newest()["status"] == "running"
        judge_and_go_back(stage)
    assert hits >= 3, f"of 6 kills only {hits} hit a run"
    stage.restore_in_full()
    stage.back_to_before()
