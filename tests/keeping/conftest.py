"""The shops and portals of the backups' tests."""

from tests.backups.conftest import (
    back_up,
    empty_repository,
    make_database,
    make_portal,
    mariadb_portal,
    mariadb_shop,
    migrated,
    repository,
)

__all__ = [
    "back_up",
    "empty_repository",
    "make_database",
    "make_portal",
    "mariadb_portal",
    "mariadb_shop",
    "migrated",
    "repository",
]
