"""However a verification ends, it leaves no scratch database, and takes little memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backups import mysql
from backups.actions.steps import dumped_again, findings
from backups.models import Database
from tests.actions.tools import meddling_clients, scratch_databases, with_least
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, client_dir, make_shop, wait_until
from tests.servers import DatabaseServer

TEND = "from backups.worker import reaper; reaper.run()"


@pytest.fixture
def portal(least_shop: Shop, make_portal: MakePortal) -> Portal:
    """A portal that has backed up."""
    portal = make_portal(least_shop)
    assert portal.backup().code == 0
    return portal


@pytest.fixture
def stuck(portal: Portal, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A verification that stands still in the middle of its restore."""
    clients = meddling_clients(portal.shop, tmp_path / "clients", "SELECT SLEEP(60)")
    running = portal.start("verify", "--json", MYSQL_CLIENT_DIR=clients, real=True)
    wait_until(
        lambda: portal.shop.server.query(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE %s AND TABLE_NAME = 'customers'",
            None,
            [f"{portal.shop.name}\\_\\_verify\\_%"],
        ),
        "the first table to be restored",
    )
    yield running
    running.kill()
    running.communicate()


@pytest.mark.one_flavour("mariadb")
def test_cancelled(portal: Portal, stuck: subprocess.Popen[str]) -> None:
    portal.cancel("verify")
    asked = time.monotonic()
    ran = portal.finish(stuck)

    assert time.monotonic() - asked < 5
    assert ran.code == 130
    assert "Cancelled. The live database and the snapshots were not touched." in ran.json["error"]
    assert scratch_databases(portal.shop.server) == []
    assert portal.rows("SELECT id FROM backups_verification") == []
    assert not (portal.folder / "status" / "last_verified").exists()
    assert portal.leftovers() == []


# What it does when it is cancelled.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_stopped_by_sigterm(portal: Portal, stuck: subprocess.Popen[str]) -> None:
    os.kill(stuck.pid, signal.SIGTERM)
    asked = time.monotonic()
    ran = portal.finish(stuck)

    assert time.monotonic() - asked < 5
    assert ran.code == 130
    assert scratch_databases(portal.shop.server) == []


@pytest.mark.one_flavour("mariadb")
def test_killed(portal: Portal, stuck: subprocess.Popen[str]) -> None:
    os.kill(stuck.pid, signal.SIGKILL)
    stuck.wait()
    (name,) = scratch_databases(portal.shop.server)
    assert re.fullmatch(rf"{portal.shop.name}__verify_\d+", name)

    portal.shell(TEND)

    assert scratch_databases(portal.shop.server) == []
    (run,) = portal.rows("SELECT status, error, result FROM backups_run WHERE action = 'verify'")
    assert run["status"] == "lost"
    assert "The live database and the snapshots are untouched." in run["error"]
    assert "scratch" not in run["result"]
    assert portal.manage("verify", "--json").json["verdict"] == "identical"


@pytest.mark.soak
@pytest.mark.slow
def test_memory_stays_small(mariadb_server: DatabaseServer, make_portal: MakePortal) -> None:
    shop = make_shop(
        mariadb_server,
        "CREATE TABLE large (id INT PRIMARY KEY, text TEXT);"
        "INSERT INTO large SELECT seq, REPEAT(MD5(seq), 130) FROM seq_1_to_48000;",
    )
    portal = make_portal(with_least(shop, "dump", "verify"))
    assert portal.backup().code == 0
    assert portal.snapshots()[0]["summary"]["total_bytes_processed"] > 190_000_000

    running = portal.start("verify", "--json", real=True)
    peak = 0
    while running.poll() is None:
        peak = max(peak, peak_memory(running.pid))
        time.sleep(0.05)
    ran = portal.finish(running)

    assert ran.json["verdict"] == "identical", ran.err
    assert ran.json["rows"] == 48000
    assert 20_000_000 < peak < 150_000_000
    shop.execute("DROP TABLE large")


def peak_memory(pid: int) -> int:
    """The most that a process has held in memory so far, in bytes."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


@pytest.mark.one_flavour("mysql")
def test_a_count_of_rows_that_nobody_waits_for_any_more_is_ended(shop: Shop) -> None:
    """It may last for hours, and a cancelled verification for seconds only."""
    server = mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
    programs = mysql.clients(info, client_dir(shop.server))
    rows = dumped_again._RowCount(findings.Scratch(server, info, programs, shop.name, Database()), ["orders"])

    with shop.held("orders"), ThreadPoolExecutor(1) as beside:
        counting = beside.submit(rows.count)
        shop.wait_for_a_waiting_dump()
        rows.stop()

        with pytest.raises(mysql.MySQLProblem):
            counting.result(timeout=20)


@pytest.mark.one_flavour("mariadb")
def test_an_answer_is_waited_for_as_long_as_was_asked(shop: Shop) -> None:
    server = mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)

    with (
        pytest.raises(mysql.ServerGone),
        mysql.connect(server, read_seconds=1) as impatient,
        mysql.translated(server),
    ):
        mysql.execute(impatient, "SELECT SLEEP(10)")
    with mysql.connect(server, read_seconds=60) as patient:
        mysql.execute(patient, "SELECT SLEEP(2)")
