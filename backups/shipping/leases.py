"""One process at a time follows a database's log: what another one stored is in no second piece."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from backups import process
from backups.models import LogArchive

# Longer than a fetch may stand still, and one restic.
LEASE = timedelta(minutes=5)


class LeaseGone(Exception):
    """Another process follows the log by now."""


def take(archive: LogArchive) -> bool:
    """Take the lease of an archive, or hold on to it; answers whether it is ours."""
    now, own = timezone.now(), process.identity()
    rows = LogArchive.objects.filter(pk=archive.pk)
    free = Q(lease_by__in=["", own]) | Q(lease_until=None) | Q(lease_until__lt=now)
    if rows.filter(free).update(lease_by=own, lease_until=now + LEASE):
        return True
    holder = rows.values_list("lease_by", flat=True).first()
    if holder is None or not process.is_gone(holder):
        return False
    return bool(rows.filter(lease_by=holder).update(lease_by=own, lease_until=now + LEASE))


def hold(archive: LogArchive) -> None:
    """Go on holding it. Raises LeaseGone."""
    ours = LogArchive.objects.filter(pk=archive.pk, lease_by=process.identity())
    if not ours.update(lease_until=timezone.now() + LEASE):
        raise LeaseGone(str(archive))


def release(archive: LogArchive) -> None:
    """Give it back."""
    ours = LogArchive.objects.filter(pk=archive.pk, lease_by=process.identity())
    ours.update(lease_by="", lease_until=None)
