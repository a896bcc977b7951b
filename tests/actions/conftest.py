"""Databases to back up, and to verify, each of these seen by a user with the least grants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.actions.tools import scratch_databases, with_least
from tests.backups.conftest import (  # noqa: F401
    MakeDatabase,
    awkward,
    back_up,
    bucket,
    empty_repository,
    make_database,
    make_portal,
    mariadb_portal,
    mariadb_shop,
    migrated,
    portal,
    repository,
    s3_repository,
    shop,
)
from tests.backups.worlds import Shop
from tests.servers import DatabaseServer
from tests.shipping.conftest import (  # noqa: F401
    own_server,
    server,
    shared_mariadb,
    shared_mysql,
    ship,
)


@pytest.fixture
def least_shop(shop: Shop) -> Shop:  # noqa: F811
    """The small database, on each flavour, seen by one who may dump and verify and no more."""
    return with_least(shop, "dump", "verify")


@pytest.fixture
def mariadb_least_shop(mariadb_shop: Shop) -> Shop:  # noqa: F811
    """The same where the server's flavour does not matter."""
    return with_least(mariadb_shop, "dump", "verify")


@pytest.fixture(autouse=True)
def no_scratch_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test leaves the servers without a scratch database."""
    names = {"mariadb_server", "mysql_server", "db_server"} & set(request.fixturenames)
    servers: list[DatabaseServer] = [request.getfixturevalue(name) for name in names]
    yield
    for each in servers:
        assert scratch_databases(each) == []
