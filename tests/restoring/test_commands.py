"""`manage.py restore` and `undo_restore` as processes: exit statuses, confirmation, cancelling, streaming."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import PROJECT, SHOP, Portal, Shop, wait_until
from tests.restoring.stories import LATER, content, databases_of, drop_all, make_restorable, untouched
from tests.servers import DatabaseServer, S3Server

BIG = """
CREATE TABLE digits (d INT PRIMARY KEY);
INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
CREATE TABLE big (id INT PRIMARY KEY, t TEXT NOT NULL);
INSERT INTO big SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d, REPEAT(SHA2(RAND(), 512), {times})
  FROM digits a, digits b, digits c, digits d;
"""


@pytest.fixture
def portal(mariadb_shop: Shop, make_portal: MakePortal) -> Portal:
    portal = make_portal(mariadb_shop)
    assert portal.backup().code == 0
    return portal


def newest(portal: Portal) -> dict[str, object]:
    rows = portal.rows("SELECT * FROM backups_run WHERE action = 'restore' ORDER BY id DESC LIMIT 1")
    return rows[0] if rows else {"id": 0, "phase": "", "status": ""}


def wait_for_phase(portal: Portal, phase: str) -> None:
    wait_until(lambda: newest(portal)["phase"] == phase, f"phase {phase}")


# ---------------------------------------------------------------- Asking, refusing


def test_without_yes_and_without_a_terminal_nothing_is_touched(portal: Portal) -> None:
    for mode in ("--replace", "--in-place"):
        with untouched(portal.shop):
            ran = portal.manage("restore", "--snapshot", "latest", mode)

        assert ran.code == 2
        assert f"This overwrites {portal.shop.name}: say --yes." in ran.err
        assert newest(portal)["id"] == 0


@pytest.mark.parametrize(
    "args",
    [
        ["--snapshot", "latest"],
        ["--time", "yesterday", "--replace", "--yes"],
        *(
            pytest.param(args, marks=pytest.mark.soak)
            for args in (
                ["--replace", "--yes"],
                ["--snapshot", "latest", "--time", "2025-01-01", "--replace", "--yes"],
                ["--snapshot", "latest", "--replace", "--in-place", "--yes"],
                ["--snapshot", "latest", "--output", "-", "--json"],
            )
        ),
    ],
)
def test_wrong_usage_is_status_two(args: list[str], mariadb_shop: Shop, make_portal: MakePortal) -> None:
    """It is told before anybody asks for a snapshot."""
    assert make_portal(mariadb_shop).manage("restore", *args).code == 2


def test_there_and_back_on_the_command_line(portal: Portal) -> None:
    shop = portal.shop
    was = content(shop.server, shop.name)
    shop.server.load(LATER, shop.name)
    later = content(shop.server, shop.name)

    ran = portal.manage(
        "restore", "--snapshot", "latest", "--replace", "--yes", "--reason", "a test", "--json"
    )

    assert ran.code == 0, ran.err
    assert ran.json == {
        "status": "succeeded",
        "run_id": newest(portal)["id"],
        "snapshot_id": portal.snapshots()[0]["id"],
        "target": shop.name,
        "load_connections": 2,
    }
    assert content(shop.server, shop.name) == was
    assert len(portal.snapshots()) == 2, "the backup before"

    undone = portal.manage("undo_restore", "--json")
    assert undone.code == 0, undone.err
    assert content(shop.server, shop.name) == later

    unasked = portal.manage("undo_restore", "--drop", "--json")
    assert unasked.code == 2
    assert "for good" in unasked.json["error"]
    assert unasked.json["error"].endswith("say --yes.")
    assert len(databases_of(shop)) == 2
    dropped = portal.manage("undo_restore", "--drop", "--yes", "--json")
    assert dropped.code == 0, dropped.err
    assert databases_of(shop) == [shop.name]
    again = portal.manage("undo_restore", "--json")
    assert again.code == 1
    assert "keeps tables, so there is nothing to undo" in again.json["error"]
    assert portal.leftovers() == []


# tests/restoring/test_damage.py has it refused, tests/actions/test_backup.py the status.
@pytest.mark.soak
def test_second_restore_while_one_runs_is_status_three(portal: Portal) -> None:
    args = ("restore", "--snapshot", "latest", "--replace", "--yes", "--json")
    with portal.shop.held("orders"):
        first = portal.start(*args)
        wait_for_phase(portal, "safety backup")
        second = portal.manage(*args)
    ended = portal.finish(first)

    assert second.code == 3
    assert f"goes to {portal.shop.name} as well" in second.json["error"]
    assert ended.code == 0, ended.err
    # Neither of the two runs is told of again for the other one's sake.
    assert [ended.err.count(f"{phase} …") for phase in ("safety backup", "dump")] == [1, 1]


# ---------------------------------------------------------------- Cancelling


@pytest.mark.parametrize("phase", [pytest.param("safety backup", marks=pytest.mark.soak), "load"])
def test_cancelled_before_the_swap_it_ends_within_seconds_and_nothing_was_touched(
    phase: str, mariadb_server: DatabaseServer, make_portal: MakePortal
) -> None:
    shop = make_restorable(mariadb_server, SHOP + (BIG.format(times=80) if phase == "load" else ""))
    portal = make_portal(shop)
    assert portal.backup().code == 0
    safe = [] if phase == "safety backup" else ["--without-safety-backup"]
    # A locked table holds the backup before up.
    with untouched(shop), shop.held("customers"):
        ran = portal.start(
            "restore", "--snapshot", "latest", "--replace", "--yes", "--json", *safe, real=True
        )
        wait_for_phase(portal, phase)
        if phase == "load":
            ran.send_signal(signal.SIGINT)
        else:
            portal.cancel("restore")
        began = time.monotonic()
        ended = portal.finish(ran)
        took = time.monotonic() - began
    assert ended.code == 130, ended.err
    assert took < 5
    row = newest(portal)
    assert row["status"] == "cancelled"
    assert str(row["error"]).endswith("The live database was not touched.")
    assert portal.leftovers() == []
    drop_all(shop)


@pytest.mark.parametrize(
    ("number", "by"),
    [
        pytest.param(signal.SIGINT, "Stopped at the keyboard.", marks=pytest.mark.soak),
        (signal.SIGTERM, "Stopped at the keyboard."),
        # Above, a load that is cancelled; what is said of a database that is overwritten is the same.
        pytest.param(None, "Cancelled.", marks=pytest.mark.soak),
    ],
)
def test_stopped_in_the_middle_of_an_in_place_load_it_says_what_is_overwritten(
    number: signal.Signals | None, by: str, portal: Portal
) -> None:
    """At the keyboard, by the service's manager, and in the portal."""
    shop = portal.shop
    shop.server.load(LATER, shop.name)
    before = content(shop.server, shop.name)
    # A locked table holds the load up, and lets the backup before it pass.
    with shop.held("journal", "READ"):
        ran = portal.start("restore", "--snapshot", "latest", "--in-place", "--yes", "--json", real=True)
        wait_for_phase(portal, "load")
        shop.wait_for_a_waiting_dump()
        if number is None:
            portal.cancel("restore")
        else:
            ran.send_signal(number)
        ended = portal.finish(ran)

    assert content(shop.server, shop.name) != before
    assert ended.code == 130, ended.err
    saved = portal.snapshots()[-1]["id"][:8]
    assert ended.json["error"] == (
        f"{by} {shop.name} may be partly overwritten: restore again, "
        f"or restore snapshot {saved}, which has what it held before."
    )
    assert (newest(portal)["status"], newest(portal)["error"]) == ("cancelled", ended.json["error"])
    assert portal.leftovers() == []

    back = portal.manage("restore", "--snapshot", saved, "--in-place", "--yes", "--without-safety-backup")
    assert back.code == 0, back.err
    assert shop.query("SELECT id FROM parcels") == [(7,)]


