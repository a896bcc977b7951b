"""The runs of a portal that comes back: from its copy, or from what its repository tells."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from django.utils import timezone

from backups.choices import Action, Status, Trigger
from backups.errors import Failure
from backups.models import Database, Repository, Run, Snapshot
from backups.runs.lifecycle import failure_columns
from backups.text.sentences import phrase

if TYPE_CHECKING:
    from backups import restic


class PortalCopy(Protocol):
    """What is to be known of the copy from which the portal came back."""

    @property
    def made_at(self) -> datetime:
        """When it was made."""

    @property
    def made_by(self) -> int:
        """The run that made it, whose end it cannot hold."""


def run_rebuilt(snapshot: Snapshot, info: restic.SnapshotInfo, database: Database) -> Run:
    """Insert the backup that made a snapshot, as the repository tells of it."""
    began = info.backup_start or info.time
    return Run.objects.create(
        action=Action.BACKUP,
        database=database,
        repository_id=snapshot.repository_id,
        snapshot=snapshot,
        status=Status.SUCCEEDED,
        trigger=Trigger.RECOVERED,
        queued_at=began,
        started_at=began,
        finished_at=info.backup_end or info.time,
        bytes_done=info.total_bytes_processed or 0,
        result={
            "snapshot_id": info.id,
            "dump_bytes": info.total_bytes_processed,
            "data_added": info.data_added,
            "data_added_packed": info.data_added_packed,
        },
    )


def after_portal_restore(copy: PortalCopy) -> None:
    """Give an outcome to what was under way when the portal was copied, and take all leases back.

    Nothing queued then is played now: it was asked for in another state of things.
    """
    then = timezone.localtime(copy.made_at)
    began = phrase("The portal came back from its copy of {then}", then=f"{then:%Y-%m-%d %H:%M:%S}")
    cut = Failure(
        phrase("{began}. In that copy this run was under way. How it ended is not known.", began=began),
        "run.portal_came_back",
    )
    dropped = Failure(
        phrase("{began}. In that copy this run had not begun. Nothing was done.", began=began),
        "run.portal_came_back",
    )
    Run.objects.filter(pk=copy.made_by, status=Status.RUNNING).update(
        status=Status.SUCCEEDED, finished_at=copy.made_at, detail=""
    )
    Run.objects.filter(status=Status.RUNNING).update(
        status=Status.LOST,
        **failure_columns(cut),
        finished_at=copy.made_at,
        detail="",
    )
    Run.objects.filter(status=Status.QUEUED).update(
        status=Status.CANCELLED,
        **failure_columns(dropped),
        finished_at=copy.made_at,
    )
    for model in (Database, Repository):
        model.objects.update(lease_run=None, lease_until=None)
