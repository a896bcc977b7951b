"""Databases and repositories to look after. Where the server's flavour does not matter: MariaDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backups.models import Database
from tests.actions.tools import with_least
from tests.backups.conftest import (  # noqa: F401
    MakeDatabase,
    another_repository,
    empty_repository,
    make_database,
    make_portal,
    mariadb_shop,
    migrated,
    repository,
)
from tests.backups.worlds import Shop
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer


@pytest.fixture
def least_shop(mariadb_shop: Shop) -> Shop:  # noqa: F811
    """The small database, seen by one who may dump and verify and no more."""
    return with_least(mariadb_shop, "dump", "verify")


@pytest.fixture
def restorable_shop(mariadb_server: DatabaseServer) -> Iterator[Shop]:
    """One whose user may restore it."""
    shop = make_restorable(mariadb_server)
    yield shop
    drop_all(shop)


@pytest.fixture
def database(least_shop: Shop, make_database: MakeDatabase) -> Database:  # noqa: F811
    """Its row, in a repository of its own."""
    return make_database(least_shop)
