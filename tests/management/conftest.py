"""The shop and portals of the restores' tests."""

from tests.restoring.conftest import empty_repository, make_portal, mariadb_shop, migrated

__all__ = ["empty_repository", "make_portal", "mariadb_shop", "migrated"]
