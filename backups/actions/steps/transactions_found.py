"""Transactions of the stored log to be undone: where they are, and of which tables they changed rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from backups import binlog, process, restic
from backups.actions.steps.log_replayed import Played, StoredLog, piece_bytes
from backups.actions.steps.moment_found import Way, found
from backups.binlog import Ending, Piece, Reading, Transaction
from backups.binlog.held_events import HeldEvents
from backups.dumpfile.log_positions import Place
from backups.models import LogPiece, Snapshot
from backups.moments import refusals
from backups.moments.planning import Draft
from backups.moments.position import Seen
from backups.moments.rows import Spot
from backups.moments.spilling import spill_folder
from backups.moments.timeline import Barrier, rank
from backups.moments.windows import first_wall_after

# Those that commit rows. Of tables without transactions some are changed by one that is rolled back.
_OF_ROWS = (Ending.ROWS, Ending.ROLLED_BACK, Ending.XA_COMMITTED)


@dataclass(frozen=True)
class FoundTransaction:
    """A transaction, what the log tells of it, and the pieces from the dump up to its end, in order.

    `tables` are those of which it has rows in the log, None where these are elsewhere in it, as of an XA
    transaction.
    """

    name: str
    seen: Seen
    after: Place
    pieces: Sequence[LogPiece]
    tables: frozenset[str] | None

    @property
    def end(self) -> Spot:
        """Right behind it."""
        return Spot(self.pieces[-1].pk, self.seen.ends.position)


def transactions_found(
    drafts: Iterable[Draft], snapshot: Snapshot, access: restic.Access, tick: process.Tick
) -> list[FoundTransaction]:
    """What is asked for by its drafts, the oldest first, each once. Raises Problem, what `tick` raises."""
    by_place: dict[Place, FoundTransaction] = {}
    for draft in drafts:
        each = _found(draft, snapshot, access, tick)
        by_place.setdefault(each.seen.begins, each)
    return sorted(by_place.values(), key=lambda each: rank(each.seen.begins))


def _found(draft: Draft, snapshot: Snapshot, access: restic.Access, tick: process.Tick) -> FoundTransaction:
    way: Way = found(draft, snapshot, access, tick)
    name, seen = draft.until.before, way.cut.left_out
    if seen is None:
        raise refusals.unknown_transaction(name)
    wall = first_wall_after(draft.stretch, draft.base.place, seen.ends)
    if isinstance(wall, Barrier):
        raise refusals.barred(name, wall)
    if wall is not None:
        raise refusals.not_kept(wall)
    rows = LogPiece.objects.in_bulk([piece.key for piece in draft.pieces_to(seen.ends)])
    # A restic snapshot is missing that was there a moment ago: reading it says so.
    pieces = sorted(rows.values(), key=lambda piece: rank(Place(piece.file, piece.start)))
    log = StoredLog(access, snapshot.source, pieces[-1:])
    transaction = next((each for each in _read(log, tick) if each.start == seen.begins.position), None)
    if transaction is None:
        raise refusals.unknown_transaction(name)
    return FoundTransaction(name, seen, way.after, pieces, _tables_of(transaction, name))


def _read(log: StoredLog, tick: process.Tick) -> Iterator[Transaction]:
    for piece in log.pieces:
        name = Piece(log.database, piece.file, piece.file_made, piece.start, piece.end)
        chunks = piece_bytes(log, piece, Played())
        for each in binlog.read(chunks, Reading(piece=name), lambda: HeldEvents(spill_folder())):
            tick()
            if isinstance(each, Transaction):
                yield each


def _tables_of(transaction: Transaction, name: str) -> frozenset[str] | None:
    """Of which tables it changed rows, by the log. Raises Problem where it did something else."""
    if transaction.kind not in _OF_ROWS:
        raise refusals.no_rows(name)
    if transaction.kind == Ending.XA_COMMITTED:
        return None
    if any(_defines(event) for event in transaction.events):
        raise refusals.no_rows(name)
    changed = binlog.changes(transaction.events)
    return frozenset(table.decode(errors="surrogateescape") for _, table in changed)


def _defines(event: binlog.Event) -> bool:
    """Whether it is a statement of its own: CREATE TABLE … SELECT is one, with its rows behind it."""
    return event.kind in binlog.QUERIES and not binlog.is_frame(binlog.parse_query(event).text)
