"""The rights of a restore belong to a second user, who exists in the hour of need alone."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from backups.actions import preflight
from backups.actions.steps import checks, rights
from backups.choices import RestoreMode
from backups.endpoints import database_server, restoring_server, scratch_server
from backups.models import Database, Server
from tests.actions.tools import back_up, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import PROJECT, Shop, make_shop
from tests.restoring.stories import content, databases_of, failed, log_of, restore, succeeded, undo, untouched
from tests.servers import DatabaseServer


def guide(server: DatabaseServer, database: str, user: str) -> tuple[str, str]:
    """How docs/install.md makes and drops the user, for this database."""
    text = (PROJECT / "docs" / "install.md").read_text()
    section = text.partition("#### A user for restores alone")[2].partition("\n####")[0]
    mariadb, mysql, drop = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    make = mariadb if server.flavour == "mariadb" else mysql
    escaped = database.replace("_", r"\_")
    named = (part.replace("vedetta_restore", user).replace("`orders", f"`{escaped}") for part in (make, drop))
    made, dropped = named
    return made, dropped


@pytest.mark.one_flavour("mysql")
def test_rights_that_are_taken_away_as_the_guide_says_leave_those_of_backups(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """They go with ALL on the database, and a gate that closes a day later tells nobody why."""
    shop = with_least(make_shop(db_server), "dump", "verify", "restore")
    text = (PROJECT / "docs" / "install.md").read_text()
    section = text.partition("#### Rights of restores that are there already")[2].partition("\n####")[0]
    (statements,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    flavours = dict(
        zip(("mariadb", "mysql"), re.findall(r"``(REVOKE .*?;)``", section, re.DOTALL), strict=True)
    )
    escaped = shop.name.replace("_", r"\_")
    database = make_database(shop)
    assert rights.held_too_much(database)

    for statement in (statements, flavours[db_server.flavour]):
        named = statement.replace("'vedetta'", f"'{shop.user}'").replace("`orders", f"`{escaped}")
        db_server.execute(named)

    assert rights.held_too_much(database) == []
    assert back_up(database).pk
    db_server.execute(f"DROP DATABASE `{shop.name}`")


@pytest.fixture
def shop(db_server: DatabaseServer) -> Iterator[Shop]:
    """A shop seen by who may dump and verify it and no more."""
    least = with_least(make_shop(db_server), "dump", "verify")
    yield least
    for name in databases_of(least):
        db_server.execute(f"DROP DATABASE `{name}`")


def told(database: Database) -> dict[str, checks.Check]:
    """What a preflight says, by the names of its checks."""
    return {check.name: check for check in preflight.checks(database, checks.Found())}


@pytest.mark.one_flavour("mariadb")
def test_a_restore_and_what_follows_is_done_as_a_user_who_is_dropped_again(
    shop: Shop, make_database: MakeDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, user = shop.server, f"hour_{secrets.token_hex(4)}"
    settings.RESTORE_MYSQL_USER = user
    settings.MYSQL_HOST, settings.MYSQL_PORT = server.host, server.port
    monkeypatch.setenv("RESTORE_MYSQL_PASSWORD", "another password")
    database = make_database(shop)
    make, drop = guide(server, shop.name, user)

    back_up(database)
    assert verdict(verify(database)).verdict == "identical"
    without = told(database)["restore user"]
    assert (without.ok, without.warning) == (True, False)
    assert f"RESTORE_MYSQL_USER {user} cannot be used now" in without.detail
    with untouched(shop):
        error = failed(restore(database, RestoreMode.REPLACE))
    assert f"refuses user {user}: wrong user or password" in error
    assert "Check RESTORE_MYSQL_USER and RESTORE_MYSQL_PASSWORD" in error

    server.load(make)
    assert told(database)["restore user"].detail == f"RESTORE_MYSQL_USER {user} may replace {shop.name}."
    was = content(server, shop.name)
    shop.execute("DELETE FROM orders; DROP VIEW open_orders")
    deleted = content(server, shop.name)
    run = succeeded(restore(database, RestoreMode.REPLACE))
    assert content(server, shop.name) == was, log_of(run)
    succeeded(undo(run))
    assert content(server, shop.name) == deleted

    server.load(drop)
    back_up(database)
    assert server.query("SELECT 1 FROM mysql.user WHERE User = %s", None, [user]) == []


def test_its_password_is_for_the_environments_server_alone(
    mariadb_shop: Shop, make_database: MakeDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTORE_MYSQL_PASSWORD", "of the hour")
    database = make_database(mariadb_shop)
    assert restoring_server(database) == database_server(database)  # not set: the same

    settings.RESTORE_MYSQL_USER = "hour"
    settings.MYSQL_HOST, settings.MYSQL_PORT = database.server.host, database.server.port
    assert (restoring_server(database).user, restoring_server(database).password) == ("hour", "of the hour")
    assert scratch_server(database).user == database_server(database).user == database.server.user
    there = database.server
    for host, port in (("another.example", there.port), (there.host, there.port + 1)):
        elsewhere = Database(name="b", server=Server(host=host, port=port, user="b"))
        assert restoring_server(elsewhere).user == "b"
