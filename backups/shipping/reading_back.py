"""The chain of pieces, proved without a server: each is readable and whole, and follows the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from django.utils import timezone

from backups import process, restic
from backups.binlog import Piece
from backups.errors import Problem
from backups.models import Database, LogGap, LogPiece
from backups.shipping.program import NotAPiece, refuse_unlike
from backups.text.sentences import phrase

_READ_BYTES = 1 << 20
# A piece that was read back is taken for readable for so long.
_BELIEVED = timedelta(days=1)


@dataclass(frozen=True)
class Chain:
    """How many pieces there are, how many of them were read now, and what is wrong with any of them."""

    pieces: int
    read: int
    wrong: tuple[str, ...]


def read_back(
    database: Database, access: restic.Access, tick: Callable[[], object], *, again: bool = False
) -> Chain:
    """Read each piece of a database that was not read within a day, or all of them `again`.

    Raises Problem where the repository cannot be read; what is wrong with a piece is told.
    """
    rows = list(
        LogPiece.objects.filter(database=database, forgotten_at=None).order_by("file_made", "file", "start")
    )
    wrong = list(_breaks(rows, database))
    count = 0
    for row in rows:
        tick()
        if not again and row.read_back_at is not None and row.read_back_at > timezone.now() - _BELIEVED:
            continue
        count += 1
        try:
            _read(row, database, access, tick)
        except (NotAPiece, restic.SnapshotGone, restic.DamagedData) as problem:
            wrong.append(_told(row, problem))
        except Problem as problem:
            if problem.code != "log.unreadable":
                raise
            wrong.append(_told(row, problem))
        else:
            same = LogPiece.objects.filter(pk=row.pk, snapshot_id=row.snapshot_id)
            same.update(read_back_at=timezone.now())
    return Chain(len(rows), count, tuple(wrong))


def _told(row: LogPiece, problem: Problem) -> str:
    return phrase("Piece {piece} of the log: {what}", piece=row, what=problem.what)


def _breaks(rows: list[LogPiece], database: Database) -> Iterator[str]:
    """Within a file one piece ends where the next one begins, unless a gap that is known lies between."""
    for before, after in pairwise(rows):
        if (before.file, before.file_made) != (after.file, after.file_made) or before.end == after.start:
            continue
        if before.end > after.start or not _is_known_gap(before, database):
            yield phrase(
                "Between {before} and {after} a piece of the log is missing.", before=before, after=after
            )


def _is_known_gap(before: LogPiece, database: Database) -> bool:
    known = LogGap.objects.filter(database=database, after_file=before.file)
    return known.filter(after_position__gte=before.end).exists()


def _read(row: LogPiece, database: Database, access: restic.Access, tick: Callable[[], object]) -> None:
    piece = Piece(database.database, row.file, row.file_made, row.start, row.end)
    digest = hashlib.sha256()
    with restic.dump(access, row.snapshot_id, piece.path) as running, restic.outage_guard(running, access):
        refuse_unlike(_parts(running, digest, tick), piece, 1)
        restic.finished(running, access, phrase("reading a piece of the log back"))
    if row.sha256 and digest.hexdigest() != row.sha256:
        raise NotAPiece(phrase("The piece of the log is not the one that was stored."))


def _parts(running: process.Child, digest: hashlib._Hash, tick: Callable[[], object]) -> Iterator[bytes]:
    while part := running.stdout.read1(_READ_BYTES):  # type: ignore[attr-defined]
        tick()
        digest.update(part)
        yield part
