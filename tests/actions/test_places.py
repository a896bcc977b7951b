"""Which server test restores go to: what preflight says of it, and what becomes of what died there."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from backups import endpoints, mysql
from backups.actions import preflight
from backups.actions.steps.checks import Found
from backups.models import Database, Run, Server
from backups.worker import reaper
from tests.actions.tools import scratch_databases, with_least, with_user
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.rows import a_server
from tests.servers import DatabaseServer
from tools.ports import free_port

PLACE = {
    "verify_host": "verify.example",
    "verify_user": "verifier",
    "verify_password_ref": "env:VERIFY_SHOP",
}


def looked_at(database: Database) -> tuple[bool, str, list[str]]:
    """What preflight finds of the place, and its warnings."""
    checks = list(preflight.checks(database, Found()))
    (found,) = [check for check in checks if check.name == "test restores"]
    return found.ok, found.detail, [check.detail for check in checks if check.warning]


def named(
    database: Database, place: Shop, monkeypatch: pytest.MonkeyPatch, *, port: int | None = None
) -> Database:
    """The database with a place of its own."""
    monkeypatch.setenv("VERIFY_SHOP", place.password)
    database.verify_host, database.verify_port = place.server.host, port or place.server.port
    database.verify_user, database.verify_password_ref = place.user, "env:VERIFY_SHOP"
    database.save()
    return database


def test_preflight_says_where_test_restores_go(
    mariadb_shop: Shop, make_database: MakeDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(mariadb_shop)
    address = f"{mariadb_shop.server.host}:{mariadb_shop.server.port}"
    ok, told, warnings = looked_at(database)
    assert ok
    (warning,) = [each for each in warnings if "No verification of" in each]
    assert (
        f"{mariadb_shop.user} may not make and fill databases such as {mariadb_shop.name}__verify_1"
        in warning
    )
    assert "Run as an administrator: GRANT ALL ON" in warning
    assert told == (
        f"Test restores go to the database's own server, {address}, into databases beside it. They are safer "
        "on a server that holds nothing else: set VERIFY_MYSQL_HOST to one."
    )

    allowed = with_least(mariadb_shop, "verify")
    named(database, allowed, monkeypatch)
    ok, told, warnings = looked_at(database)
    assert ok, told
    assert not [each for each in warnings if "No verification of" in each]
    assert told.startswith("Test restores go to MariaDB 10.11.")
    assert told.endswith(
        f" at {address} (see the host and port for test restores of {database} in the portal)."
    )
    assert [each for each in warnings if "test restore" in each] == []


@pytest.mark.parametrize("wrong", ["rights", "kind", "away", "secret"])
def test_preflight_says_what_a_verification_would_stumble_over_and_no_backup_does(
    wrong: str,
    mariadb_shop: Shop,
    mysql_server: DatabaseServer,
    make_database: MakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = make_database(mariadb_shop)
    own = f"test restores of {database}"
    if wrong == "kind":
        place = with_user(Shop(mysql_server, mariadb_shop.name, "", ""), [])
        sentence = f"name a server of MariaDB for {own} in the portal."
    else:
        place = with_user(mariadb_shop, [])
        escaped = database.database.replace("_", r"\_")
        sentence = {
            "rights": rf"GRANT ALL ON `{escaped}\_\_verify\_%`.* TO '{place.user}'@'%'; "
            f"or name another server for {own} in the portal.",
            "away": f"the host and port for {own} in the portal",
            "secret": f"The secret env:VERIFY_SHOP (the password for {own}) is not set.",
        }[wrong]
    named(database, place, monkeypatch, port=free_port() if wrong == "away" else None)
    if wrong == "secret":
        monkeypatch.delenv("VERIFY_SHOP")

    ok, told, _ = looked_at(database)

    assert not ok
    assert sentence in told
    preflight.make_ready(database)


def test_another_release_is_worth_a_warning(
    mariadb_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = named(make_database(mariadb_shop), with_least(mariadb_shop, "verify"), monkeypatch)
    probe = mysql.probe
    of_live = mariadb_shop.user

    def older(connection: object) -> object:
        found = probe(connection)
        ((user,),) = _rows(connection, "SELECT CURRENT_USER()")
        return found if not user.startswith(of_live) else type(found)(found.flavour, "10.6.1-MariaDB")

    monkeypatch.setattr("backups.actions.preflight.mysql.probe", older)

    ok, told, warnings = looked_at(database)

    assert ok, told
    assert any(
        each.startswith(f"{database} is on MariaDB 10.6.1, but its test restores go to MariaDB 10.11.")
        for each in warnings
    )


def _rows(connection: object, sql: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(sql)
        return list(cursor.fetchall())


@pytest.mark.parametrize(
    ("row", "environment", "address", "tls", "tls_set_by"),
    [
        ({}, {}, "db.example", "REQUIRED", "MYSQL_SSL_MODE"),
        ({}, {"HOST": "env.example"}, "env.example", "REQUIRED", "MYSQL_SSL_MODE"),
        (
            {},
            {"HOST": "env.example", "SSL_MODE": "PREFERRED"},
            "env.example",
            "PREFERRED",
            "VERIFY_MYSQL_SSL_MODE",
        ),
        (PLACE, {"HOST": "env.example"}, "verify.example", "REQUIRED", "MYSQL_SSL_MODE"),
        (
            {**PLACE, "verify_ssl_mode": "DISABLED"},
            {"HOST": "env.example", "SSL_MODE": "PREFERRED"},
            "verify.example",
            "DISABLED",
            "the TLS mode for test restores of shop in the portal",
        ),
        (
            {**PLACE, "is_primary": False},
            {},
            "verify.example",
            "REQUIRED",
            "the TLS mode of server db in the portal",
        ),
    ],
)
def test_the_row_comes_before_the_environment_and_that_before_the_live_server(
    row: dict[str, object],
    environment: dict[str, str],
    address: str,
    tls: str,
    tls_set_by: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MYSQL_PASSWORD", "VERIFY_MYSQL_PASSWORD", "VERIFY_SHOP"):
        monkeypatch.setenv(name, name)
    settings.VERIFY_MYSQL_USER = "u"
    for name, value in environment.items():
        setattr(settings, f"VERIFY_MYSQL_{name}", value)
    live = Server(name="db", host="db.example", user="u", ssl_mode="REQUIRED")
    database = Database(**{"name": "shop", "server": live, "is_primary": True, **row})

    server = endpoints.scratch_server(database)

    assert (server.host, server.ssl_mode, server.ssl_mode_set_by) == (address, tls, tls_set_by)


@pytest.mark.parametrize(
    ("user", "is_set", "named_by"),
    [
        ("verifier", True, "VERIFY_MYSQL_USER"),
        ("u", True, "VERIFY_MYSQL_USER"),
        ("u", False, "MYSQL_USER (as VERIFY_MYSQL_USER is not set)"),
    ],
)
def test_who_is_refused_there_is_found_where_it_was_set(
    user: str, is_set: bool, named_by: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_MYSQL_PASSWORD", "p")
    settings.VERIFY_MYSQL_HOST, settings.MYSQL_USER, settings.VERIFY_MYSQL_USER = "verify.example", "u", user
    if is_set:
        monkeypatch.setenv("VERIFY_MYSQL_USER", user)

    server = endpoints.scratch_server(
        Database(name="shop", server=Server(host="h", user="u"), is_primary=True)
    )

    assert server.account_set_by == f"{named_by} and VERIFY_MYSQL_PASSWORD"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"verify_host": "verify.example;ssl=0"}, "verify_host"),
        ({"verify_user": ""}, "verify_user"),
        ({"verify_port": 0}, "verify_port"),
        ({"verify_ssl_mode": "SOME"}, "verify_ssl_mode"),
        ({"verify_ssl_ca": "/a\nb"}, "verify_ssl_ca"),
        ({"verify_password_ref": "hunter2"}, "verify_password_ref"),
        ({"verify_password_ref": "env:SECRET_KEY"}, "verify_password_ref"),
        ({"verify_password_ref": "env:OF_SOMEBODY"}, "verify_password_ref"),
        ({"verify_password_ref": ""}, "verify_password_ref"),
        ({"verify_host": ""}, "verify_host"),
    ],
)
def test_a_place_is_fit_or_refused_by_its_field(db: None, wrong: dict[str, object], field: str) -> None:
    database = Database(name="shop", server=a_server(), database="shop", **PLACE)
    database.full_clean(exclude=["repository"])
    for name, value in wrong.items():
        setattr(database, name, value)

    with pytest.raises(ValidationError) as raised:
        database.full_clean(exclude=["repository"])

    assert list(raised.value.message_dict) == [field]


def test_what_a_verification_left_is_dropped_where_it_was_made(
    mariadb_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though test restores go to another server by now; and where nobody knows its way, a person is told."""
    database = make_database(with_least(mariadb_shop, "dump", "verify"))
    server = mariadb_shop.server

    def died(address: str) -> Run:
        run = Run.objects.create(
            action="verify", database=database, repository=database.repository, status="lost", trigger="cli"
        )
        where = {"address": address, "server": "MariaDB", "set_by": "MYSQL_HOST"}
        run.result = {"scratch": f"{database.database[:40]}__verify_{run.pk}", "verified_on": where}
        run.save()
        return run

    here, gone = died(f"{server.host}:{server.port}"), died("gone.example:3306")
    server.create_database(here.result["scratch"])
    monkeypatch.setenv("VERIFY_SHOP", "p")
    for name, value in PLACE.items():
        setattr(database, name, value)
    database.save()

    reaper.run()

    assert scratch_databases(server) == []
    for run in (here, gone):
        run.refresh_from_db()
        assert "scratch" not in run.result
    assert here.error == ""
    assert gone.error == (
        f"Its database {database.database}__verify_{gone.pk} may still be at 'gone.example:3306', where test "
        "restores do not go any more. Drop it there."
    )
