"""The portal's pages, one module a subject; importing them registers them."""

from backups.admin import (
    audit,
    auth,
    databases,
    queue,
    repositories,
    restores,
    runs,
    snapshots,
    verifications,
)

__all__ = [
    "audit",
    "auth",
    "databases",
    "queue",
    "repositories",
    "restores",
    "runs",
    "snapshots",
    "verifications",
]
