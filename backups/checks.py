"""System checks: what would fail later is said by `manage.py check` and at every start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection

from backups import process, validators
from backups.text.sentences import phrase


@checks.register
def repository_has_no_password(**_: Any) -> list[checks.CheckMessage]:
    """E001: a password in the location would end up in the database and on pages."""
    if not validators.has_password(settings.RESTIC_REPOSITORY):
        return []
    return [
        checks.Error(
            phrase("RESTIC_REPOSITORY holds a password."),
            hint=phrase("Take it out; for a REST server set RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD."),
            id="backups.E001",
        )
    ]


@checks.register(checks.Tags.database)
def database_holds_all_characters(**_: Any) -> list[checks.CheckMessage]:
    """E003: before a table is made that cannot hold them; W003 where there are such tables already."""
    from backups.reports.own_database import charset_problem

    if (found := charset_problem()) is None:
        return []
    kind, number = (
        (checks.Warning, "W003") if connection.introspection.table_names() else (checks.Error, "E003")
    )
    return [kind(found[0], hint=found[1], id=f"backups.{number}")]


@checks.register
def programs_are_installed(**_: Any) -> list[checks.CheckMessage]:
    """W001 and W002: without restic and a MySQL client every backup fails."""
    messages: list[checks.CheckMessage] = []
    if process.find_program("restic") is None:
        messages.append(
            checks.Warning(
                phrase("restic is not installed."), hint=phrase("Run `make setup`."), id="backups.W001"
            )
        )
    if not process.find_program("mariadb-dump", "mysqldump", folder=settings.MYSQL_CLIENT_DIR):
        messages.append(
            checks.Warning(
                phrase("No MySQL or MariaDB client is installed."),
                hint=phrase("Run `make setup`, or set MYSQL_CLIENT_DIR."),
                id="backups.W002",
            )
        )
    return messages
