"""What a restore would need here, told to whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings

from backups import mysql
from backups.actions.steps import room
from backups.actions.steps.checks import Check, Found
from backups.endpoints import restoring_server, to_verify_at, verifies_elsewhere
from backups.errors import Problem
from backups.models import Database
from backups.mysql import grants
from backups.text.sentences import phrase


def restore_user(database: Database) -> Check:
    """Whether RESTORE_MYSQL_USER could restore now; it need not be there but for a restore."""
    user = settings.RESTORE_MYSQL_USER
    try:
        with mysql.connect(restoring_server(database)) as connection:
            missing = grants.missing_for_replacing(connection, database.database)
    except Problem as problem:
        why = phrase("That is normal if you make this user for a restore and drop it afterwards.")
        detail = phrase(
            "RESTORE_MYSQL_USER {user} cannot be used now, and a restore needs it: {problem} {why}",
            user=user,
            problem=problem.what,
            why=why,
        )
        return Check(_RESTORING, ok=True, detail=detail)
    if missing:
        detail = phrase(
            "RESTORE_MYSQL_USER {user} may not replace {database} ({because}).",
            user=user,
            database=database.database,
            because=missing.because,
        )
        return Check(
            _RESTORING,
            True,
            phrase(
                "{detail} Run as an administrator: {statement}", detail=detail, statement=missing.statement
            ),
            warning=True,
        )
    return Check(
        _RESTORING,
        ok=True,
        detail=phrase(
            "RESTORE_MYSQL_USER {user} may replace {database}.", user=user, database=database.database
        ),
    )


def grants_to_come(database: Database, found: Found) -> Iterator[str]:
    """What a restore here would have to be granted. Told to whoever asks, and not with each backup."""
    if found.server is None or found.info is None:
        return
    with suppress(Problem), _as_restorer(database) as (user, connection):
        if missing := grants.missing_for_definers(connection, database.database):
            yield (
                phrase(
                    "{user} could not restore here what is backed up: {because}. Run as an "
                    "administrator: {statement}",
                    user=user,
                    because=missing.because,
                    statement=missing.statement,
                )
            )
        if missing := grants.missing_for_keys(connection, database.database):
            yield (
                phrase(
                    "{user} could not restore here all that is backed up: {because}. Run as an "
                    "administrator: {statement}",
                    user=user,
                    because=missing.because,
                    statement=missing.statement,
                )
            )


@contextmanager
def _as_restorer(database: Database) -> Iterator[tuple[str, Any]]:
    """Who restores the database, with a connection. Raises Problem."""
    server = restoring_server(database)
    with mysql.connect(server, database.database) as connection:
        yield server.user, connection


def room_unknown(database: Database, found: Found) -> Iterator[str]:
    """Where a second copy might fill the live server's disk. Told to whoever asks, not with each backup."""
    if found.server is None or found.info is None:
        return
    is_elsewhere = verifies_elsewhere(database)
    with suppress(Problem), mysql.connect(found.server) as connection:
        if not room.is_known(connection, found.server):
            copying = phrase("restores make") if is_elsewhere else phrase("verifications and restores make")
            or_else = (
                ""
                if is_elsewhere
                else phrase("; or {place}", place=to_verify_at(database, phrase("another server")))
            )
            yield (
                phrase(
                    "Vedetta cannot see how much room {address} has left, and {copying} a second copy "
                    "there. Set VERIFY_MAX_MB to what may be taken. Or install MariaDB's plugin DISKS "
                    "and grant FILE{or_else}.",
                    address=found.server.address,
                    copying=copying,
                    or_else=or_else,
                )
            )


_RESTORING = phrase("restore user")
