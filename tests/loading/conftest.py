"""The shops of the restores' tests."""

from tests.restoring.conftest import back_up, empty_repository, make_database, mariadb_shop, repository, shop

__all__ = ["back_up", "empty_repository", "make_database", "mariadb_shop", "repository", "shop"]
