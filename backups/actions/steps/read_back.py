"""Whether the repository has the snapshot that restic says it made, and taking back what came too late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from backups import restic
from backups.errors import Problem
from backups.text.sentences import phrase

_CONFIRM_SECONDS = 300.0
_TAKE_BACK_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """What restic was told to write into the snapshot."""

    host: str
    path: str
    tags: Sequence[str]


def read_back(
    access: restic.Access,
    asked: Asked,
    summary: restic.BackupSummary,
    tick: Callable[[], None],
    out_of_all: Callable[[], restic.SnapshotInfo | None] = lambda: None,
) -> restic.SnapshotInfo:
    """What the repository itself says of the snapshot. Raises ResticError, and Problem where it lacks it.

    A folder's file is read and its digest compared, which costs no start of restic; any other storage, and a
    folder in which that is not to be seen, is asked by restic: for the one, unless `out_of_all` has asked for
    all and found it.
    """
    is_whole = restic.holds_snapshot(access, summary.snapshot_id)
    if is_whole is False:
        raise Problem(
            phrase(
                "The file of snapshot {snapshot_id} is not what restic has just written.",
                snapshot_id=summary.snapshot_id[:8],
            ),
            code="snapshot.file_differs",
            safe=phrase("No heartbeat was written; earlier snapshots are safe."),
            do=phrase(
                "Look at the disk of the repository (`dmesg`), check the repository, then back up again."
            ),
        )
    if is_whole and summary.backup_start is not None:
        return _as_asked(asked, summary, summary.backup_start)
    if (found := out_of_all()) is not None:
        return found
    try:
        listed = restic.snapshots(access, summary.snapshot_id, tick=tick, deadline=_CONFIRM_SECONDS)
    except restic.ResticError as error:
        raise unconfirmed(summary, error) from error
    if [info.id for info in listed] != [summary.snapshot_id]:
        raise Problem(
            phrase(
                "restic said it made snapshot {snapshot_id}, but the repository does not list it.",
                snapshot_id=summary.snapshot_id[:8],
            ),
            code="snapshot.not_listed",
            safe=phrase("No heartbeat was written; earlier snapshots are safe."),
            do=phrase("Check the repository, then back up again."),
        )
    return listed[0]


def _as_asked(asked: Asked, summary: restic.BackupSummary, made: datetime) -> restic.SnapshotInfo:
    return restic.SnapshotInfo(
        id=summary.snapshot_id,
        time=made,
        hostname=asked.host,
        paths=(asked.path,),
        tags=tuple(asked.tags),
        total_bytes_processed=summary.total_bytes_processed,
        data_added=summary.data_added,
        data_added_packed=summary.data_added_packed,
    )


def unconfirmed(summary: restic.BackupSummary, error: restic.ResticError) -> restic.ResticError:
    """What failed after restic had said that it made the snapshot."""
    error.safe = phrase(
        "restic said it made snapshot {snapshot_id}, but that could not be confirmed. No heartbeat "
        "was written. Earlier snapshots are safe.",
        snapshot_id=summary.snapshot_id[:8],
    )
    return error


def take_back(access: restic.Access, summaries: Sequence[restic.BackupSummary]) -> None:
    """What came too late, as restic was done: the snapshot goes."""
    for summary in summaries:
        with suppress(restic.ResticError):
            args = restic.forget_args([summary.snapshot_id], prune=False)
            restic.call(
                access,
                restic.Command(args, phrase("taking the snapshot back"), deadline=_TAKE_BACK_SECONDS),
            )
