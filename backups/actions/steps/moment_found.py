"""Where a moment is in the stored log, found by reading what of that lies around it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backups import restic
from backups.actions.steps.log_replayed import Played, StoredLog, piece_bytes
from backups.binlog import Piece as PieceName
from backups.binlog import Reading, Transaction, read
from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.models import LogPiece, Snapshot
from backups.moments import refusals
from backups.moments.planning import Draft
from backups.moments.position import Cut, Seen, cut_at, cut_before
from backups.moments.timeline import Piece, rank
from backups.text.sentences import phrase

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Tick = Callable[[], object]


@dataclass(frozen=True)
class Way:
    """From the dump's place in the log to the moment's: what is replayed, and where that ends."""

    after: Place
    cut: Cut
    pieces: Sequence[LogPiece]

    @property
    def until(self) -> Place:
        """Up to where transactions of the database are: behind the last piece there are none."""
        if not self.pieces:
            return self.after
        last = self.pieces[-1]
        return min(self.cut.place, Place(last.file, last.end), key=rank)


class Nothing:
    """Takes the events of a transaction of which only place and time are looked at."""

    def append(self, event: object) -> None:
        """It is not kept."""

    def __iter__(self) -> Iterator[object]:
        return iter(())


def found(draft: Draft, snapshot: Snapshot, access: restic.Access, tick: Tick) -> Way:
    """Where the end of the replay is, and all that it needs. Raises Problem, what `tick` raises.

    `access` is to the repository of the snapshot that it begins with.
    """
    until = draft.until
    held = {each.id for each in restic.snapshots(access)}
    pieces = draft.to_look_at()
    log = StoredLog(access, snapshot.source, _rows(pieces, snapshot, held))
    seen = _seen(log, draft.upper, tick)
    if until.moment is not None:
        cut = cut_at(seen, until.moment, draft.marks_around(), draft.lower)
    else:
        before = cut_before(seen, until.place or until.before)
        if before is None:
            raise refusals.unknown_transaction(until.before)
        cut = before
    draft.refuse_walls(cut.place)
    return Way(draft.base.place, cut, _rows(draft.pieces_to(cut.place), snapshot, held))


def _rows(pieces: Sequence[Piece], snapshot: Snapshot, held: Collection[str]) -> list[LogPiece]:
    """Their rows. Raises Problem where one is not in the snapshot's repository any more."""
    rows = LogPiece.objects.in_bulk([piece.key for piece in pieces])
    found = [rows[piece.key] for piece in pieces if piece.key in rows]
    if len(found) != len(pieces):
        raise refusals.base_gone()
    if any(row.repository_id != snapshot.repository_id for row in found):
        raise Problem(
            phrase(
                "The log of that time lies in another repository than snapshot {snapshot}.",
                snapshot=snapshot.short_id,
            ),
            code="moment.two_repositories",
            safe=phrase("Nothing was touched."),
            do=phrase("Choose a later moment: since the next backup both lie in one."),
        )
    for piece, row in zip(pieces, found, strict=True):
        if row.snapshot_id not in held:
            raise refusals.piece_missing(replace(piece, snapshot_id=row.snapshot_id))
    return found


def _seen(log: StoredLog, upper: Place, tick: Tick) -> Iterator[Seen]:
    """The transactions in order, up to the first that begins at `upper` or behind it."""
    for piece in log.pieces:
        name = PieceName(log.database, piece.file, piece.file_made, piece.start, piece.end)
        for each in read(_ticking(piece_bytes(log, piece, Played()), tick), Reading(piece=name), Nothing):
            if isinstance(each, Transaction):
                seen = _as_seen(piece.file, each)
                yield seen
                if rank(seen.begins) >= rank(upper):
                    return


def _ticking(chunks: Iterator[bytes], tick: Tick) -> Iterator[bytes]:
    for data in chunks:
        tick()
        yield data


def _as_seen(file: str, transaction: Transaction) -> Seen:
    is_exact = transaction.committed_us is not None
    told = timedelta(seconds=transaction.moment)
    if transaction.committed_us is not None:
        told = timedelta(microseconds=transaction.committed_us)
    begins, ends = Place(file, transaction.start), Place(file, transaction.end)
    return Seen(begins, ends, _EPOCH + told, transaction.gtid, is_exact)
