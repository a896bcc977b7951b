"""How much is left on the disk of a repository that is a folder of this machine."""

from __future__ import annotations

from django.utils import timezone

from backups import restic
from backups.catalog import learned
from backups.models import Run
from backups.reports import growth
from backups.runs import notes


def note_disk(run: Run) -> None:
    """Store what is free, and when that is over at the rate of the last weeks; of a folder alone."""
    folder = restic.folder_of(run.repository.url)
    disk = restic.disk_of(folder) if folder else None
    if disk is None:
        return
    now = timezone.now()
    before = growth.read(run.repository, now).free
    today = timezone.localdate(now)
    earlier = [each for each in before if timezone.localdate(each[0]) != today]
    full_at = growth.full_at([*earlier, (now, disk.free_bytes)])
    learned.disk_seen(run.repository, disk, now, full_at)
    notes.run_update(run.pk, result={"disk_free_bytes": disk.free_bytes, "disk_bytes": disk.bytes})
