"""The portal's pages, one module a subject; importing them registers them."""

from backups.admin import (
    alerts,
    audit,
    auth,
    channels,
    databases,
    labels,
    queue,
    repositories,
    restores,
    runs,
    servers,
    snapshots,
    verifications,
)

__all__ = [
    "alerts",
    "audit",
    "auth",
    "channels",
    "databases",
    "labels",
    "queue",
    "repositories",
    "restores",
    "runs",
    "servers",
    "snapshots",
    "verifications",
]
