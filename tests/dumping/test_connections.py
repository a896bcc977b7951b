"""How many connections a dump takes by itself, and that this never fails a backup."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backups import mysql
from backups.dumping import connections
from backups.dumping.connections import Conditions, choose
from backups.dumping.parallel import ParallelOptions
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, make_shop
from tests.dumping.test_dumps_at_once import clients_of, connected, fill, halfway, may_lock, source_of
from tests.servers import FLAVOURS, DatabaseServer
from tools import sample

GIGABYTE = 1_000_000_000
AMPLE = 100 * GIGABYTE


def tables(*megabytes: float) -> list[mysql.TableSize]:
    sizes = [int(size * 1_000_000) for size in megabytes]
    return [mysql.TableSize(f"t{i}", "BASE TABLE", size, 2 * size) for i, size in enumerate(sizes)]


NO_ROOM = (
    "what would be dumped ahead does not fit into 32 MB of memory and disk (DUMP_SPOOL_DIR, "
    "DUMP_SPOOL_MB); 3 connections would be faster"
)
LACKS = "something is missing"
BUSY = "one connection keeps two cores busy, and there are {}"
EVEN = tables(*[300] * 10)

# ---------------------------------------------------------------- From cores, sizes, rights and room


@pytest.mark.parametrize("cores", range(1, 33))
def test_each_connection_wants_two_cores_and_three_are_the_most(cores: int) -> None:
    chosen = choose(0, Conditions(cores, EVEN, AMPLE))

    assert chosen.number == (1 if cores < 4 else 2 if cores < 6 else 3)
    assert str(cores) in chosen.because


@pytest.mark.parametrize(
    ("sizes", "expected", "because"),
    [
        ((20, 20), 1, "the database has only 40 MB of rows"),
        ((), 1, "the database has only 0 MB of rows"),
        ((30, 30), 2, "there are 8 cores, and 60 MB of rows in 2 tables"),
        ((300, 300, 300), 3, "there are 8 cores, and 900 MB of rows in 3 tables"),
        # A third one would wait for the largest table, too.
        ((600, 100, 100, 100, 100), 2, "there are 8 cores, and 1000 MB of rows in 5 tables"),
        ((50, 900, 50), 1, "t1 is 90 % of the database, and one connection dumps all of a table"),
        ((3000,), 1, "t0 is 100 % of the database, and one connection dumps all of a table"),
    ],
)
def test_sizes_decide_what_helps(sizes: tuple[float, ...], expected: int, because: str) -> None:
    assert choose(0, Conditions(8, tables(*sizes), AMPLE)) == (expected, because)


@pytest.mark.parametrize(
    ("conditions", "expected", "because"),
    [
        (Conditions(8, EVEN, AMPLE, missing=LACKS), 1, f"{LACKS}; 3 connections would be faster"),
        (Conditions(4, EVEN, AMPLE, missing=LACKS), 1, f"{LACKS}; 2 connections would be faster"),
        # What is missing is not named where it would not help to have it.
        (Conditions(2, EVEN, AMPLE, missing=LACKS), 1, BUSY.format(2)),
        (Conditions(8, tables(9), AMPLE, missing=LACKS), 1, "the database has only 9 MB of rows"),
        (
            Conditions(8, EVEN, 32_000_000),
            1,
            NO_ROOM,
        ),
        # The last tables alone, which are two sixths.
        (Conditions(8, EVEN, 2 * GIGABYTE), 2, "there are 8 cores, and 3000 MB of rows in 10 tables"),
        (Conditions(8, EVEN, AMPLE, connections=0), 1, "the server has only 0 connections for it"),
        (Conditions(8, EVEN, AMPLE, connections=4), 1, "the server has only 4 connections for it"),
        (Conditions(8, EVEN, AMPLE, connections=5), 2, "there are 8 cores, and 3000 MB of rows in 10 tables"),
    ],
)  # fmt: skip
def test_rights_room_and_connections_decide_what_can_be(
    conditions: Conditions, expected: int, because: str
) -> None:
    assert choose(0, conditions) == (expected, because)


@pytest.mark.parametrize("wished", [1, 2, 8])
@pytest.mark.parametrize("conditions", [Conditions(1), Conditions(32, EVEN, AMPLE), Conditions(8, tables(1))])
def test_whoever_wishes_for_a_number_is_not_overruled(wished: int, conditions: Conditions) -> None:
    assert choose(wished, conditions) == (wished, f"DUMP_CONNECTIONS is {wished}")


def test_nothing_is_asked_where_nothing_depends_on_it() -> None:
    nowhere = mysql.Server("127.0.0.1", 1, "nobody", "")

    assert connections.looked_at(nowhere, "shop", ParallelOptions(0, cores=3)).number == 1
    assert connections.looked_at(nowhere, "shop", ParallelOptions(5, cores=8)).number == 5
    # One connection is what fails then, with its own sentence.
    assert connections.looked_at(nowhere, "shop", ParallelOptions(0, cores=8)).number == 1


# ---------------------------------------------------------------- On a server


@pytest.fixture
def look(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What is chosen for a database of a few rows, taken for a large one, on eight cores."""
    monkeypatch.setattr(connections, "_SMALL_BYTES", 1000)

    def look(spool_dir: str = str(tmp_path), spool_bytes: int = GIGABYTE) -> mysql.ChosenConnections:
        options = ParallelOptions(0, spool_dir, spool_bytes, cores=8)
        return connections.looked_at(source_of(shop).server, shop.name, options)

    return look


