"""The databases and repositories that are looked after."""

from tests.backups.conftest import empty_repository, make_database, mariadb_shop, repository
from tests.repositories.conftest import database, least_shop, restorable_shop

__all__ = [
    "database",
    "empty_repository",
    "least_shop",
    "make_database",
    "mariadb_shop",
    "repository",
    "restorable_shop",
]
