"""Portals that keep a copy of themselves in the repository, on SQLite and on both servers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.backups.conftest import (
    MakePortal,
    back_up,
    empty_repository,
    make_database,
    make_portal,
    migrated,
    repository,
)
from tests.backups.worlds import Portal, Shop
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer, PostgreSQLServer

__all__ = [
    "back_up",
    "empty_repository",
    "make_database",
    "make_portal",
    "migrated",
    "repository",
]

NewDatabase = Callable[[], dict[str, str]]


@pytest.fixture
def mariadb_shop(mariadb_server: DatabaseServer) -> Iterator[Shop]:
    """A small database and a user who may restore it."""
    shop = make_restorable(mariadb_server)
    yield shop
    drop_all(shop)


@pytest.fixture(params=["sqlite", "mariadb", "mysql", "postgresql"])
def new_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """Makes an empty database for a portal, as DATABASE_URL names it; SQLite makes its own."""
    if request.param == "sqlite":
        yield dict
        return
    if request.param == "postgresql":
        postgresql: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        yield lambda: {"DATABASE_URL": postgresql.new_database()}
        return
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    made: list[str] = []

    def make() -> dict[str, str]:
        name = f"portal_{secrets.token_hex(4)}"
        made.append(name)
        server.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        server.create_user(name, "opens", [f"ALL ON `{name}`.*"])
        return {"DATABASE_URL": f"mysql://{name}:opens@{server.host}:{server.port}/{name}"}

    yield make
    for name in made:
        server.execute(f"DROP DATABASE `{name}`; DROP USER '{name}'@'%'")


@pytest.fixture
def portal(mariadb_shop: Shop, make_portal: MakePortal) -> Portal:
    """A portal that has backed up once, and itself with it."""
    portal = make_portal(mariadb_shop, BACKUP_PORTAL="true")
    ran = portal.backup()
    assert ran.code == 0, ran.err
    return portal