# tests/restoring/test_kills.py has a worker that dies while it waits for the same lock.
@pytest.mark.soak
def test_cancel_during_the_swap_comes_too_late(portal: Portal) -> None:
    shop = portal.shop
    was = content(shop.server, shop.name)
    shop.server.load(LATER, shop.name)
    with shop_in_use(shop):
        ran = portal.start("restore", "--snapshot", "latest", "--replace", "--yes", "--without-safety-backup")
        wait_until(
            lambda: shop.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME T%'"),
            "the RENAME to wait",
        )
        portal.cancel("restore")
        time.sleep(1.5)
    assert portal.finish(ran).code == 0
    assert content(shop.server, shop.name) == was


class shop_in_use:  # noqa: N801  reads as a statement
    """An open transaction, which no RENAME can pass."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def __enter__(self) -> None:
        import MySQLdb

        server = self.shop.server
        self.connection = MySQLdb.connect(
            host=server.host, port=server.port, user=server.user, password=server.password,
            database=self.shop.name,
        )  # fmt: skip
        cursor = self.connection.cursor()
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM orders")

    def __exit__(self, *_: object) -> None:
        self.connection.close()


# tests/faults/test_storage.py has a storage that is cut off in the middle of a load; above, one is cancelled.
@pytest.mark.soak
def test_repository_that_goes_away_leaves_the_database_and_can_be_cancelled(
    mariadb_shop: Shop, s3_server: S3Server, s3_repository: str, make_portal: MakePortal
) -> None:
    """restic itself would go on trying for a quarter of an hour."""
    shop = mariadb_shop
    portal = make_portal(shop, repository=s3_repository, **s3_server.environment)
    assert portal.backup().code == 0
    with untouched(shop):
        ran = portal.start("restore", "--snapshot", "latest", "--replace", "--yes", "--json", real=True)
        wait_for_phase(portal, "safety backup")
        s3_server.stop()
        try:
            time.sleep(1)
            ran.send_signal(signal.SIGINT)
            began = time.monotonic()
            ended = portal.finish(ran)
            took = time.monotonic() - began
        finally:
            s3_server.start()
    assert ended.code in (1, 130), ended.err
    assert took < 6
    assert newest(portal)["status"] in ("cancelled", "failed")


# ---------------------------------------------------------------- Files and memory


@pytest.fixture
def big_portal(mariadb_server: DatabaseServer, make_portal: MakePortal) -> Iterator[Portal]:
    """A dump of some 75 MB, in `make soak` of twice as many."""
    times = 120 if "VEDETTA_SOAK" in os.environ else 60
    shop = make_restorable(mariadb_server, BIG.format(times=times))
    portal = make_portal(shop)
    ran = portal.backup()
    assert ran.code == 0, ran.err
    assert ran.json["dump_bytes"] > times * 1_250_000
    yield portal
    drop_all(shop)


@pytest.mark.larger
def test_memory_stays_small_while_a_large_dump_passes(big_portal: Portal, tmp_path: Path) -> None:
    """To standard output and to a file, which appears when it is whole."""
    portal = big_portal
    out = tmp_path / "out"
    process = portal.start("restore", "--snapshot", "latest", "--output", str(out), "--json", real=True)
    peak, seen = 0, False
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        if status.exists() and (found := re.search(r"VmHWM:\s+(\d+)", status.read_text())):
            peak = max(peak, int(found[1]))
        seen = seen or any(out.glob(".*.partial"))
        assert not list(out.glob("*.sql")) or process.poll() is not None or seen
        time.sleep(0.02)
    ran = portal.finish(process)
    assert ran.code == 0, ran.err
    (file,) = out.iterdir()
    assert json.loads(ran.out.splitlines()[-1])["target"] == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert peak < 150_000, f"{peak} kB"
    assert seen

    with subprocess.Popen(
        [sys.executable, "manage.py", "restore", "--snapshot", "latest", "--output", "-"],
        cwd=PROJECT, env={**os.environ, **portal.environment},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as streaming, file.open("rb") as whole:  # fmt: skip
        assert streaming.stdout is not None
        while data := streaming.stdout.read(1 << 20):
            assert data == whole.read(len(data))
        assert whole.read(1) == b""
    assert streaming.returncode == 0
