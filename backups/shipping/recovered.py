"""The rows of pieces from nothing but the names in a repository: for a portal that was lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from backups import restic
from backups.binlog import Piece
from backups.models import Database, LogPiece, Repository
from backups.shipping.retention import adopted, piece_in

Named = tuple[restic.SnapshotInfo, Piece]


def rebuild(repository: Repository, found: Iterable[restic.SnapshotInfo]) -> int:
    """Write down the pieces that a repository holds of its databases; answers how many were not known.

    Of a piece that grew all its earlier forms may be there still: the longest tells of them all.
    """
    by_database: dict[str, list[Named]] = defaultdict(list)
    for info in found:
        if (piece := piece_in(info)) is not None:
            by_database[piece.database].append((info, piece))
    count = 0
    for database in Database.objects.filter(repository=repository).order_by("pk"):
        known = set(LogPiece.objects.filter(database=database).values_list("snapshot_id", flat=True))
        for info, piece in _chain(by_database.pop(database.database, [])):
            if info.id not in known:
                adopted(database, info, piece)
                count += 1
    return count


def read_all_again() -> None:
    """Have all pieces read back anew: another machine did that, and what was learned then is in no copy."""
    LogPiece.objects.update(read_back_at=None)


def _chain(named: list[Named]) -> Iterator[Named]:
    """Of each file the pieces that follow one another; where several begin alike the one that leads on."""
    files: dict[tuple[int, str], list[Named]] = defaultdict(list)
    for each in named:
        files[each[1].made, each[1].file].append(each)
    for of_one in files.values():
        by_start: dict[int, list[Named]] = defaultdict(list)
        for each in of_one:
            by_start[each[1].start].append(each)
        reached = 0
        for start in sorted(by_start):
            if start < reached:
                continue
            chosen = max(by_start[start], key=lambda each: (_furthest(each[1].end, by_start), each[1].end))
            yield chosen
            reached = chosen[1].end


def _furthest(end: int, by_start: Mapping[int, list[Named]]) -> int:
    """How far the pieces lead that begin where one ends."""
    while end in by_start:
        end = max(piece.end for _, piece in by_start[end])
    return end
