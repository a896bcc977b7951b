"""A copy that is led through the stored log in steps: up to a place, looked at there, and further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backups import mysql
from backups.actions.steps.log_replayed import Played, StoredLog, replay_stored
from backups.dumpfile.log_positions import Place
from backups.models import LogPiece
from backups.moments.timeline import Rank, rank
from backups.replaying.way import Route
from backups.runs.progress import Progress


class Advance:
    """Replays onto a copy, which is as the source was at the route's beginning."""

    def __init__(self, log: StoredLog, place: mysql.ProbedServer, route: Route, progress: Progress) -> None:
        self._log, self._place, self._route, self._progress = log, place, route, progress

    def to(self, place: Place) -> None:
        """Replay up to a place between transactions, not before where it is. Raises Problem, Cancelled."""
        at = rank(self._route.after)
        pieces = [each for each in self._log.pieces if _ends(each) > at and _begins(each) < rank(place)]
        if pieces:
            # Behind the last one there is nothing of the database up to there.
            last = Place(pieces[-1].file, pieces[-1].end)
            route = replace(self._route, until=min(place, last, key=rank))
            replay_stored(self._of(pieces), self._place, route, Played(), self._progress)
        self._route = replace(self._route, after=place)

    def _of(self, pieces: Sequence[LogPiece]) -> StoredLog:
        return replace(self._log, pieces=pieces)


def _begins(piece: LogPiece) -> Rank:
    return rank(Place(piece.file, piece.start))


def _ends(piece: LogPiece) -> Rank:
    return rank(Place(piece.file, piece.end))
