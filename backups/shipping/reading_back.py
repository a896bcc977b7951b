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
from backups.moments.spilling import spill_folder
from backups.shipping.cutting import Cutter
from backups.shipping.lessons import Lesson, lacks_any
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


class Limits(NamedTuple):
    """In seconds: after how many no further piece is begun, and how long one may take; None is no limit."""

    begin: float | None = None
    piece: float | None = None


_UNLIMITED = Limits()


def read_back(
    database: Database,
    access: restic.Access,
    tick: Callable[[], object],
    limits: Limits = _UNLIMITED,
    *,
    cutter: Cutter | None = None,
) -> Chain:
    """Read each piece of a database that was not read within a day, within limits.

    With a `cutter` rows learn what they do not tell of a piece. Raises Problem where the repository cannot be
    read; what is wrong with a piece is told.
    """
    rows = pieces_of(database)
    gone = list(_gone(rows, access, tick))
    wrong = [*_breaks(rows, database), *gone]
    missing = {each.row.pk for each in gone}
    until = None if limits.begin is None else time.monotonic() + limits.begin
    count = 0
    for row in due(row for row in rows if row.pk not in missing):
        if until is not None and time.monotonic() > until:
            break
        tick()
        count += 1
        lesson = Lesson(row, cutter) if cutter is not None and lacks_any(row) else None
        try:
            digest = _read(row, access, (tick, _within(limits.piece, tick)), lesson)
        except (NotAPiece, Unreadable, restic.SnapshotGone, restic.DamagedData) as problem:
            wrong.append(Wrong(row, problem))
        else:
            same = LogPiece.objects.filter(pk=row.pk, snapshot_id=row.snapshot_id)
            same.update(read_back_at=timezone.now())
            if lesson is not None:
                lesson.note(digest)
    return Chain(len(rows), count, tuple(wrong))


def pieces_of(database: Database) -> list[LogPiece]:
    """All that is stored of a log, in its order."""
    there = LogPiece.objects.filter(database=database, forgotten_at=None)
    return list(there.select_related("database").order_by("file_made", "file", "start"))


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


class TooSlow(Problem):
    """A storage that gives a piece back slower than anybody waits for it, or not at all."""

    code = "log.read_back_too_slow"


def _within(seconds: float | None, tick: Callable[[], object]) -> Callable[[], None]:
    """For another thread: raises TooSlow when the time is over, or we are to end. A storage that hangs says
    no word of that."""
    until = None if seconds is None else time.monotonic() + seconds

    def look() -> None:
        if _is_to_end(tick) or (until is not None and time.monotonic() > until):
            raise TooSlow(
                phrase(
                    "The repository did not give a piece of the log back within {seconds} s.",
                    seconds=int(seconds or 0),
                ),
                do=phrase("It is tried again. Check the network and the storage."),
            )

    return look


def _is_to_end(tick: Callable[[], object]) -> bool:
    try:
        tick()
    except Exception:  # noqa: BLE001  whatever it is, it is raised once more where somebody catches it
        return True
    return False


def _read(
    row: LogPiece,
    access: restic.Access,
    ticks: tuple[Callable[[], object], Callable[[], None]],
    lesson: Lesson | None,
) -> str:
    """Answers its digest. The second of `ticks` is called in another thread."""
    tick, look = ticks
    piece = Piece(row.database.database, row.file, row.file_made, row.start, row.end)
    digest = hashlib.sha256()
    dumped = restic.dump(access, row.snapshot_id, piece.path)
    with dumped as running, restic.outage_guard(running, access, look):
        parts = _parts(running, digest, tick)
        try:
            # Whose rows are in it was looked at as it was stored, when the server told how it compares names.
            learn = lesson.learn if lesson is not None else None
            refuse_unlike(parts, piece, 1, learn, spill_folder())
        except (NotAPiece, Unreadable):
            deque(parts, maxlen=0)
            # What restic did not give is no damage of the piece's.
            restic.finished(running, access, _READING)
            raise
        restic.finished(running, access, _READING)
    if row.sha256 and digest.hexdigest() != row.sha256:
        raise NotAPiece(phrase("The piece of the log is not the one that was stored."))
    return digest.hexdigest()


def _parts(running: process.Child, digest: hashlib._Hash, tick: Callable[[], object]) -> Iterator[bytes]:
    while part := running.stdout.read1(_READ_BYTES):  # type: ignore[attr-defined]
        tick()
        digest.update(part)
        yield part
