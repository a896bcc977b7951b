"""Shops that can be restored, on each flavour, and the portals of the backups' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups.conftest import (
    back_up,
    bucket,
    empty_repository,
    make_database,
    make_portal,
    migrated,
    repository,
    s3_repository,
)
from tests.backups.worlds import Shop
from tests.restoring.plays import Stage, staged
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import FLAVOURS, DatabaseServer

__all__ = [
    "back_up",
    "bucket",
    "empty_repository",
    "make_database",
    "make_portal",
    "migrated",
    "repository",
    "s3_repository",
]


@pytest.fixture
def shop(db_server: DatabaseServer) -> Iterator[Shop]:
    """A small database of all kinds of objects and a user who may restore it, on each flavour."""
    shop = make_restorable(db_server)
    yield shop
    drop_all(shop)


@pytest.fixture
def mariadb_shop(mariadb_server: DatabaseServer) -> Iterator[Shop]:
    """The same where the server's flavour does not matter."""
    shop = make_restorable(mariadb_server)
    yield shop
    drop_all(shop)


@pytest.fixture(scope="module", params=FLAVOURS)
def stage(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    restic_path: Path,
    empty_repository: Path,
    migrated: Path,
) -> Iterator[Stage]:
    """A shop on a server of its own, which nobody minds being killed, and its portal."""
    folder = tmp_path_factory.mktemp("stage") / request.param
    with staged(request.param, folder, restic_path, empty_repository, migrated) as stage:
        yield stage
