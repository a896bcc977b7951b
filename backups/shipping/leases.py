"""One process at a time follows a database's log: what another one stored is in no second piece."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from backups import process
from backups.models import LogArchive

# Longer than a fetch may stand still. While a restic works it is held again and again.
LEASE = timedelta(minutes=5)
_AGAIN_SECONDS = 60.0


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


def holder(archive: LogArchive) -> str:
    """Which other process follows the log now, as `process.identity` names it; empty where none does."""
    is_over = archive.lease_until is None or archive.lease_until < timezone.now()
    is_free = is_over or archive.lease_by in ("", process.identity()) or process.is_gone(archive.lease_by)
    return "" if is_free else archive.lease_by


def hold(archive: LogArchive) -> None:
    """Go on holding it. Raises LeaseGone."""
    ours = LogArchive.objects.filter(pk=archive.pk, lease_by=process.identity())
    if not ours.update(lease_until=timezone.now() + LEASE):
        raise LeaseGone(str(archive))


class Holding:
    """Holds on to archives while restic works, which may take longer than a lease; `tick` is ours as well."""

    def __init__(self, archives: Sequence[LogArchive], tick: process.Tick) -> None:
        self._keys = [archive.pk for archive in archives]
        self._tick = tick
        self._next = time.monotonic() + _AGAIN_SECONDS

    def tick(self) -> None:
        """Called many times a second. What is another's by now is noticed where something is noted of it."""
        self._tick()
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _AGAIN_SECONDS
            ours = LogArchive.objects.filter(pk__in=self._keys, lease_by=process.identity())
            ours.update(lease_until=timezone.now() + LEASE)


def release(archive: LogArchive) -> None:
    """Give it back."""
    ours = LogArchive.objects.filter(pk=archive.pk, lease_by=process.identity())
    ours.update(lease_by="", lease_until=None)
