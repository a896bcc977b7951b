"""Shops whose user may restore, and the portals of the backups' tests."""

from __future__ import annotations

import pytest

from tests.backups.conftest import s3_repository
from tests.faults.killing import TALLY
from tests.restoring.conftest import (
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
    "s3_repository",
    "shop",
    "stage",
]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was killed how often is said also where all went well."""
    for line in TALLY.lines():
        terminalreporter.write_line(f"kills: {line}")
