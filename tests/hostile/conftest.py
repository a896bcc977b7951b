"""An honest portal to try against what is hostile."""

from tests.backups.conftest import (  # noqa: F401
    back_up,
    empty_repository,
    make_database,
    make_portal,
    mariadb_shop,
    migrated,
    repository,
)
