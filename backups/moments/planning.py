"""From a moment to the dump it is restored from, the log that is replayed on that, and where its end is.

By rows alone: the place itself is known once the log between `lower` and `upper` was read (`position`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backups.dumpfile.log_positions import Place
from backups.moments import refusals
from backups.moments.timeline import Base, Log, Mark, Piece, Stretch, rank
from backups.moments.until import Until
from backups.moments.windows import Window, first_wall_after, of_stretch


@dataclass(frozen=True)
class Draft:
    """The dump to begin with, and between which places of the log the end of the replay is."""

    until: Until
    stretch: Stretch
    base: Base
    lower: Place
    upper: Place

    def pieces_to(self, place: Place) -> list[Piece]:
        """What has to be read to replay from the dump up to a place, in order."""
        since, end = rank(self.base.place), rank(place)
        return [each for each in self.stretch.pieces if rank(each.ends) > since and rank(each.begins) < end]

    def to_look_at(self) -> list[Piece]:
        """What has to be read to find the place."""
        return [piece for piece in self.pieces_to(self.upper) if rank(piece.ends) > rank(self.lower)]

    def marks_around(self) -> list[Mark]:
        """What times between both places are held against."""
        return [
            mark for mark in self.stretch.marks if rank(self.lower) <= rank(mark.place) <= rank(self.upper)
        ]

    def refuse_walls(self, place: Place) -> None:
        """Raise Problem where something that cannot be replayed lies before the place."""
        wall = first_wall_after(self.stretch, self.base.place, place)
        if isinstance(wall, Piece):
            raise refusals.not_kept(wall)
        if wall is not None:
            raise refusals.behind_barrier(self.until.told, wall, [])
        if rank(place) < rank(self.base.place):
            raise refusals.before_dump(self.until.told)


def drafted(log: Log, until: Until) -> Draft:
    """What to begin with. Raises Problem, and never takes a moment that was not asked for."""
    found = [(stretch, window) for stretch in log.stretches() for window in of_stretch(stretch)]
    refusals.refuse_without_any(log, [window for _, window in found])
    if until.moment is not None:
        return _of_moment(log, until, until.moment, found)
    if (place := until.place) is None:
        raise refusals.unknown_transaction(until.before)
    return before_place(until, place, found)


def _of_moment(log: Log, until: Until, moment: datetime, found: list[tuple[Stretch, Window]]) -> Draft:
    for stretch, window in found:
        if window.holds(moment):
            return _between(until, stretch, window, _around(stretch, window, moment))
    raise refusals.of_moment(moment, log, [window for _, window in found])


def _around(stretch: Stretch, window: Window, moment: datetime) -> tuple[Place, Place]:
    """All up to the first place was committed by then, and nothing behind the second one."""
    lower, upper = window.base.place, stretch.end or window.base.place
    for mark in stretch.marks:
        if mark.moment <= moment and rank(mark.place) > rank(lower):
            lower = mark.place
    for mark in reversed(stretch.marks):
        if mark.moment >= moment and rank(lower) <= rank(mark.place) < rank(upper):
            upper = mark.place
    return lower, max(lower, upper, key=rank)


def before_place(until: Until, place: Place, found: list[tuple[Stretch, Window]]) -> Draft:
    """Just before the transaction that begins at a place. Raises Problem."""
    fitting = [
        (stretch, window)
        for stretch, window in found
        if stretch.end is not None
        and rank(window.base.place) <= rank(place) < rank(stretch.end)
        and _is_of(stretch, place)
        and first_wall_after(stretch, window.base.place, place) is None
    ]
    if not fitting:
        _refuse_place(until, place, found)
    if len({id(stretch) for stretch, _ in fitting}) > 1:
        raise refusals.ambiguous(until.before)
    stretch, window = fitting[-1]
    return _between(until, stretch, window, (place, place))


def _is_of(stretch: Stretch, place: Place) -> bool:
    return any(
        piece.file == place.file and piece.start <= place.position < piece.end for piece in stretch.pieces
    )


def _refuse_place(until: Until, place: Place, found: list[tuple[Stretch, Window]]) -> None:
    for stretch, window in found:
        if _is_of(stretch, place) and rank(window.base.place) <= rank(place):
            wall = first_wall_after(stretch, window.base.place, place)
            if isinstance(wall, Piece):
                raise refusals.not_kept(wall)
            if wall is not None:
                raise refusals.behind_barrier(until.told, wall, [each for _, each in found])
    raise refusals.unknown_transaction(until.before)


def _between(until: Until, stretch: Stretch, window: Window, places: tuple[Place, Place]) -> Draft:
    lower, upper = places
    fit = [
        base
        for base in stretch.bases
        if rank(window.base.place) <= rank(base.place) <= rank(lower)
        and first_wall_after(stretch, base.place, lower) is None
    ]
    return Draft(until, stretch, fit[-1] if fit else window.base, lower, upper)
