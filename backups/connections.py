"""From rows and settings to what the tools take, secrets resolved. Used when a run starts."""

from __future__ import annotations

from django.conf import settings

from backups import mysql, restic
from backups.models import Database, Repository
from backups.secrets import for_restic, resolve, resolve_optional


def repository_access(repository: Repository) -> restic.Access:
    """How restic reaches the repository. Raises Problem when a secret is not to be had."""
    secrets = for_restic()
    for name, reference in (
        ("AWS_ACCESS_KEY_ID", repository.access_key_ref),
        ("AWS_SECRET_ACCESS_KEY", repository.secret_key_ref),
    ):
        if value := resolve_optional(reference):
            secrets[name] = value
    secrets |= {
        "RESTIC_COMPRESSION": settings.RESTIC_COMPRESSION,
        "RESTIC_PACK_SIZE": str(settings.RESTIC_PACK_SIZE),
    }
    return restic.Access(
        program=restic.find(),
        url=repository.url,
        password=resolve(repository.password_ref),
        secrets=secrets,
        cache_dir=settings.RESTIC_CACHE_DIR,
        patience_seconds=settings.STORAGE_PATIENCE_SECONDS,
    )


def database_server(database: Database) -> mysql.Server:
    """Where the database lives and who we are there. Raises Problem like `repository_access`."""
    return mysql.Server(
        host=database.host,
        port=database.port,
        user=database.user,
        password=resolve(database.password_ref),
        ssl_mode=database.ssl_mode,
        ssl_ca=database.ssl_ca,
        **({} if database.is_primary else _set_in_the_portal(database)),
    )


def _set_in_the_portal(database: Database) -> dict[str, str]:
    """The environment says nothing of a further database."""
    return {
        "account_set_by": f"the user and password of {database} in the portal",
        "address_set_by": f"the host and port of {database} in the portal",
    }


def scratch_server(database: Database) -> mysql.Server:
    """Where test restores go: VERIFY_MYSQL_HOST where it is set, else the database's own server."""
    if not settings.VERIFY_MYSQL_HOST:
        return database_server(database)
    return mysql.Server(
        host=settings.VERIFY_MYSQL_HOST,
        port=settings.VERIFY_MYSQL_PORT,
        user=settings.VERIFY_MYSQL_USER,
        password=resolve("env:VERIFY_MYSQL_PASSWORD"),
        ssl_mode=database.ssl_mode,
        ssl_ca=database.ssl_ca,
        account_set_by="VERIFY_MYSQL_USER and VERIFY_MYSQL_PASSWORD",
        address_set_by="VERIFY_MYSQL_HOST and VERIFY_MYSQL_PORT",
    )
