"""The databases and repositories that are looked after."""

from tests.backups.conftest import (
    another_repository,
    bucket,
    empty_repository,
    make_database,
    make_portal,
    mariadb_shop,
    migrated,
    repository,
    s3_repository,
)
from tests.repositories.conftest import database, least_shop, restorable_shop

__all__ = [
    "another_repository",
    "bucket",
    "database",
    "empty_repository",
    "least_shop",
    "make_database",
    "make_portal",
    "mariadb_shop",
    "migrated",
    "repository",
    "restorable_shop",
    "s3_repository",
]
