"""Where a moment is in the stored log, found by reading what of that lies around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backups import restic
from backups.actions.steps.log_replayed import Played, StoredLog, piece_bytes
from backups.binlog import Piece as PieceName
from backups.binlog import Reading, Transaction, read
from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.models import Database, LogPiece
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


class _Nothing:
    """Takes the events of a transaction of which only place and time are looked at."""

    def append(self, event: object) -> None:
        """It is not kept."""

    def __iter__(self) -> Iterator[object]:
        return iter(())


def found(draft: Draft, database: Database, access: restic.Access, tick: Tick) -> Way:
    """Where the end of the replay is, and all that it needs. Raises Problem, what `tick` raises."""
    until = draft.until
    pieces = draft.to_look_at()
    refuse_missing(pieces, access)
    log = StoredLog(access, database.database, _rows(pieces, database))
    seen = _seen(log, draft.upper, tick)
    if until.moment is not None:
        cut = cut_at(seen, until.moment, draft.marks_around(), draft.lower)
    else:
        before = cut_before(seen, until.place or until.before)
        if before is None:
            raise refusals.unknown_transaction(until.before)
        cut = before
    draft.refuse_walls(cut.place)
    needed = draft.pieces_to(cut.place)
    refuse_missing(needed, access)
    return Way(draft.base.place, cut, _rows(needed, database))


def refuse_missing(pieces: Sequence[Piece], access: restic.Access) -> None:
    """Raise Problem where a piece is not in the repository any more."""
    if not pieces:
        return
    held = {each.id for each in restic.snapshots(access)}
    for piece in pieces:
        if piece.snapshot_id not in held:
            raise refusals.piece_missing(piece)


def _rows(pieces: Sequence[Piece], database: Database) -> list[LogPiece]:
    rows = LogPiece.objects.in_bulk([piece.key for piece in pieces])
    found = [rows[piece.key] for piece in pieces if piece.key in rows]
    if len(found) != len(pieces):
        raise refusals.base_gone()
    if any(row.repository_id != database.repository_id for row in found):
        raise Problem(
            phrase("The log of that time lies in another repository than {database}.", database=database),
            code="moment.two_repositories",
            safe=phrase("Nothing was touched."),
            do=phrase("Choose a later moment: since the next backup both lie in one."),
        )
    return found


def _seen(log: StoredLog, upper: Place, tick: Tick) -> Iterator[Seen]:
    """The transactions in order, up to the first that begins at `upper` or behind it."""
    for piece in log.pieces:
        name = PieceName(log.database, piece.file, piece.file_made, piece.start, piece.end)
        for each in read(_ticking(piece_bytes(log, piece, Played()), tick), Reading(piece=name), _Nothing):
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
    if transaction.committed_us is not None:
        moment = _EPOCH + timedelta(microseconds=transaction.committed_us)
    else:
        moment = _EPOCH + timedelta(seconds=transaction.moment)
    return Seen(Place(file, transaction.start), Place(file, transaction.end), moment, transaction.gtid)
