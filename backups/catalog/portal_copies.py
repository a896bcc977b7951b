"""Which repository holds the copies of the portal itself, and what is known of those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import QuerySet

from backups.choices import Action, Status
from backups.models import Database, Repository, Run
from backups.runs import notes

if TYPE_CHECKING:
    from backups import restic

# In the result of a run that made one, beside `snapshot_id`: what restic's list says of the snapshot.
_LISTED = "listed"


def copied_with(repository: Repository) -> bool:
    """Whether this repository's backups take the portal along: `recover` looks into the first one's."""
    first = Database.objects.filter(is_primary=True).first()
    return bool(settings.BACKUP_PORTAL) and (first is None or first.repository_id == repository.pk)


def as_listed(info: restic.SnapshotInfo) -> dict[str, object]:
    """For a run's result: all that decides for how long a copy is kept."""
    return {
        _LISTED: {
            "time": info.time.isoformat(), "host": info.hostname, "paths": list(info.paths),
            "tags": list(info.tags),
        }
    }  # fmt: skip


def listed(repository: Repository) -> Iterator[restic.SnapshotInfo]:
    """The copies of which that is known, whether they are there still or not."""
    from backups import restic  # with all that it needs, which a page does not

    for result in _made(repository).values_list("result", flat=True):
        try:
            told = result[_LISTED]
            yield restic.SnapshotInfo(
                id=str(result["snapshot_id"]),
                time=datetime.fromisoformat(told["time"]),
                hostname=str(told["host"]),
                paths=tuple(told["paths"]),
                tags=tuple(told["tags"]),
            )
        except (KeyError, TypeError, ValueError):
            continue


def note_listed(repository: Repository, found: Iterable[restic.SnapshotInfo]) -> None:
    """Note what a list says of copies that an earlier version made, which noted only their ids."""
    by_id = {info.id: info for info in found}
    for pk, result in _made(repository).values_list("pk", "result"):
        info = by_id.get(result.get("snapshot_id"))
        if info is not None and _LISTED not in result:
            notes.run_update(pk, result=as_listed(info))


def _made(repository: Repository) -> QuerySet[Run]:
    return Run.objects.filter(repository=repository, action=Action.PORTAL, status=Status.SUCCEEDED)
