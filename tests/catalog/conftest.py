"""The repository of the backups' tests."""

from tests.backups.conftest import empty_repository, repository

__all__ = ["empty_repository", "repository"]