def test_a_server_is_asked_for_what_is_missing(shop: Shop, look: Callable[..., Any], tmp_path: Path) -> None:
    lacks = f"user {shop.user} lacks LOCK TABLES on {mysql.name_pattern(shop.name)}.*; "
    assert look().because.startswith(lacks)

    may_lock(shop)
    assert look().number > 1
    folder = "DUMP_SPOOL_DIR names no folder for tables that are dumped ahead; "
    assert look(spool_dir="").because.startswith(folder)
    assert "No such file" in look(spool_dir=str(tmp_path / "gone")).because
    assert look(spool_dir="").number == look(spool_dir=str(tmp_path / "gone")).number == 1

    shop.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS 4")
    assert look() == (1, "the server has only 4 connections for it")

    shop.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS 0")
    shop.execute("CREATE TABLE counters (id INT) ENGINE=MyISAM")
    assert look().because.startswith("a consistent snapshot does not cover counters (MyISAM); ")


@pytest.mark.one_flavour("mysql")
def test_half_of_a_servers_free_connections_are_left_to_others(shop: Shop) -> None:
    with mysql.connect(source_of(shop).server) as connection:
        ((most,),) = shop.query("SELECT @@GLOBAL.max_connections")
        assert 0 < mysql.connections_to_take(connection) <= int(most) // 2


# ---------------------------------------------------------------- In a backup


@pytest.fixture
def on_eight_cores(shop: Shop, make_portal: MakePortal, tmp_path: Path) -> Iterator[Portal]:
    """A portal that nobody told how many connections, with a database of two tables that are large enough.

    Of cores this machine has as many as it has.
    """
    spool, site = tmp_path / "spool", tmp_path / "site"
    for folder in (spool, site):
        folder.mkdir()
    (site / "sitecustomize.py").write_text("import os\nos.sched_getaffinity = lambda _: set(range(8))\n")
    fill(may_lock(shop), "a_large", megabytes=38)
    fill(shop, "z_large", megabytes=15)
    yield make_portal(shop, DUMP_SPOOL_DIR=str(spool), DUMP_SPOOL_MB="500", PYTHONPATH=str(site))
    assert list(spool.iterdir()) == []


