"""What must hold whatever broke, whenever it broke: the promises, as assertions.

Each looks at the real thing (the repository through restic, the server, the files, the portal's
own rows) and says in its message which promise was broken. Call `reap` before those that the
reaper is given a minute for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backups.actions.steps.sections import differing_sections
from backups.dumpfile.digesting import Digester
from tests.backups.worlds import Portal, Shop, wait_until
from tests.restoring.plays import difference
from tests.restoring.stories import content, databases_of

OURS = ("__restore_", "__verify_")


@dataclass(frozen=True)
class Seen:
    """A portal and its database as they are at a moment, to compare with later."""

    snapshots: frozenset[str]
    heartbeat: datetime | None
    live: list[bytes]
    databases: tuple[str, ...]

    @classmethod
    def of(cls, portal: Portal) -> Seen:
        """What is there now."""
        return cls(
            frozenset(snapshot["id"] for snapshot in portal.snapshots()),
            portal.heartbeat(),
            content(portal.shop.server, portal.shop.name),
            tuple(databases_of(portal.shop)),
        )


def reap(portal: Portal) -> None:
    """What the worker does every minute."""
    portal.shell("from backups.worker import reaper; reaper.run()")


def no_bad_snapshot(portal: Portal, known: Collection[str] = ()) -> list[str]:
    """Every snapshot that is not `known` holds, byte for byte, what was dumped; gives their ids."""
    made = [snapshot for snapshot in portal.snapshots() if snapshot["id"] not in known]
    for snapshot in made:
        (path,) = snapshot["paths"]
        if not path.startswith("/mysql/"):
            continue  # a copy of the portal's own database
        wrong = what_is_wrong_with(portal.restic("dump", "--no-lock", snapshot["id"], path))
        assert not wrong, f"there is a snapshot that does not verify: {snapshot['id'][:8]} {wrong}"
    return [snapshot["id"] for snapshot in made]


def what_is_wrong_with(dump: bytes) -> str:
    """Why a plain dump is not what its own manifest says; empty for a good one."""
    digester = Digester()
    for _ in digester.feed(dump):
        pass
    for _ in digester.close():
        pass
    if not digester.is_complete:
        return "has no closing line"
    manifest = digester.manifest()
    if manifest is None:
        return "has no manifest"
    if differing_sections(manifest["sections"], digester.sections(manifest["collations"]), ""):
        return "does not hold what its manifest says"
    return ""


def no_heartbeat_without_its_snapshot(portal: Portal) -> None:
    """The gate is never told of a backup that is not in the repository."""
    told = portal.heartbeat()
    if told is None:
        return
    times = [datetime.fromisoformat(snapshot["time"]) for snapshot in portal.snapshots()]
    assert times, f"a heartbeat of {told}, and no snapshot"
    assert told <= max(times), f"a heartbeat of {told}, newer than the newest snapshot of {max(times)}"


def live_untouched(portal: Portal, before: Seen, told: str = "") -> None:
    """Not a row, not a definition of the live database changed."""
    now = content(portal.shop.server, portal.shop.name)
    assert now == before.live, f"the live database changed: {difference(now, before.live)} {told}"


def no_run_left(portal: Portal) -> None:
    """After the reaper no run is queued or running that nobody plays."""
    sql = "SELECT id, action, phase, status FROM backups_run WHERE status IN ('queued', 'running')"
    left = portal.rows(sql)
    assert left == [], f"runs were left unfinished: {left}"


def no_process_left(portal: Portal, spared: Collection[int] = (), seconds: float = 15) -> None:
    """What a dead run had started ends with it. `spared` are the test's own."""

    def left() -> list[str]:
        return [command for pid, command in portal.processes().items() if pid not in spared]

    try:
        wait_until(lambda: not left(), "", seconds)
    except AssertionError:
        raise AssertionError(f"processes were left: {left()}") from None


def no_lock_left(portal: Portal, seconds: float = 15) -> None:
    """No lock in the repository (a local one) stops who comes next.

    One whose process number somebody else has by now, or that is not reaped yet, restic takes for a live
    one's. Whoever is stopped by it has restic look again, as happens here. On a machine that starts some
    dozen processes a second, numbers come round within minutes: such a lock is left to restic.
    """
    of_others: set[str] = set()

    def left() -> list[str]:
        files = (Path(portal.repository) / "locks").iterdir()
        # restic passes over the file of one that was killed while writing its lock.
        return [lock.name for lock in files if "-tmp-" not in lock.name and lock.name not in of_others]

    def none_is_left() -> bool:
        there = left()
        for lock in there:
            found = json.loads(portal.restic("cat", "lock", lock, "--no-lock"))
            pid, made = found["pid"], datetime.fromisoformat(found["time"])
            assert Path(f"/proc/{pid}").exists(), f"lock {lock[:8]} is of process {pid}, which is gone"
            if (began := _began(pid)) is not None and began > made + timedelta(seconds=2):
                of_others.add(lock)
        if there:
            portal.restic("unlock")
        return not left()

    try:
        wait_until(none_is_left, "", seconds)
    except AssertionError:
        raise AssertionError(f"locks were left in the repository: {left()}") from None


def _began(pid: int) -> datetime | None:
    """When a process began, to the second; None where it is gone. proc(5): field 22 of /proc/PID/stat."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None
    lines = Path("/proc/stat").read_text().splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return datetime.fromtimestamp(booted + ticks / os.sysconf("SC_CLK_TCK"), UTC)


def no_database_left(shop: Shop, allowed: Collection[str] = ()) -> None:
    """After the reaper there is no scratch or shadow database on the server."""
    left = [name for name in databases_of(shop) if any(mark in name for mark in OURS) and name not in allowed]
    assert left == [], f"scratch or shadow databases were left: {left}"


def what_it_said_is_true(portal: Portal, run: dict[str, object], before: Seen) -> None:
    """A run that says that nothing was made or written was right."""
    error = str(run["error"])
    if "No snapshot was made" in error:
        made = [s["id"] for s in portal.snapshots() if s["id"] not in before.snapshots]
        assert made == [], f"a snapshot was made, and the run says: {error}"
    if "o heartbeat was written" in error:
        assert portal.heartbeat() == before.heartbeat, f"a heartbeat was written, and the run says: {error}"


def next_backup_succeeds(portal: Portal) -> str:
    """Whatever happened, the next backup is good and tells the gate; gives its snapshot."""
    known = [snapshot["id"] for snapshot in portal.snapshots()]
    ran = portal.backup()
    assert ran.code == 0, f"the next backup failed: {ran.out}\n{ran.err}"
    made = no_bad_snapshot(portal, known)
    assert made == [ran.json["snapshot_id"]], f"the next backup made {made}"
    assert portal.heartbeat() is not None, "the next backup wrote no heartbeat"
    return made[0]
