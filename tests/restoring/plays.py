"""A stage for runs that are killed: a portal whose warm process plays them, and what must hold then."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import MySQLdb

from tests.backups.worlds import PROJECT, SHOP, Portal, copy_repository, wait_until, with_group_killed
from tests.restoring.stories import LATER, content, databases_of, dump_of, make_restorable
from tests.servers import DatabaseServer, Flavour

# Enough rows for the load to last; views upon views, and what stands on them.
MORE = """
CREATE TABLE digits (d INT PRIMARY KEY);
INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
CREATE TABLE big (id INT PRIMARY KEY, t CHAR(100) NOT NULL, KEY (t));
INSERT INTO big SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d, SHA2(a.d + 10 * b.d + 100 * c.d, 256)
  FROM digits a, digits b, digits c, digits d;
CREATE VIEW above AS SELECT id FROM open_orders WHERE id > 1;
"""

# Some steps of an undo are beyond it, so that some undos pass unharmed.
LAST_STEP = 90
REAPERS_HIT = 0.3
# A busy machine may look away for the whole of a short phase.
TRIES = 6


class Stage:
    """A portal's warm process, the states between which its database goes, and who was killed when."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.shop = portal.shop
        self.log = portal.folder / "stage.log"
        self.outcomes: Counter[str] = Counter()
        self.here = "before"
        # Not through SIGTERM at the end of this thread: its forks are to die by our hand alone.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.restoring.stage"],
            cwd=PROJECT,
            env={**os.environ, **portal.environment, "STAGE_LOG": str(self.log)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert portal.backup().code == 0
        self.snapshot = portal.snapshots()[-1]["id"]
        self.restored = self.content()
        self.shop.server.load("DROP VIEW above;" + LATER, self.shop.name)
        self.before = self.content()

    def content(self) -> list[bytes]:
        return content(self.shop.server, self.shop.name)

    def begin(self, do: str, **arguments: Any) -> int:
        """Have the process play something in a fork; gives the fork's id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self, pid: int) -> None:
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the fork to end", 60)

    def do(self, do: str, **arguments: Any) -> None:
        self.end(self.begin(do, **arguments))

    def newest(self) -> dict[str, Any]:
        """The newest restore or undo with its run."""
        rows = self.portal.rows(
            "SELECT r.*, o.swap, o.kept_in, o.incoming, o.safety_snapshot_id AS saved FROM backups_run r "
            "JOIN backups_restore o ON o.run_id = r.id ORDER BY r.id DESC LIMIT 1"
        )
        return rows[0] if rows else {"id": 0, "phase": "", "status": ""}

    def strikes(self) -> int:
        """How many forks have come to the step at which they were told to strike."""
        return self.log.read_text().count("struck ") if self.log.exists() else 0

    def wait_for_phase(self, phase: str, after: int) -> bool:
        """Return once a restore newer than `after` is in the phase; False when it never was seen."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            row = self.newest()
            if row["id"] > after and (row["phase"] == phase or row["status"] not in ("queued", "running")):
                return bool(row["phase"] == phase)
            time.sleep(0.005)
        raise AssertionError(f"no phase {phase}: {self.newest()}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with_group_killed(self._process.pid)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The warm process."""
        return self._process.pid

    def save(self) -> None:
        """Keep what the database holds now, for `put_back`."""
        self._saved = dump_of(self.shop.server, self.shop.name)

    def undo_struck(self, chance: random.Random) -> None:
        """Undo what is next; SIGKILL hits its worker or the server at a step that chance draws.

        Now and then it hits the reaper that comes after, too.
        """
        at = chance.randrange(1, LAST_STEP)
        victim = chance.choice([0, 0, 0, self.shop.server.pid])
        self.do("undo_next", at=at, victim=victim)
        self.stand_up()
        if self.newest()["status"] not in ("succeeded", "failed") and chance.random() < REAPERS_HIT:
            self.do("tend", at=chance.randrange(1, LAST_STEP))

    def stand_up(self) -> None:
        """Start the server if it was hit: it is gone a moment after that."""
        server = self.shop.server
        try:
            server.query("SELECT 1")
        except MySQLdb.Error:
            wait_until(lambda: not server.running, "the server that was hit to be gone")
            server.start()

    def put_back(self) -> None:
        """As it was when it was saved, and nothing beside it."""
        for name in databases_of(self.shop):
            if name != self.shop.name:
                self.shop.server.execute(f"DROP DATABASE `{name}`")
        if self.content() != self.before:
            self.shop.server.create_database(self.shop.name)
            self.shop.server.client("--binary-mode", self.shop.name, stdin=self._saved)
            assert self.content() == self.before
        self.here = "before"

    # ------------------------------------------------------------ What must hold afterwards

    def judge(self) -> str:
        """`assert_whole` between the state that the database was in and the other; gives the outcome."""
        states = {"before": self.before, "restored": self.restored}
        there = "restored" if self.here == "before" else "before"
        outcome = self.assert_whole(states[self.here], states[there])
        if outcome == "restored":
            self.here = there
        return outcome

    def assert_whole(self, was: list[bytes], wanted: list[bytes]) -> str:
        """After the reaper: one of both, as the run says, and nothing left behind; gives which."""
        self.do("tend")
        row = self.newest()
        now = self.content()
        told = f"{row['status']} in {row['phase']!r}, swap {row['swap']!r}: {row['error']}\n{self._struck()}"
        assert now in (was, wanted), f"neither as before nor restored: {told}\n{difference(now, was)}"
        assert row["status"] in ("lost", "failed", "succeeded", "cancelled"), told
        if now == wanted:
            outcome = "restored"
            assert row["swap"] == "finished", told
            assert row["status"] == "succeeded" or "is wholly restored" in row["error"], told
        else:
            outcome = "as before"
            assert row["swap"] in ("", "rolled_back"), told
            assert row["status"] != "succeeded", told
            assert any(words in row["error"] for words in ("wholly as it was before", "not touched")), told
            assert "wholly restored" not in row["error"], told
        allowed = {self.shop.name, row["kept_in"] if outcome == "restored" else row["incoming"]}
        left = [name for name in databases_of(self.shop) if name not in allowed]
        assert [name for name in left if "__before_" not in name or name == row["kept_in"]] == [], told
        assert not [name for name in databases_of(self.shop) if "__restore_" in name], told
        self.do("tend")  # a child is given up once its parent is
        unfinished = (
            "SELECT id, action, trigger, status FROM backups_run WHERE status IN ('queued', 'running')"
        )
        assert self.portal.rows(unfinished) == []
        self.outcomes[f"{row['status']}, {outcome}"] += 1
        return outcome

    def back_to_before(self) -> None:
        """The way back works: undo, and drop what that kept."""
        if self.here != "before":
            self.do("undo")
            assert self.newest()["status"] == "succeeded", f"{self.newest()['error']}\n{self._struck()}"
        assert self.content() == self.before
        self.here = "before"
        for name in databases_of(self.shop):
            if "__before_" in name:
                self.shop.server.execute(f"DROP DATABASE `{name}`")

    def restore_in_full(self) -> None:
        """The next restore succeeds."""
        self.do("restore", snapshot=self.snapshot, without_safety=True)
        assert self.newest()["status"] == "succeeded", f"{self.newest()['error']}\n{self._struck()}"
        assert self.content() == self.restored
        self.here = "restored"

    def _struck(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-15:]) if self.log.exists() else ""


def difference(now: list[bytes], was: list[bytes]) -> str:
    """The first lines that one of two dumps has and the other has not."""
    here, there = set(now) - set(was), set(was) - set(now)
    return f"only now: {sorted(here)[:5]}\nonly before: {sorted(there)[:5]}"


def until_it_hits(strike: Callable[[], bool]) -> None:
    """Play until the kill hits what it is meant for: one that comes after the end proves nothing."""
    assert any(strike() for _ in range(TRIES)), f"{TRIES} times nobody was hit"


def kill(*pids: int) -> None:
    """SIGKILL to processes that may be gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def staged(
    flavour: Flavour, folder: Path, restic_path: Path, empty_repository: Path, migrated: Path
) -> Iterator[Stage]:
    """A shop on a server of its own, which nobody minds being killed, and its portal on a stage."""
    with DatabaseServer(flavour, options=["--log-bin-trust-function-creators=1"]) as server:
        shop = make_restorable(server, SHOP + MORE)
        repository = copy_repository(empty_repository, folder / "repository")
        portal = Portal(folder, shop, restic_path, repository)
        shutil.copy(migrated, portal.database_file)
        assert portal.manage("bootstrap").code == 0
        stage = Stage(portal)
        yield stage
        stage.close()
        for pid in portal.processes():
            kill(pid)
