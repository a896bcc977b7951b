"""Shops whose user may restore, and the portals of the backups' tests."""

from __future__ import annotations

from tests.restore.conftest import (
    back_up,
    bucket,
    empty_repository,
    make_database,
    make_portal,
    mariadb_shop,
    migrated,
    repository,
    shop,
    stage,
)

__all__ = [
    "back_up",
    "bucket",
    "empty_repository",
    "make_database",
    "make_portal",
    "mariadb_shop",
    "migrated",
    "repository",
    "shop",
    "stage",
]
