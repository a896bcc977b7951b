"""One list of all snapshots for a backup and for the forget that follows it at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from backups import restic
from backups.actions.steps.follow_ups import leaves_it_to_the_night
from backups.actions.steps.read_back import unconfirmed
from backups.actions.steps.snapshot_list import Listing, is_dump, listed
from backups.catalog import portal_copies
from backups.choices import Action, Trigger
from backups.models import Run
from backups.runs import notes
from backups.runs.portal_database_away import outlast
from backups.runs.progress import Progress

_LIST_SECONDS = 100.0
# In the result of a backup: when the repository held what the portal's list says, and nothing else.
_LISTED_AT = "listed_at"
_MOMENT = timedelta(minutes=2)


def left_by_backup(run: Run) -> Listing | None:
    """What the backup that a run follows found in the repository a moment ago: all that the portal knows.

    None where it did not, or found something else.
    """
    before = run.parent
    if before is None or before.action != Action.BACKUP or before.repository_id != run.repository_id:
        return None
    try:
        age = timezone.now() - datetime.fromisoformat(before.result[_LISTED_AT])
    except (KeyError, TypeError, ValueError):
        return None
    return Listing((), None, "") if timedelta() <= age < _MOMENT else None


def told_by_files(run: Run, access: restic.Access, progress: Progress) -> Listing | None:
    """What the files of a folder tell: the list, where they are just those that the portal knows.

    That costs no start of restic, whose own list takes what it has listed before from its cache. None where
    restic is to be asked: of any other snapshot only it can tell what it holds.
    """
    there = restic.held_in_folder(access, progress.tick)
    if there is None:
        return None
    if run.repository.snapshots.present().filter(database=None).exists():
        return None  # of a database that may have been set up since
    dumps = _known(run)
    copies = {info.id: info for info in portal_copies.listed(run.repository)}
    if not dumps <= there <= dumps | copies.keys():
        return None
    return Listing(tuple(copies[each] for each in sorted(there - dumps)), None, "")


def out_of_all(
    run: Run, access: restic.Access, summary: restic.BackupSummary, progress: Progress
) -> restic.SnapshotInfo | None:
    """What the list of all says of a snapshot that was just made. Raises ResticError of another repository.

    None where no forget follows at once, or the list cannot be had: to ask for the one needs less.
    """
    if run.trigger == Trigger.RESTORE or leaves_it_to_the_night(run) or settings.BACKUP_KEEP_ALL:
        return None
    # Before it is listed: another backup may be noted meanwhile.
    began, known = timezone.now(), outlast(lambda: _known(run))
    try:
        found, unreadable = listed(run.repository, access, progress, seconds=_LIST_SECONDS)
    except restic.OtherRepository as error:
        raise unconfirmed(summary, error) from error
    except restic.ResticError:
        return None
    info = next((info for info in found if info.id == summary.snapshot_id), None)
    holds = {other.id for other in found if is_dump(other)}
    if info is not None and unreadable is None and holds == known | {info.id}:
        notes.run_update(run.pk, result={_LISTED_AT: began.isoformat()})
    return info


def _known(run: Run) -> set[str]:
    return set(run.repository.snapshots.present().values_list("snapshot_id", flat=True))
