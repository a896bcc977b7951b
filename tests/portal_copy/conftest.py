"""Portals that keep a copy of themselves in the repository, on SQLite and on both servers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backups.conftest import (
    back_up,
    empty_repository,
    make_database,
    make_portal,
    migrated,
    repository,
)
from tests.backups.kept import Kept
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


@pytest.fixture(scope="module")
def kept(
    mariadb_server: DatabaseServer,
    restic_path: Path,
    empty_repository: Path,
    migrated: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kept]:
    """Made once for all tests of a file."""
    shop = make_restorable(mariadb_server)
    folder = tmp_path_factory.mktemp("kept") / "portal"
    yield Kept(folder, shop, restic_path, (empty_repository, migrated), BACKUP_PORTAL="true")
    drop_all(shop)


@pytest.fixture
def portal(kept: Kept) -> Iterator[Portal]:
    """A portal that has backed up once, and itself with it. Leave its shop as it is."""
    with kept.as_it_was() as portal:
        yield portal
