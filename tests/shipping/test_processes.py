"""The commands as they are run: switched on, followed by the worker, two at once. Kills: tests/faults."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from typing import cast

import pytest
from pytest_django.fixtures import Settings

from backups.worker import shipper
from tests.actions.test_failures import exclusively_locked
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, make_shop, wait_until
from tests.servers import DatabaseServer
from tests.shipping.conftest import TABLES, may_ship, ship_shop


def insert(shop: Shop, first: int, count: int = 1) -> None:
    for number in range(first, first + count):
        shop.execute(f"INSERT INTO orders VALUES ({number}, 'secret text {number}')")


def begun(portal: Portal) -> Portal:
    """With its log switched on and a base."""
    told = portal.manage("log_archive", "on", "--database", portal.shop.name, "--json")
    assert told.code == 0, told.err
    # What is queued is the worker's, which there is not.
    portal.shell("from backups.models import Run; Run.objects.filter(status='queued').delete()")
    assert portal.backup().code == 0
    looked = portal.manage("archive_logs", "--once")
    assert looked.code == 0, looked.err
    assert status(portal)["state"] == "following"
    return portal


def status(portal: Portal) -> dict[str, object]:
    ran = portal.manage("log_archive", "status", "--json")
    assert ran.code == 0, ran.err
    return ran.json


def transactions(portal: Portal) -> int:
    return sum(row["transactions"] for row in portal.rows("SELECT transactions FROM backups_logpiece"))


def chain(portal: Portal) -> list[tuple[str, int, int]]:
    rows = portal.rows("SELECT file, start, end FROM backups_logpiece ORDER BY file_made, file, start")
    return [(row["file"], row["start"], row["end"]) for row in rows]


def is_contiguous(parts: list[tuple[str, int, int]]) -> bool:
    """No piece twice, and none lost."""
    return all(
        after[1] == before[2] if after[0] == before[0] else after[1] == 4 for before, after in pairwise(parts)
    )


def test_switched_on_by_a_command_and_stored_by_another(
    shared_mariadb: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = begun(make_portal(ship_shop(shared_mariadb)))
    insert(portal.shop, 1, 3)

    looked = portal.manage("archive_logs", "--once", "--json")

    told = status(portal)
    assert (told["problem"], told["gaps"]) == (None, [])
    (window,) = cast("list[dict[str, str]]", told["moments"])
    assert looked.json == {
        "status": "succeeded",
        "servers": [
            {
                "server": f"127.0.0.1:{portal.shop.server.port}",
                "databases": [
                    {
                        "database": portal.shop.name,
                        "restorable_from": window["begins"],
                        "restorable_to": window["ends"],
                        "gaps": [],
                    }
                ],
            }
        ],
    }
    assert transactions(portal) == 3
    assert portal.leftovers() == []
    # Nothing of a row is in the portal's own database.
    assert b"secret text" not in portal.database_file.read_bytes()


def test_a_server_that_is_not_ready_is_left_alone_and_the_statement_is_said(
    shared_mariadb: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = make_portal(make_shop(shared_mariadb, TABLES))

    told = portal.manage("log_archive", "on", "--json")

    assert (told.code, told.json["error_code"]) == (1, "log.no_right")
    assert "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO" in told.json["error"]
    assert status(portal)["state"] == "off"

    may_ship(portal.shop)
    assert portal.manage("log_archive", "on").code == 0


_PAUSE = """
from backups.models import Database, StandDown
StandDown.objects.create(database=Database.objects.get(), kind="pause", reason="moves", made_by="ann")
"""
_PAUSE_ENDS = """
from django.utils import timezone
from backups.models import StandDown
StandDown.objects.update(ended_at=timezone.now())
"""


def test_the_environment_has_the_first_databases_log_stored_unless_somebody_decided(
    shared_mariadb: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = make_portal(make_shop(shared_mariadb, TABLES))

    told = portal.manage("bootstrap", "--json", ARCHIVE_LOGS="yes")

    # A server that is not ready keeps no set-up waiting.
    assert told.code == 0
    not_yet, why = told.json["notices"][-2:]
    assert not_yet.startswith("ARCHIVE_LOGS is set, but the binary log of")
    assert "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO" in why
    assert not_yet in portal.manage("preflight", ARCHIVE_LOGS="yes").out

    may_ship(portal.shop)
    # Of one that is paused no backup is made for it to begin at.
    portal.shell(_PAUSE)
    told = portal.manage("bootstrap", "--json", ARCHIVE_LOGS="yes")
    assert "is paused or retired, so its binary log is not stored yet" in told.json["notices"][-1]
    assert status(portal)["state"] == "off"
    portal.shell(_PAUSE_ENDS)

    told = portal.manage("bootstrap", "--json", ARCHIVE_LOGS="yes")
    assert "is stored from its next backup on, which is queued." in told.json["notices"][-1]
    assert status(portal)["state"] == "waiting"

    assert portal.manage("log_archive", "off").code == 0
    portal.manage("bootstrap", ARCHIVE_LOGS="yes")
    assert status(portal)["state"] == "off"


def test_nothing_is_switched_on_by_itself(shared_mariadb: DatabaseServer, make_portal: MakePortal) -> None:
    portal = make_portal(ship_shop(shared_mariadb))
    assert portal.backup().code == 0

    assert portal.manage("archive_logs", "--once").code == 0

    assert portal.rows("SELECT * FROM backups_logarchive") == []
    assert portal.rows("SELECT * FROM backups_logpiece") == []


def test_two_at_once_store_no_piece_twice_and_lose_none(
    shared_mariadb: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = begun(make_portal(ship_shop(shared_mariadb)))
    for round_ in range(2):
        insert(portal.shop, 10 * round_, 5)
        both = [portal.start("archive_logs", "--once") for _ in range(2)]
        assert [portal.finish(each).code for each in both] == [0, 0]
    assert portal.manage("archive_logs", "--once").code == 0

    assert transactions(portal) == 10
    assert is_contiguous(chain(portal))


# Below, one that died is begun again, without the worker.
@pytest.mark.parametrize("is_killed", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_the_worker_starts_it_and_ends_it(
    is_killed: bool, shared_mariadb: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = begun(make_portal(ship_shop(shared_mariadb)))
    # Its first look finds them; the next one is a minute later.
    insert(portal.shop, 1, 2)

    def shippers() -> list[int]:
        return [pid for pid, name in portal.processes().items() if "archive_logs" in name]

    with portal.worker():
        wait_until(lambda: len(shippers()) > 0, "the process that stores logs", 40)
        wait_until(lambda: transactions(portal) == 2, "what was stored")
        if is_killed:
            insert(portal.shop, 3, 2)
            os.kill(shippers()[0], signal.SIGKILL)
            wait_until(lambda: transactions(portal) == 4, "what was stored by the next one", 120)
        assert "is followed by another process already" in portal.manage("archive_logs", "--once").out
    assert shippers() == []


def test_one_that_died_is_begun_again_and_ends_once_nobody_wants_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [True]
    settings.COMMAND_LINE = ["sh", "-c", "exec sleep 60"]
    monkeypatch.setattr(shipper, "_RESTART_SECONDS", -1.0)
    monkeypatch.setattr(shipper, "_LOOK_SECONDS", -1.0)
    monkeypatch.setattr(shipper.Shipper, "_is_wanted_now", lambda _: wanted[0])
    keeping = shipper.Shipper()
    try:
        keeping.keep_running()
        keeping.keep_running()
        assert keeping.runs
        first = keeping._child
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: not keeping.runs, "the first one to be gone")

        keeping.keep_running()
        assert keeping.runs
        assert keeping._child is not first

        wanted[:] = [False]
        keeping.keep_running()
        wait_until(lambda: not keeping.runs, "the second one to end")
        keeping.keep_running()
        assert not keeping.runs
    finally:
        keeping.end()


# Above, two at once wait for each other; a lock of restic's is any other fault of a storage.
@pytest.mark.soak
def test_while_somebody_prunes_the_log_waits_in_the_server(
    shared_mariadb: DatabaseServer, make_portal: MakePortal
) -> None:
    portal = begun(make_portal(ship_shop(shared_mariadb)))
    insert(portal.shop, 1, 2)
    with exclusively_locked(portal):
        assert portal.manage("archive_logs", "--once").code == 0
        told = status(portal)
        assert (told["problem_code"], told["gaps"]) == ("restic.locked", [])

    assert portal.manage("archive_logs", "--once").code == 0

    assert transactions(portal) == 2
    assert status(portal)["problem"] is None
