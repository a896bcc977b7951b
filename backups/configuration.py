"""From the environment to rows: the first repository and database, the roles, the admin user."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import transaction

from backups import status_files
from backups.errors import Problem
from backups.models import Database, Repository
from backups.schedules import schedules_sync
from sentinel import heartbeat

Row = TypeVar("Row", Repository, Database)

PRIMARY_REPOSITORY = "main"

# What each role may do, beyond what the role before it may.
ROLES: dict[str, tuple[str, ...]] = {
    "Viewer": (
        "view_run", "view_runline", "view_snapshot", "view_database", "view_repository",
        "view_verification", "view_restore", "view_alert",
    ),
    "Operator": ("run_backup", "run_verify", "run_maintenance", "cancel_run", "accept_backup"),
    "Restorer": ("run_restore",),
    "Administrator": (
        "override_gate", "add_database", "change_database", "delete_database", "add_repository",
        "change_repository", "delete_repository",
    ),
}  # fmt: skip


def from_environment() -> Database | None:
    """Make the first repository and database what the environment says; None where it is silent.

    Raises Problem naming what is missing or wrong.
    """
    wanted = {
        "RESTIC_REPOSITORY": settings.RESTIC_REPOSITORY,
        "MYSQL_HOST": settings.MYSQL_HOST,
        "MYSQL_DATABASE": settings.MYSQL_DATABASE,
        "MYSQL_USER": settings.MYSQL_USER,
    }
    missing = [name for name, value in wanted.items() if not value]
    if len(missing) == len(wanted):
        return None
    if missing:
        raise Problem(
            f"{', '.join(missing)} must be set as well.", do="Set it in the environment or in .env."
        )
    with transaction.atomic():
        return _database(_repository())


def apply() -> None:
    """Make schedules and the gate's list follow the databases. Raises Problem."""
    schedules_sync()
    status_files.write_gates()


def first_boot() -> None:
    """Note when this installation began, from which the gate's grace counts."""
    heartbeat.first_boot_ensure(settings.SENTINEL.heartbeat_path, datetime.now(UTC))


def roles() -> None:
    """Make the groups. Viewers see, each further role may do what the one before may, and more.

    A Restorer may do what an Operator may; only Restorers and Administrators restore.
    """
    names: list[str] = []
    for role, more in ROLES.items():
        names += more
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set(
            Permission.objects.filter(content_type__app_label="backups", codename__in=names)
        )


def admin_user(say: Callable[[str], None]) -> None:
    """Make the first superuser from PORTAL_ADMIN_USER and PORTAL_ADMIN_PASSWORD."""
    users = get_user_model()
    name = settings.PORTAL_ADMIN_USER
    if users.objects.filter(username=name).exists():
        return
    if not settings.PORTAL_ADMIN_PASSWORD:
        say(
            "No admin user was made: set PORTAL_ADMIN_PASSWORD and run bootstrap again, "
            "or run `manage.py createsuperuser`."
        )
        return
    users.objects.create_superuser(username=name, password=settings.PORTAL_ADMIN_PASSWORD)
    say(f"Admin user {name} made.")


def _repository() -> Repository:
    fields = {
        "url": settings.RESTIC_REPOSITORY,
        "check_interval": settings.BACKUP_CHECK_INTERVAL,
    }
    repository = Repository.objects.filter(name=PRIMARY_REPOSITORY).first() or Repository(
        name=PRIMARY_REPOSITORY
    )
    return _saved(repository, fields)


def _database(repository: Repository) -> Database:
    fields = {
        "host": settings.MYSQL_HOST,
        "port": settings.MYSQL_PORT,
        "user": settings.MYSQL_USER,
        "database": settings.MYSQL_DATABASE,
        "ssl_mode": settings.MYSQL_SSL_MODE,
        "ssl_ca": settings.MYSQL_SSL_CA,
        "repository": repository,
    }
    database = Database.objects.filter(is_primary=True).first()
    if database is None:
        # What people change in the admin later is theirs: only a new row takes it from here.
        database = Database(name=settings.MYSQL_DATABASE, is_primary=True)
        fields |= {
            "dump_format": settings.BACKUP_DUMP_FORMAT,
            "backup_cron": settings.BACKUP_CRON,
            "verify_cron": settings.VERIFY_CRON,
            "keep_daily": settings.BACKUP_KEEP_DAILY,
            "keep_weekly": settings.BACKUP_KEEP_WEEKLY,
            "keep_monthly": settings.BACKUP_KEEP_MONTHLY,
        }
    return _saved(database, fields)


def _saved(row: Row, fields: dict[str, object]) -> Row:
    for name, value in fields.items():
        setattr(row, name, value)
    try:
        row.full_clean()
    except ValidationError as error:
        name, (message, *_) = next(iter(error.message_dict.items()))
        raise Problem(f"The environment gives a wrong {name}: {message}") from error
    row.save()
    return row
