"""Tables that a verification dumps again while others still load: it finds the same, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from backups import mysql
from backups.actions import verify as verification
from backups.actions.steps.dumped_again import dump_again
from backups.loading import chunks
from tests.actions.tools import (
    back_up,
    scratch_databases,
    verdict,
    verify,
    with_least,
    wrapped_clients,
)
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Portal, Shop, make_shop, wait_until
from tests.servers import DatabaseServer

TEND = "from backups.worker import reaper; reaper.run()"
# The scratch database, with the name of one table behind it.
OF_ONE_TABLE = '[[ "${@: -2:1}" == *__verify_* && " $* " != *" --no-data "* ]]'


@pytest.fixture
def every_table(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several connections, and no table that is too small."""
    settings.RESTORE_CONNECTIONS = 3
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)
    monkeypatch.setattr(chunks, "WORTH_A_LOOK_BYTES", 1)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was dumped again in each verification: `ahead`, and all sections."""
    found: list[dict[str, Any]] = []

    def noted(scratch: Any, collations: Any, findings: Any, *rest: Any) -> list[dict[str, Any]]:
        sections = dump_again(scratch, collations, findings, *rest)
        ordered = sorted(sections, key=lambda each: (each["kind"], each["name"], each["sha256"]))
        found.append({"ahead": sorted(findings.ahead), "sections": ordered, "rows": findings.rows})
        return sections

    monkeypatch.setattr(verification, "dump_again", noted)
    return found


@pytest.mark.one_flavour("mariadb")
def test_it_compares_the_same_bytes(
    least_shop: Shop,
    make_database: MakeDatabase,
    every_table: None,
    compared: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = make_database(least_shop)
    back_up(database)

    ahead = verdict(verify(database))
    monkeypatch.setattr(chunks, "WORTH_A_LOOK_BYTES", 1 << 40)
    after = verdict(verify(database))

    assert [each["ahead"] for each in compared] == [["customers", "orders"], []]
    assert compared[0]["sections"] == compared[1]["sections"]
    assert compared[0]["rows"] == compared[1]["rows"] == ahead.rows
    for found in (ahead, after):
        assert found.verdict == "identical", found.differences
    assert ahead.compared == after.compared


@pytest.mark.soak
def test_a_very_awkward_database(
    awkward: Shop, make_database: MakeDatabase, every_table: None, compared: list[dict[str, Any]]
) -> None:
    database = make_database(with_least(awkward, "dump", "verify"))
    back_up(database)

    found = verdict(verify(database))

    assert found.verdict == "identical", found.differences
    assert compared[0]["ahead"]


@pytest.mark.one_flavour("mysql")
def test_what_comes_out_otherwise_is_found(
    least_shop: Shop,
    make_database: MakeDatabase,
    every_table: None,
    compared: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = make_database(least_shop)
    back_up(database)
    run_as_it_is = mysql.LoadingConnection.run

    def run_otherwise(connection: mysql.LoadingConnection, statement: bytes) -> None:
        run_as_it_is(connection, statement.replace(b"'Edsger'", b"'Eve'"))

    monkeypatch.setattr(mysql.LoadingConnection, "run", run_otherwise)

    run = verify(database)

    assert "customers" in compared[0]["ahead"]
    assert verdict(run).differences == ["rows customers differs after the restore"]


@pytest.mark.parametrize(
    "fault",
    [
        '"$REAL" "$@" | head --lines -3; exit 0',
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("echo lost >&2; exit 2", "kill -9 $$")),
    ],
)
@pytest.mark.one_flavour("mariadb")
def test_what_fails_ahead_is_dumped_with_the_rest(
    least_shop: Shop,
    make_database: MakeDatabase,
    every_table: None,
    compared: list[dict[str, Any]],
    settings: Settings,
    tmp_path: Path,
    fault: str,
) -> None:
    database = make_database(least_shop)
    back_up(database)
    settings.MYSQL_CLIENT_DIR = _clients(least_shop, tmp_path, f"if {OF_ONE_TABLE}; then {fault}; fi")

    run = verify(database)

    assert compared[0]["ahead"] == []
    assert verdict(run).verdict == "identical", verdict(run).differences
    assert verdict(run).rows == compared[0]["rows"] == 6


def _clients(shop: Shop, folder: Path, script: str) -> str:
    """A MYSQL_CLIENT_DIR whose dump program does something before it dumps."""
    program = {"mariadb": "mariadb_dump", "mysql": "mysqldump"}[shop.server.flavour]
    return wrapped_clients(shop, folder / "clients", **{program: f'{script}\nexec "$REAL" "$@"'})


# tests/dumping/test_dumps_at_once.py has them left to one program.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_names_that_the_dump_programs_mix_up(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, every_table: None
) -> None:
    shop = make_shop(
        mariadb_server,
        "CREATE TABLE items (id INT PRIMARY KEY); CREATE TABLE ITEMS (id INT PRIMARY KEY);"
        "CREATE TABLE ítems (id INT PRIMARY KEY); CREATE TABLE it_ms (id INT PRIMARY KEY);"
        "INSERT INTO items VALUES (1); INSERT INTO ITEMS VALUES (2), (3); INSERT INTO ítems VALUES (4);"
        "INSERT INTO it_ms VALUES (5);",
    )
    database = make_database(with_least(shop, "dump", "verify"))
    back_up(database)

    found = verdict(verify(database))

    assert found.verdict == "identical", found.differences
    assert (found.tables, found.rows) == (4, 5)


@pytest.mark.one_flavour("mysql")
def test_rows_that_a_later_step_may_change_are_not_dumped_ahead(
    mysql_server: DatabaseServer,
    make_database: MakeDatabase,
    every_table: None,
    compared: list[dict[str, Any]],
) -> None:
    shop = make_shop(
        mysql_server,
        "CREATE TABLE plain (id INT PRIMARY KEY);"
        "CREATE TABLE computed (id INT PRIMARY KEY, twice INT AS (id * 2) STORED);"
        "CREATE TABLE checked (id INT PRIMARY KEY, CONSTRAINT positive CHECK (id > 0));"
        "INSERT INTO plain VALUES (1); INSERT INTO computed (id) VALUES (1); INSERT INTO checked VALUES (1);",
    )
    database = make_database(with_least(shop, "dump", "verify"))
    back_up(database)

    found = verdict(verify(database))

    assert found.verdict == "identical", found.differences
    assert compared[0]["ahead"] == ["plain"]


# ---------------------------------------------------------------- However it ends


@pytest.fixture
def looking(mariadb_server: DatabaseServer, make_portal: MakePortal, tmp_path: Path) -> Iterator[Looking]:
    """A verification that stands still while a table is dumped again and others wait to be loaded."""
    shop = make_shop(
        mariadb_server,
        "CREATE TABLE large (id INT PRIMARY KEY, text TEXT);"
        "INSERT INTO large SELECT seq, REPEAT(MD5(seq), 130) FROM seq_1_to_4500;",
    )
    portal = make_portal(with_least(shop, "dump", "verify"))
    assert portal.backup().code == 0
    mark = tmp_path / "looking"
    clients = _clients(portal.shop, tmp_path, f"if {OF_ONE_TABLE}; then touch {mark}; sleep 60; fi")
    environment = {"MYSQL_CLIENT_DIR": clients, "RESTORE_CONNECTIONS": "2"}
    running = portal.start("verify", "--json", real=True, **environment)
    wait_until(mark.exists, "the first table to be dumped again")
    yield portal, running
    running.kill()
    running.communicate()


Looking = tuple[Portal, subprocess.Popen[str]]


# tests/actions/test_left.py has one that is cancelled and one that is killed.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_cancelled(looking: Looking) -> None:
    portal, running = looking
    portal.cancel("verify")
    asked = time.monotonic()
    ran = portal.finish(running)

    assert time.monotonic() - asked < 5
    assert ran.code == 130
    assert scratch_databases(portal.shop.server) == []
    assert portal.leftovers() == []


@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_killed(looking: Looking) -> None:
    portal, running = looking
    os.kill(running.pid, signal.SIGKILL)
    running.wait()

    portal.shell(TEND)

    assert scratch_databases(portal.shop.server) == []
    wait_until(lambda: portal.leftovers() == [], "what was started to end")
    assert portal.manage("verify", "--json").json["verdict"] == "identical"
