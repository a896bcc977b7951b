"""The portal's pages, one module a subject; importing them registers them."""

from backups.admin import (
    alerts,
    attempts,
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
    "attempts",
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
