"""Databases and repositories to look after. Where the server's flavour does not matter: MariaDB."""

from __future__ import annotations

import pytest

from backups.models import Database
from tests.backups.conftest import (  # noqa: F401
    MakeDatabase,
    empty_repository,
    make_database,
    make_portal,
    mariadb_shop,
    migrated,
    repository,
)
from tests.backups.worlds import Shop
from tests.verify.tools import with_least


@pytest.fixture
def least_shop(mariadb_shop: Shop) -> Shop:  # noqa: F811
    """The small database, seen by one who may dump and verify and no more."""
    return with_least(mariadb_shop, "dump", "verify")


@pytest.fixture
def database(least_shop: Shop, make_database: MakeDatabase) -> Database:  # noqa: F811
    """Its row, in a repository of its own."""
    return make_database(least_shop)
