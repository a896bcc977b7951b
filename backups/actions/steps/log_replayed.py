"""Pieces of an archived log, played out of their repository onto a dump that was loaded."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from backups import mysql, process, restic
from backups.binlog.names import Piece
from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.loading.loader import ended_by_number
from backups.loading.reading import unpacked
from backups.models import LogPiece
from backups.moments.spilling import spill_folder
from backups.moments.timeline import rank
from backups.replaying.result import Replayed
from backups.replaying.way import Part, Route, replay
from backups.runs.progress import Progress
from backups.text.sentences import phrase


@dataclass
class Played:
    """How far a replay is, or was: what the replay itself tells, bytes of pieces that were read, seconds."""

    replayed: Replayed | None = None
    bytes: int = 0
    seconds: float = 0.0

    @property
    def counted(self) -> dict[str, int]:
        """How many transactions changed something, how many rows, and in how many events of the log."""
        replayed = self.replayed or Replayed()
        return {
            "transactions": replayed.transactions,
            "row_changes": replayed.rows,
            "row_events": replayed.row_events,
        }


@dataclass(frozen=True)
class StoredLog:
    """Pieces of a database's log, in its order, and how to reach the repository that they lie in."""

    access: restic.Access
    database: str
    pieces: Sequence[LogPiece]


def replay_stored(
    log: StoredLog, place: mysql.ProbedServer, route: Route, played: Played, progress: Progress
) -> None:
    """Play the pieces; `played` tells how far it came, whatever ends it. Raises Problem, Cancelled."""
    progress.phase("replay", expected=sum(piece.bytes for piece in log.pieces))
    began = time.monotonic()

    def tick() -> None:
        progress.bytes_done(played.bytes)
        if played.replayed is not None:
            progress.detail(phrase("{number} transactions", number=played.replayed.transactions))
        progress.tick()

    def note(replayed: Replayed) -> None:
        played.replayed = replayed

    def work(connected: Callable[[int], None]) -> None:
        with mysql.loading_connections(place.server, route.target, 1) as (connection,):
            connected(connection.thread)
            parts = (_part(log, piece, played) for piece in log.pieces)
            played.replayed = replay(connection, place.info, _from_first(route, log.pieces), parts, note)

    try:
        ended_by_number(place.server, tick, work)
    finally:
        played.seconds = round(time.monotonic() - began, 3)


def _from_first(route: Route, pieces: Sequence[LogPiece]) -> Route:
    """The route from where the first piece begins, if that is behind the dump that all begins with.

    Nothing of the database was logged between them, and what stores the log was started anew meanwhile. What
    is long waits where there is room.
    """
    begins = [Place(piece.file, piece.start) for piece in pieces[:1]]
    return replace(route, after=max([route.after, *begins], key=rank), folder=spill_folder())


def _part(log: StoredLog, piece: LogPiece, played: Played) -> Part:
    name = Piece(log.database, piece.file, piece.file_made, piece.start, piece.end)
    return Part(piece.file, piece_bytes(log, piece, played), name)


def piece_bytes(
    log: StoredLog, piece: LogPiece, played: Played, tick: process.Tick = lambda: None
) -> Iterator[bytes]:
    """A piece's bytes, which are those that were stored. Raises Problem, one that `tick` raises as well.

    That is called several times a second, in another thread.
    """
    name = Piece(log.database, piece.file, piece.file_made, piece.start, piece.end)
    digest = hashlib.sha256()
    with (
        restic.dump(log.access, piece.snapshot_id, name.path) as source,
        restic.outage_guard(source, log.access, tick),
    ):
        for data in unpacked(source.stdout, gzip=False):
            digest.update(data)
            played.bytes += len(data)
            yield data
        restic.finished(source, log.access, phrase("reading the log"))
    if piece.sha256 and digest.hexdigest() != piece.sha256:
        raise Problem(
            phrase("The part {piece} of the log is not what was stored.", piece=piece),
            code="log.piece_damaged",
            safe=phrase("Nothing but the copy was changed."),
            do=phrase("Check the repository. Backups that do not need this part can be restored as before."),
        )
