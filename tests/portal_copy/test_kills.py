"""Whoever copies the portal is killed in the middle of it: nobody recovers from half a copy.

The portal's history is made long, and restic's source is stopped with some of it on its way, so
that "in the middle" is exact.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.actions.test_kills import locks, queue_a_backup, worker_of
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, children_of, command_of, wait_until
from tests.faults import promises

# Megabytes that do not compress: more than pipes and restic's buffers hold.
LONG = """
import os
from backups.models import Run, RunLine
run = Run.objects.earliest("pk")
lines = [RunLine(run=run, at=run.queued_at, text=os.urandom(1 << 19).hex()) for _ in range(40)]
RunLine.objects.bulk_create(lines, batch_size=5)
"""


def of_copy(command: str) -> bool:
    """Whether a command line is that of the restic that stores the copy."""
    return Path(command.split(" ", 1)[0]).name == "restic" and "/portal/" in command


def source_of_copy(command: str) -> bool:
    return Path(command.split(" ", 1)[0]).name == "cat" and "/dev/fd/" in command


def copy_under_way(portal: Portal, after: int) -> dict[str, Any] | None:
    """The newest run that copies the portal, once somebody plays it."""
    sql = "SELECT * FROM backups_run WHERE action = 'portal' AND status = 'running' AND id > ?"
    return next(iter(portal.rows(sql, after)), None)


def found_below(pid: int, is_it: Callable[[str], bool]) -> int | None:
    return next((child for child in children_of(pid) if is_it(command_of(child))), None)


def copies_in(portal: Portal) -> list[str]:
    """The snapshots of the portal itself."""
    return [snapshot["id"] for snapshot in portal.snapshots() if "portal" in snapshot["tags"]]


def recovered(portal: Portal, make_portal: MakePortal) -> str:
    """What `recover` says on an empty machine with the same repository."""
    new = make_portal(portal.shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--history-only")
    assert ran.code == 0, ran.err
    return ran.out


LOST = "The worker died in the middle of this run"
SAID = {
    ("restic", "worker"): LOST,
    ("source",): "whose output restic was to store did not end well",
    ("worker",): LOST,
    ("restic",): "restic was killed by signal 9",
    ("restic", "source", "worker"): LOST,
}
# Whose restic lives on, and would store the half that it was given.
ALWAYS = [("source",)]


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(victims, id="+".join(victims), marks=() if victims in ALWAYS else (pytest.mark.soak,))
        for victims in SAID
    ],
)
def test_killed_in_the_middle_of_the_copy(
    victims: tuple[str, ...], portal: Portal, make_portal: MakePortal
) -> None:
    portal.shell(LONG)
    known = copies_in(portal)
    with portal.worker() as worker:
        run_id = queue_a_backup(portal)
        copy = wait_until(lambda: copy_under_way(portal, run_id), "the copy to begin")
        source = wait_until(lambda: found_below(worker.pid, source_of_copy), "the copy on its way")
        os.kill(source, signal.SIGSTOP)
        restic = found_below(worker.pid, of_copy)
        assert restic is not None
        pids = {"worker": worker_of(portal, copy["id"]), "restic": restic, "source": source}
        # Stopped first, who is to die later has no time to put anything in order.
        for name in victims:
            os.kill(pids[name], signal.SIGSTOP)
        for name in victims:
            os.kill(pids[name], signal.SIGKILL)
        if "source" not in victims:
            os.kill(source, signal.SIGCONT)
        wait_until(lambda: portal.run(copy["id"])["status"] not in ("queued", "running"), "its end", 60)
        wait_until(lambda: not locks(portal), "the lock to be cleared", 60)
        wait_until(lambda: not found_below(worker.pid, of_copy), "restic to end", 10)

    ended = portal.run(copy["id"])
    print(victims, ended["status"], ended["phase"], ended["error"])
    assert ended["status"] == ("lost" if "worker" in victims else "failed")
    assert SAID[victims] in ended["error"]
    assert portal.run(run_id)["status"] == "succeeded"
    assert portal.heartbeat() is not None
    assert copies_in(portal) == known
    assert "was restored: 4 runs" in recovered(portal, make_portal)
    assert portal.backup().code == 0
    assert len(copies_in(portal)) == len(known) + 1
    assert "cannot be used" not in recovered(portal, make_portal)
    promises.no_run_left(portal)
    promises.no_lock_left(portal)
    promises.no_process_left(portal)
