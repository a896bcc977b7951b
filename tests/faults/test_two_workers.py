"""Two workers, one of which is killed: nothing that waits is stuck, and nothing is done twice.

VEDETTA_SEED draws whom the kill strikes and when; VEDETTA_KILLS says how many (`make soak` makes it 200).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, children_of, wait_until
from tests.faults import promises
from tests.faults.killing import KILLS, SEED
from tests.faults.test_scheduler import DONE, enqueue, worker
from tests.servers import Server

# From the kill on; a dead process of the same machine is noticed within seconds.
NONE_STUCK_SECONDS = 90
MAKE = """
from django.forms.models import model_to_dict
from backups.models import Database, Server
first = Database.objects.get()
at_address = first.server
fields = model_to_dict(at_address, exclude=['id', 'name', 'host'])
at_socket = Server.objects.create(name='socket', host={socket!r}, **fields)
for number in range({count} - 1):
    first.pk, first.name, first.is_primary = None, f'copy{{number}}', False
    first.server = at_socket if number % 2 == 0 else at_address
    first.save()
"""
ASK = """
from backups.models import Database
from backups.requests import Asker, BackupRequest
for database in Database.objects.all():
    print(BackupRequest(database).submit(Asker('schedule')).pk)
"""
VICTIMS = ("worker", "cluster", "process")
# Each with a portal of its own, so that they are spread over the machine's cores.
PARTS = 10


@dataclass
class Pair:
    """Two workers of a portal, each of which does one run at a time."""

    portal: Portal
    stack: ExitStack
    workers: list[Server] = field(default_factory=list)

    def begin(self) -> None:
        """Have both run."""
        for number, name in enumerate(("one", "two")):
            if number < len(self.workers) and self.workers[number].running:
                continue
            (self.portal.folder / f"{name}.log").unlink(missing_ok=True)
            begun = self.stack.enter_context(worker(self.portal, name, RUNS_AT_ONCE="1"))
            self.workers[number:] = [begun, *self.workers[number + 1 :]]

    def kill(self, victim: str, chance: random.Random) -> None:
        """Strike one of them: all of its processes, those of a cluster, or the one that does a run."""
        struck = chance.choice(self.workers)
        inside = [struck.pid, *children_of(struck.pid)]
        playing = [int(run["worker"].split(":")[1]) for run in under_way(self.portal) if run["worker"]]
        if victim == "process" and (ours := [pid for pid in playing if pid in inside]):
            inside = [chance.choice(ours)]
        elif victim == "cluster":
            # Not the worker itself, which begins it again.
            inside = [pid for pid in inside if pid != struck.pid]
        for pid in inside:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victim == "worker":
            struck.kill()


def under_way(portal: Portal) -> list[dict[str, Any]]:
    return portal.rows("SELECT * FROM backups_run WHERE status IN ('queued', 'running')")


def set_up(portal: Portal, count: int) -> None:
    portal.shell(MAKE.format(socket=str(portal.shop.server.socket), count=count))


@pytest.fixture
def pair(mariadb_shop: Shop, make_portal: MakePortal) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(make_portal(mariadb_shop), stack)


@pytest.mark.parametrize("count", [6, pytest.param(12, marks=pytest.mark.soak)])
def test_a_worker_that_is_killed_keeps_no_run_waiting(pair: Pair, count: int) -> None:
    set_up(pair.portal, count)

    killed_and_judged(pair, "worker", random.Random(SEED))


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_holds_however_often_one_of_two_workers_is_killed(pair: Pair, part: int) -> None:
    chance = random.Random(f"{SEED} {part}")
    set_up(pair.portal, 4)
    for number in range(-(-KILLS // PARTS) or 1):
        victim = VICTIMS[number % len(VICTIMS)]
        print(f"kill {number} (seed {SEED}): {victim}")
        killed_and_judged(pair, victim, chance)


def killed_and_judged(pair: Pair, victim: str, chance: random.Random) -> None:
    """Ask for a backup of each database, kill in the middle, and look at all that was promised."""
    portal = pair.portal
    known = len(portal.snapshots())
    pair.begin()
    asked = [int(line) for line in portal.shell(ASK).split()]
    numbers = ", ".join(map(str, asked))

    def runs() -> list[dict[str, Any]]:
        return portal.rows(f"SELECT * FROM backups_run WHERE id IN ({numbers})")

    wait_until(lambda: any(run["status"] != "queued" for run in runs()), "the first one to begin")
    before = chance.randrange(len(asked) // 2)
    wait_until(lambda: sum(run["status"] in DONE for run in runs()) >= before, "some of them")
    time.sleep(chance.random())
    pair.kill(victim, chance)
    wait_until(lambda: not under_way(portal), "all that waits", NONE_STUCK_SECONDS)

    lost = [run for run in runs() if run["status"] == "lost"]
    assert len(lost) <= 1, [run["error"] for run in lost]
    assert all(run["error"].startswith("The worker died in the middle of this run") for run in lost)
    assert {run["status"] for run in runs()} <= {"succeeded", "lost"}
    promises.reap(portal)
    promises.no_run_left(portal)
    promises.no_lock_left(portal)
    promises.no_heartbeat_without_its_snapshot(portal)
    made = portal.rows(f"SELECT made_by_id FROM backups_snapshot WHERE made_by_id IN ({numbers})")
    assert len({row["made_by_id"] for row in made}) == len(made), "a run was done twice"
    assert len(asked) - len(lost) <= len(portal.snapshots()) - known <= len(asked)


def test_a_backup_that_outlives_its_message_is_one_backup(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    """The message is sent again and again meanwhile, and wakes whoever is free."""
    portal = make_portal(mariadb_shop)
    short = {"DJANGO_SETTINGS_MODULE": "tests.faults.short_messages"}
    dumping = (
        "SELECT COUNT(DISTINCT ID) FROM information_schema.PROCESSLIST WHERE USER = %s AND STATE LIKE %s"
    )

    with worker(portal, "one", **short), worker(portal, "two", **short), mariadb_shop.held("orders"):
        run = enqueue(portal)
        mariadb_shop.wait_for_a_waiting_dump()
        wait_until(lambda: not portal.rows("SELECT 1 FROM django_q_ormq"), "the message to be used up", 30)
        time.sleep(3)
        waiting = [mariadb_shop.user, "Waiting for table%"]
        assert mariadb_shop.query(dumping, waiting) == [(1,)]
        assert portal.run(run)["status"] == "running"
        runs = portal.rows("SELECT 1 FROM backups_run WHERE action = 'backup'")

    assert len(runs) == 1
