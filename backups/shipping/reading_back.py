"""The chain of pieces, proved without a server: each is readable and whole, and follows the one before."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from django.utils import timezone

from backups import process, restic
from backups.binlog import Piece, Unreadable
from backups.errors import Problem
from backups.models import Database, LogGap, LogPiece
from backups.shipping.program import NotAPiece, refuse_unlike
from backups.text.sentences import phrase

_READ_BYTES = 1 << 20
_READING = phrase("reading a piece of the log back")
# A piece that was read back is taken for readable for so long.
_BELIEVED = timedelta(days=1)


class Wrong(NamedTuple):
    """A piece that is not as it was stored, or is missing before it, and why."""

    row: LogPiece
    why: Problem


@dataclass(frozen=True)
class Chain:
    """How many pieces there are, how many of them were read now, and what is wrong with any of them."""

    pieces: int
    read: int
    wrong: tuple[Wrong, ...]


def read_back(
    database: Database, access: restic.Access, tick: Callable[[], object], *, seconds: float | None = None
) -> Chain:
    """Read each piece of a database that was not read within a day, for so many seconds at most.

    Raises Problem where the repository cannot be read; what is wrong with a piece is told.
    """
    rows = pieces_of(database)
    gone = list(_gone(rows, access, tick))
    wrong = [*_breaks(rows, database), *gone]
    missing = {each.row.pk for each in gone}
    until = None if seconds is None else time.monotonic() + seconds
    count = 0
    for row in due(row for row in rows if row.pk not in missing):
        if until is not None and time.monotonic() > until:
            break
        tick()
        count += 1
        try:
            _read(row, database, access, tick)
        except (NotAPiece, Unreadable, restic.SnapshotGone, restic.DamagedData) as problem:
            wrong.append(Wrong(row, problem))
        else:
            same = LogPiece.objects.filter(pk=row.pk, snapshot_id=row.snapshot_id)
            same.update(read_back_at=timezone.now())
    return Chain(len(rows), count, tuple(wrong))


def pieces_of(database: Database) -> list[LogPiece]:
    """All that is stored of a log, in its order."""
    there = LogPiece.objects.filter(database=database, forgotten_at=None)
    return list(there.order_by("file_made", "file", "start"))


def due(rows: Iterable[LogPiece]) -> list[LogPiece]:
    """Those that were not read within a day; one that still grows is read when it is full."""
    before = timezone.now() - _BELIEVED
    return [row for row in rows if row.sealed and (row.read_back_at is None or row.read_back_at < before)]


def _gone(rows: Iterable[LogPiece], access: restic.Access, tick: Callable[[], object]) -> Iterator[Wrong]:
    """Those that a folder does not hold: restic reads what was forgotten from its cache, until a prune.

    Of another storage the list at night tells.
    """
    there = restic.held_in_folder(access, tick)
    if there is None:
        return
    for row in rows:
        # One that grew meanwhile has another snapshot.
        same = LogPiece.objects.filter(pk=row.pk, snapshot_id=row.snapshot_id)
        if row.snapshot_id not in there and same.exists():
            what = phrase("The piece of the log is not in the repository any more.")
            yield Wrong(row, NotAPiece(what, code="log.piece_gone"))


def _breaks(rows: list[LogPiece], database: Database) -> Iterator[Wrong]:
    """Within a file one piece ends where the next one begins, unless a gap that is known lies between."""
    for before, after in pairwise(rows):
        if (before.file, before.file_made) != (after.file, after.file_made) or before.end == after.start:
            continue
        if before.end > after.start or not _is_known_gap(before, database):
            what = phrase(
                "Between {before} and {after} a piece of the log is missing.", before=before, after=after
            )
            yield Wrong(after, NotAPiece(what, code="log.piece_missing"))


def _is_known_gap(before: LogPiece, database: Database) -> bool:
    known = LogGap.objects.filter(database=database, after_file=before.file)
    return known.filter(after_position__gte=before.end).exists()


def _read(row: LogPiece, database: Database, access: restic.Access, tick: Callable[[], object]) -> None:
    piece = Piece(database.database, row.file, row.file_made, row.start, row.end)
    digest = hashlib.sha256()
    with restic.dump(access, row.snapshot_id, piece.path) as running, restic.outage_guard(running, access):
        parts = _parts(running, digest, tick)
        try:
            # Whose rows are in it was looked at as it was stored, when the server told how it compares names.
            refuse_unlike(parts, piece, 1)
        except (NotAPiece, Unreadable):
            deque(parts, maxlen=0)
            # What restic did not give is no damage of the piece's.
            restic.finished(running, access, _READING)
            raise
        restic.finished(running, access, _READING)
    if row.sha256 and digest.hexdigest() != row.sha256:
        raise NotAPiece(phrase("The piece of the log is not the one that was stored."))


def _parts(running: process.Child, digest: hashlib._Hash, tick: Callable[[], object]) -> Iterator[bytes]:
    while part := running.stdout.read1(_READ_BYTES):  # type: ignore[attr-defined]
        tick()
        digest.update(part)
        yield part