@pytest.mark.one_flavour("mariadb")
def test_a_large_database_is_dumped_over_several_connections_by_itself(on_eight_cores: Portal) -> None:
    portal = on_eight_cores

    told = portal.manage("preflight", "--json").json["checks"]
    ran, alone = portal.backup(), portal.backup(DUMP_CONNECTIONS="1")

    assert ran.code == alone.code == 0, ran.err
    assert (ran.json["dump_connections"], alone.json["dump_connections"]) == (2, 1)
    assert ran.json["sha256"] == alone.json["sha256"]
    assert "The dump goes over 2 connections: there are 8 cores, and " in portal.log()
    (check,) = (each["detail"] for each in told if each["name"] == "connections")
    assert check.startswith("A backup dumps over 2 connections (there are 8 cores, and ")


@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_where_several_fail_one_does_it(on_eight_cores: Portal, victim: int) -> None:
    portal = on_eight_cores
    # The one that dumps ahead is soon done, so it may be struck before it has begun.
    soon = (lambda backup: len(clients_of(backup.pid)) == 2) if victim == 1 else None
    with halfway(portal, soon) as backup:
        os.kill(clients_of(backup.pid)[victim], signal.SIGKILL)
    ran = portal.finish(backup)

    assert ran.code == 0, ran.err
    assert ran.json["dump_connections"] == 1
    again = "The dump over several connections failed, so it is made again over one. "
    before = "Dumped over one connection: one of several did not begin"
    assert again in portal.log() or (victim == 1 and before in portal.log())
    assert len(portal.snapshots()) == 1
    assert portal.heartbeat() is not None
    assert portal.leftovers() == []


@pytest.mark.soak
@pytest.mark.parametrize("most", [7, 6, 5, 4, 3])
def test_a_user_who_may_have_few_connections_still_gets_a_backup(on_eight_cores: Portal, most: int) -> None:
    """What comes too late is left to one connection, also where a number is wished for."""
    portal, shop = on_eight_cores, on_eight_cores.shop
    shop.execute(f"ALTER USER '{shop.user}'@'%' WITH MAX_USER_CONNECTIONS {most}")

    for environment in ({}, {"DUMP_CONNECTIONS": "3"}):
        ran = portal.backup(**environment)
        assert ran.code == 0, (environment, ran.err)


@pytest.mark.one_flavour("mariadb")
def test_preflight_says_why_the_wished_number_cannot_be(shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(shop, DUMP_CONNECTIONS="3")

    checks = portal.manage("preflight", "--json").json["checks"]

    (warning,) = (check["detail"] for check in checks if check["detail"].startswith("DUMP_CONNECTIONS is 3"))
    assert warning == (
        f"DUMP_CONNECTIONS is 3, but a backup of {shop.name} dumps over one connection: "
        f"user {shop.user} lacks LOCK TABLES on {mysql.name_pattern(shop.name)}.*."
    )
    assert all(each["ok"] for each in checks)


@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_several_connections_add_no_more_to_the_repository(
    flavour: str, request: pytest.FixtureRequest, make_portal: MakePortal, tmp_path: Path
) -> None:
    """A change of a hundredth, stored from three connections, taken back, and stored from one."""
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    shop = make_shop(server, "", grants=["ALL ON *.*"])
    with closing(connected(shop)) as connection:
        sample.load(connection, 60 / sample.MEGABYTES_PER_SCALE)
    portal = make_portal(shop, DUMP_SPOOL_DIR=str(tmp_path), DUMP_SPOOL_MB="500")
    assert portal.backup(DUMP_CONNECTIONS="1").code == 0
    with closing(connected(shop)) as connection:
        sample.change(connection, 1.0)

    several = portal.backup(DUMP_CONNECTIONS="3").json
    assert several["dump_connections"] > 1
    portal.restic("forget", several["snapshot_id"], "--prune")
    one = portal.backup(DUMP_CONNECTIONS="1").json

    assert several["sha256"] == one["sha256"]
    assert 0 < several["data_added"] <= 1.2 * one["data_added"]
