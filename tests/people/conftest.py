"""A portal with people of every role."""

from __future__ import annotations

from tests.admin.conftest import database, login, person, quick_passwords, roles, status_folder

__all__ = ["database", "login", "person", "quick_passwords", "roles", "status_folder"]
