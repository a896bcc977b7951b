"""Portals whose own database is an SQLite file, on MariaDB or on PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.backups.conftest import MakePortal, empty_repository, make_portal, migrated
from tests.backups.worlds import Portal, Shop
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer, PostgreSQLServer

__all__ = ["empty_repository", "make_portal", "migrated"]

# An empty database for a portal, or one with a portal's tables; nothing for SQLite, which makes its own.
NewDatabase = Callable[[bool], dict[str, str]]


def new_mariadb(server: DatabaseServer, charset: str = "utf8mb4") -> str:
    """DATABASE_URL of an empty database on MariaDB."""
    name = f"portal_{secrets.token_hex(4)}"
    server.execute(f"CREATE DATABASE `{name}` CHARACTER SET {charset}")
    server.create_user(name, "opens", [f"ALL ON `{name}`.*"])
    return f"mysql://{name}:opens@{server.host}:{server.port}/{name}"


@pytest.fixture
def mariadb_shop(mariadb_server: DatabaseServer) -> Iterator[Shop]:
    """A small database and a user who may restore it."""
    shop = make_restorable(mariadb_server)
    yield shop
    drop_all(shop)


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.soak),
        pytest.param("mariadb", marks=pytest.mark.soak),
        "postgresql",
    ]
)
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """On each kind in turn, in the environment's words."""
    kind: str = request.param

    def make(is_migrated: bool = False) -> dict[str, str]:
        if kind == "postgresql":
            postgresql: PostgreSQLServer = request.getfixturevalue("postgresql_server")
            return {"DATABASE_URL": postgresql.new_database(migrated=is_migrated)}
        if kind == "mariadb":
            return {"DATABASE_URL": new_mariadb(request.getfixturevalue("mariadb_server"))}
        return {}

    return make


@pytest.fixture
def portal(mariadb_shop: Shop, make_portal: MakePortal, new_database: NewDatabase) -> Portal:
    """A portal that is set up, on each kind in turn."""
    return make_portal(mariadb_shop, **new_database(True))
