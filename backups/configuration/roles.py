"""The roles: what a Viewer, an Operator, a Restorer and an Administrator may see and do."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission

# What each role may do, beyond what the role before it may.
ROLES: dict[str, tuple[str, ...]] = {
    "Viewer": (
        "view_run", "view_runline", "view_snapshot", "view_database", "view_server",
        "view_repository", "view_verification", "view_restore", "view_alert",
        "view_label", "view_channel",
    ),
    "Operator": (
        "run_backup", "run_verify", "run_maintenance", "cancel_run", "accept_backup", "pin_snapshot",
    ),
    "Restorer": ("run_restore",),
    "Administrator": (
        "override_gate", "add_database", "change_database", "delete_database", "add_server",
        "change_server", "delete_server", "add_repository", "change_repository", "delete_repository",
        "manage_people", "add_label", "change_label", "delete_label", "add_channel", "change_channel",
        "delete_channel",
    ),
}  # fmt: skip


def make() -> None:
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
