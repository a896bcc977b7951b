"""What of a verification is in its server's binary log: nothing where that can be, else it is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from backups import mysql
from backups.actions import verify as verification
from backups.actions.steps.dumped_again import dump_again
from backups.choices import RestoreMode
from backups.models import Database, Run, Verification
from backups.mysql import answers, binary_log
from backups.worker import reaper
from tests.actions.tools import back_up, log_of, scratch_databases, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import SHOP, Shop, make_shop
from tests.restoring.stories import drop_all, make_restorable, restore, succeeded, undo
from tests.servers import DatabaseServer

RIGHT = {"mariadb": "BINLOG ADMIN", "mysql": "SESSION_VARIABLES_ADMIN"}
LEFT_OUT = {"state": "left_out", "because": "", "do": ""}


def grant(shop: Shop, verb: str = "GRANT") -> None:
    """The right to leave sessions out of the binary log."""
    to = "TO" if verb == "GRANT" else "FROM"
    shop.server.execute(f"{verb} {RIGHT[shop.server.flavour]} ON *.* {to} '{shop.user}'@'%'")


@dataclass
class Log:
    """A server's binary log, from now on."""

    server: DatabaseServer

    def __post_init__(self) -> None:
        self._file, self._position = self._end()

    def _end(self) -> tuple[str, int]:
        show = "SHOW BINARY LOG STATUS" if self.server.flavour == "mysql" else "SHOW MASTER STATUS"
        ((file, position, *_),) = self.server.query(show)
        return str(file), int(position)

    @property
    def statements(self) -> list[str]:
        """What the events say: statements, and which table rows are of."""
        assert self._end()[0] == self._file
        rows = self.server.query(f"SHOW BINLOG EVENTS IN '{self._file}' FROM {self._position}")
        return [str(row[5]) for row in rows]

    def naming(self, text: str) -> list[str]:
        """Those that name a database, a table or whatever."""
        return [statement for statement in self.statements if text in statement]


@pytest.fixture
def least(tls_server: DatabaseServer) -> Shop:
    """A shop on a server with a binary log, seen by who may dump and verify and no more."""
    return with_least(make_shop(tls_server), "dump", "verify")


