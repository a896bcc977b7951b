"""Which pieces of logs stay in a repository, which go, and which the portal does not know yet.

A piece is needed as long as a moment within the days that are to be kept can be had by it: all that lies
behind the oldest dump of these days that has an exact position. Older dumps are restored to their own moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from django.utils import timezone

from backups import restic
from backups.binlog import LogFile, Piece
from backups.catalog import series
from backups.choices import ACTIVE, Action
from backups.keeping import stand_downs, suspicions
from backups.models import Database, LogArchive, LogMark, LogPiece, LogTransaction, Repository, Run, Snapshot
from backups.moments.bases import days_kept
from backups.shipping import bases
from backups.shipping.ends import server_name
from backups.snapshots.naming import LOG_TAG

# What was listed may have been stored, or taken another's place, just then.
_SETTLED = timedelta(hours=1)
# For so long it is told that a piece was there.
_GONE_TOLD = timedelta(days=30)
_DAY = timedelta(days=1)


def piece_in(info: restic.SnapshotInfo) -> Piece | None:
    """The piece that a snapshot holds; None where it holds something else."""
    if LOG_TAG not in info.tags or len(info.paths) != 1:
        return None
    return Piece.parse(info.paths[0])


def superfluous(repository: Repository, found: Iterable[restic.SnapshotInfo]) -> list[str]:
    """Of all of a repository's snapshots, as they were just listed, the ids of the pieces that may go.

    Pieces that the portal does not know, as after a crash, get a row, unless other rows tell of all in them.
    """
    now = timezone.now()
    listed = {info.id: (info, piece) for info in found if (piece := piece_in(info)) is not None}
    forget: list[str] = []
    for database in Database.objects.filter(repository=repository).order_by("pk"):
        hosts = series.of_this_installation(database)
        ours = {
            key: (info, piece)
            for key, (info, piece) in listed.items()
            if piece.database == database.database and info.hostname in hosts
        }
        _note_gone(database, listed, now)
        forget += _unknown(database, ours, now)
        if not (suspicions.waiting(database) or stand_downs.is_retired(database) or _is_being_read(database)):
            forget += _past(database, now)
            _tidy(database, now)
    return [each for each in dict.fromkeys(forget) if each in listed]


def note_forgotten(repository: Repository, ids: Iterable[str]) -> None:
    """Note that a repository does not hold these any more."""
    gone = LogPiece.objects.filter(repository=repository, snapshot_id__in=list(ids), forgotten_at=None)
    LogTransaction.objects.filter(piece__in=gone).delete()
    gone.update(forgotten_at=timezone.now())


def kept_from(database: Database, now: datetime | None = None) -> Snapshot | None:
    """The dump from which on all moments are to be had: the oldest exact one of the days that are kept."""
    archive = LogArchive.objects.filter(database=database).first()
    since = (now or timezone.now()) - timedelta(days=days_kept(archive))
    there = bases.exact_dumps(database, since=since)
    return there[-1] if there else next(iter(bases.exact_dumps(database)), None)


def _is_being_read(database: Database) -> bool:
    """Whether something that was begun before may read pieces which no moment needs any more."""
    return Run.objects.filter(database=database, action__in=_READ, status__in=ACTIVE).exists()


_READ = (Action.RESTORE, Action.VERIFY)


def _note_gone(database: Database, listed: Mapping[str, object], now: datetime) -> None:
    """What somebody else forgot is missing, and no moment behind it can be had by it."""
    rows = LogPiece.objects.filter(
        database=database, repository=database.repository, forgotten_at=None, stored_at__lt=now - _SETTLED
    )
    missing = [pk for pk, key in rows.values_list("pk", "snapshot_id") if key not in listed]
    LogPiece.objects.filter(pk__in=missing, stored_at__lt=now - _SETTLED).update(forgotten_at=now)


def _unknown(
    database: Database, ours: Mapping[str, tuple[restic.SnapshotInfo, Piece]], now: datetime
) -> Iterator[str]:
    """What took another's place, or was stored twice, goes; all else gets a row."""
    rows = list(LogPiece.objects.filter(database=database))
    known = {row.snapshot_id for row in rows}
    there = [row for row in rows if row.forgotten_at is None]
    for key, (info, piece) in ours.items():
        if key in known or info.time > now - _SETTLED:
            continue
        if _is_covered(piece, there):
            yield key
        elif not any(_overlap(piece, row) for row in there):
            there.append(adopted(database, info, piece))


def _is_covered(piece: Piece, rows: Iterable[LogPiece]) -> bool:
    """Whether these tell of all that is in a piece, one behind the other."""
    parts = sorted(
        (row.start, row.end) for row in rows if (row.file, row.file_made) == (piece.file, piece.made)
    )
    reached = piece.start
    for start, end in parts:
        if start <= reached < end:
            reached = end
    return reached >= piece.end


def _overlap(piece: Piece, row: LogPiece) -> bool:
    """Whether a row tells of a part of it: then it becomes covered, or stays as it is."""
    is_same_file = (row.file, row.file_made) == (piece.file, piece.made)
    return is_same_file and row.start < piece.end and piece.start < row.end


def adopted(database: Database, info: restic.SnapshotInfo, piece: Piece) -> LogPiece:
    """The row of a piece of which its name alone tells."""
    archive = LogArchive.objects.filter(database=database).first()
    return LogPiece.objects.create(
        database=database,
        repository=database.repository,
        snapshot_id=info.id,
        server_uuid=archive.server_uuid if archive else "",
        file=piece.file,
        file_made=piece.made,
        start=piece.start,
        end=piece.end,
        bytes=info.total_bytes_processed or 0,
        sealed=True,
        stored_at=info.time,
    )


def _past(database: Database, now: datetime) -> Iterator[str]:
    """Pieces that lie before the dump from which on all moments are to be had."""
    base = kept_from(database, now)
    if base is None or not base.log:
        return
    own = server_name(base.log["server"] or {})
    place = LogFile.parse(str(base.log["file"])), int(base.log["position"])
    for row in LogPiece.objects.filter(database=database, forgotten_at=None, stored_at__lt=base.time):
        is_of_its_log = row.server_uuid in (own, "")
        if not is_of_its_log or _is_before(row, place):
            yield row.snapshot_id


def _is_before(row: LogPiece, place: tuple[LogFile | None, int]) -> bool:
    file, base = LogFile.parse(row.file), place[0]
    if file is None or base is None or file.base != base.base:
        return True
    # A file of a higher number is of a log before the one that was begun anew.
    return file.number != base.number or row.end <= place[1]


def _tidy(database: Database, now: datetime) -> None:
    """What is known of times and pieces that are gone."""
    base = kept_from(database, now)
    if base is not None:
        LogMark.objects.filter(database=database, moment__lt=base.time - _DAY).delete()
    LogPiece.objects.filter(database=database, forgotten_at__lt=now - _GONE_TOLD).delete()
