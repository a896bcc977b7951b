"""Which repository holds the copies of the portal itself."""

from __future__ import annotations

from django.conf import settings

from backups.models import Database, Repository


def copied_with(repository: Repository) -> bool:
    """Whether this repository's backups take the portal along: `recover` looks into the first one's."""
    first = Database.objects.filter(is_primary=True).first()
    return bool(settings.BACKUP_PORTAL) and (first is None or first.repository_id == repository.pk)
