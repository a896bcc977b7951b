"""The shops and portals of the backups' tests."""

from tests.backups.conftest import awkward, empty_repository, make_portal, mariadb_shop, migrated, shop

__all__ = ["awkward", "empty_repository", "make_portal", "mariadb_shop", "migrated", "shop"]
