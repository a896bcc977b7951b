"""The shops and portals of the backups' tests."""

from tests.backups.conftest import empty_repository, make_portal, mariadb_portal, mariadb_shop, migrated

__all__ = ["empty_repository", "make_portal", "mariadb_portal", "mariadb_shop", "migrated"]