# MySQL has one unless it is told otherwise.
@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.soak), 3])
def test_a_verification_is_in_no_binary_log(
    least: Shop, make_database: MakeDatabase, settings: Settings, connections: int
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    grant(least)
    database = make_database(least)
    snapshot = back_up(database)
    log = Log(least.server)

    run = verify(database, snapshot)

    assert verdict(run).verdict == "identical", verdict(run).differences
    assert run.result["binary_log"] == LEFT_OUT
    assert log.statements == []
    assert "binary log" not in log_of(run)
    least.server.execute("CREATE DATABASE seen_in_the_log")
    least.server.execute("DROP DATABASE seen_in_the_log")
    assert len(log.naming("seen_in_the_log")) == 2


@pytest.mark.one_flavour("mysql")
def test_without_the_right_it_is_said_everywhere_and_the_grant_ends_it(
    least: Shop,
    make_database: MakeDatabase,
    admin_client: Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database = make_database(least)
    back_up(database)
    log = Log(least.server)

    run = verify(database)

    told = run.result["binary_log"]
    assert any("CREATE DATABASE" in statement for statement in log.naming("__verify_"))
    assert any("DROP DATABASE" in statement for statement in log.naming("__verify_"))
    assert told["state"] == "written"
    assert least.user in told["because"]
    assert f"{least.server.host}:{least.server.port}" in told["because"]
    statement = told["do"].partition(": ")[2].partition(";")[0]
    assert "set VERIFY_MYSQL_HOST to a server without replicas" in told["do"]
    assert told["because"] in log_of(run)
    found = Verification.objects.get(run=run)
    for page in (f"/admin/backups/verification/{found.pk}/change/", f"/admin/backups/run/{run.pk}/change/"):
        assert "its replicas load them too" in admin_client.get(page).content.decode(), page
    assert _preflight(database, capsys)["binary_log"] == told

    least.server.execute(statement)

    assert _preflight(database, capsys)["binary_log"] == LEFT_OUT
    again = verify(database)
    assert again.result["binary_log"] == LEFT_OUT
    page = admin_client.get(f"/admin/backups/run/{again.pk}/change/").content.decode()
    assert "its replicas load them too" not in page


def _preflight(database: Database, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the command tells as JSON, its warnings checked against it; it need not succeed."""
    capsys.readouterr()
    with suppress(SystemExit):
        call_command("preflight", "--json", "--database", database.name)
    told: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    because = told["binary_log"]["because"]
    warned = [check["detail"] for check in told["checks"] if "binary log of the server" in check["detail"]]
    assert warned == ([f"{because} {told['binary_log']['do']}"] if because else [])
    return told


@pytest.mark.one_flavour("mysql")
def test_what_a_restore_makes_is_always_in_the_log(
    tls_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_restorable(tls_server, SHOP)
    grant(shop)
    database = make_database(shop)
    snapshot = back_up(database)
    target = f"{shop.name}_new"
    # MariaDB logs such statements as they are, unless it is told otherwise.
    rows = {"mariadb": f"use `{shop.name}`", "mysql": f"({shop.name}.customers)"}[tls_server.flavour]

    for mode, wishes, named in (
        (RestoreMode.NEW, {"target": target}, f"`{target}`"),
        (RestoreMode.REPLACE, {"without_safety": True}, f"{shop.name}__restore_"),
        (RestoreMode.IN_PLACE, {"without_safety": True}, rows),
    ):
        log = Log(tls_server)
        run = succeeded(restore(database, mode, snapshot=snapshot, **wishes))
        assert log.naming(named), (mode, log.statements)
        if mode == RestoreMode.REPLACE:
            log = Log(tls_server)
            succeeded(undo(run))
            assert log.naming("RENAME TABLE"), log.statements
    drop_all(shop)


@pytest.mark.one_flavour("mariadb")
def test_a_right_that_is_lost_half_way_ends_it_before_replicas_get_half(
    least: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(least)
    database = make_database(least)
    back_up(database)
    _between(monkeypatch, lambda: grant(least, "REVOKE"))
    log = Log(least.server)

    run = verify(database)

    assert run.status == "failed"
    assert run.error_code == "mysql.into_binary_log", run.error
    assert not Verification.objects.filter(run=run).exists()
    assert [each for each in log.naming("__verify_") if "DROP DATABASE IF EXISTS" not in each] == []
    assert len(log.naming("__verify_")) == 1
    assert run.result["binary_log"]["state"] == "drop_written"
    assert run.result["binary_log"]["because"] in log_of(run)
    assert scratch_databases(least.server) == []


# Below, a right that is lost half-way.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_a_right_that_comes_half_way_leaves_replicas_nothing(
    least: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(least)
    back_up(database)
    _between(monkeypatch, lambda: grant(least))
    log = Log(least.server)

    run = verify(database)

    assert run.status == "succeeded", run.error
    assert run.result["binary_log"]["state"] == "written"
    assert any("DROP DATABASE" in statement for statement in log.naming("__verify_"))


def _between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Have something happen once all is loaded, and before it is compared."""

    def after_that(*given: object) -> object:
        happens()
        return dump_again(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(verification, "dump_again", after_that)


@pytest.mark.parametrize(
    "noted",
    [LEFT_OUT, None, *(pytest.param(each, marks=pytest.mark.soak) for each in ({"state": "written"}, 7))],
)
@pytest.mark.one_flavour("mysql")
def test_what_a_killed_verification_left_is_dropped_as_it_was_made(
    least: Shop, make_database: MakeDatabase, noted: object
) -> None:
    grant(least)
    database = make_database(least)
    run = Run.objects.create(
        action="verify", database=database, repository=database.repository, status="lost", trigger="cli"
    )
    name = f"{database.database[:40]}__verify_{run.pk}"
    run.result = {"scratch": name, **({} if noted is None else {"binary_log": noted})}
    run.save()
    least.server.create_database(name)
    log = Log(least.server)

    reaper.run()

    assert scratch_databases(least.server) == []
    assert bool(log.naming(name)) == (noted != LEFT_OUT)


def test_without_a_binary_log_nothing_is_said(
    mariadb_shop: Shop, make_database: MakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database = make_database(with_least(mariadb_shop, "dump", "verify"))
    back_up(database)

    run = verify(database)

    assert run.result["binary_log"] == {"state": "off", "because": "", "do": ""}
    assert "binary log" not in log_of(run)
    assert _preflight(database, capsys)["binary_log"] == run.result["binary_log"]


@pytest.mark.one_flavour("mariadb")
def test_a_node_of_a_cluster_is_left_as_it_is(
    least: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server here is one, so what it says of itself is made up."""
    grant(least)
    database = make_database(least)

    def as_a_node(connection: Any, statement: str, *rest: Any, **kept: Any) -> list[tuple[Any, ...]]:
        if "wsrep_on" in statement:
            return [("wsrep_on", "ON"), ("wsrep_provider", "/usr/lib/galera/libgalera_smm.so")]
        return answers.fetch_rows(connection, statement, *rest, **kept)

    monkeypatch.setattr(binary_log, "fetch_rows", as_a_node)
    back_up(database)
    log = Log(least.server)

    run = verify(database)

    assert run.status == "succeeded", run.error
    assert run.result["binary_log"]["state"] == "cluster"
    assert log.naming("__verify_")


@pytest.mark.soak
def test_a_filter_of_the_servers_keeps_it_out_for_everybody() -> None:
    with DatabaseServer("mysql", options=["--binlog-do-db=shop"]) as server:
        server.create_user("seeing", "x", ["REPLICATION CLIENT ON *.*"])
        as_user = mysql.Server(server.host, server.port, "seeing", "x")
        with mysql.connect(as_user) as connection:
            found = [mysql.try_to_leave_out(connection, name) for name in ("shop", "shop__verify_1")]

    assert found == [mysql.InLog.WRITTEN, mysql.InLog.OFF]
