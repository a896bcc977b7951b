"""From a moment to the dump it is restored from, the log that is replayed on that, and where its end is.

By rows alone: the place itself is known once the log between `lower` and `upper` was read (`position`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from backups.dumpfile.log_positions import Place
from backups.moments import refusals
from backups.moments.gtids import contains
from backups.moments.timeline import Base, Log, Mark, Piece, Stretch, rank
from backups.moments.until import Until
from backups.moments.windows import Window, first_wall_after, of_stretch

Found = list[tuple[Stretch, Window]]


@dataclass(frozen=True)
class Draft:
    """The dump to begin with, and between which places of the log the end of the replay is."""

    until: Until
    stretch: Stretch
    base: Base
    lower: Place
    upper: Place

    def pieces_to(self, place: Place) -> list[Piece]:
        """What has to be read to replay from the dump up to a place, in order. Raises Problem for a hole."""
        since, end = rank(self.base.place), rank(place)
        if since == end:
            return []
        pieces = self.stretch.pieces
        found = [each for each in pieces if rank(each.ends) > since and rank(each.begins) < end]
        # The very first piece may begin behind its dump; any other begins where the one before it ends.
        earlier = [each for each in pieces if found and rank(each.begins) < rank(found[0].begins)]
        for before, piece in pairwise([*earlier[-1:], *found]):
            if before.file == piece.file and (piece.start > before.end or piece.made != before.made):
                raise refusals.hole(before, piece)
        return found

    def to_look_at(self) -> list[Piece]:
        """What has to be read to find the place, in order."""
        lower, upper = rank(self.lower), rank(self.upper)
        return [
            each for each in self.stretch.pieces if rank(each.ends) > lower and rank(each.begins) <= upper
        ]

    def marks_around(self) -> list[Mark]:
        """What times between both places are held against."""
        lower, upper = rank(self.lower), rank(self.upper)
        return [mark for mark in self.stretch.marks if lower <= rank(mark.place) <= upper]

    def from_base(self, key: int) -> Draft:
        """The same, to begin with another dump. Raises Problem where that cannot lead there."""
        for base in self.stretch.bases:
            if base.key == key and rank(base.place) <= rank(self.upper):
                return replace(self, base=base)
        raise refusals.base_gone()

    def refuse_walls(self, place: Place) -> None:
        """Raise Problem where something that cannot be replayed lies before the place."""
        if rank(place) < rank(self.base.place):
            raise refusals.before_dump(self.until.told)
        wall = first_wall_after(self.stretch, self.base.place, place)
        if isinstance(wall, Piece):
            raise refusals.not_kept(wall)
        if wall is not None:
            raise refusals.behind_barrier(self.until.told, wall, list(of_stretch(self.stretch)))


def drafted(log: Log, until: Until, *, known: Place | None = None) -> Draft:
    """What to begin with. Raises Problem, and never takes a moment that was not asked for.

    `known` is where the transaction begins, if its GTID is among those that are listed.
    """
    found = [(stretch, window) for stretch in log.stretches() for window in of_stretch(stretch)]
    refusals.refuse_without_any(log, [window for _, window in found])
    if until.moment is not None:
        return _of_moment(log, until, until.moment, found)
    if (place := until.place or known) is not None:
        return _before_place(until, place, found)
    return _before_gtid(until, found)


def _of_moment(log: Log, until: Until, moment: datetime, found: Found) -> Draft:
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


def _before_place(until: Until, place: Place, found: Found) -> Draft:
    fitting = [
        (stretch, window)
        for stretch, window in found
        if rank(window.base.place) <= rank(place)
        and _is_of(stretch, place)
        and first_wall_after(stretch, window.base.place, place) is None
    ]
    if not fitting:
        raise _refusal_of_place(until, place, found)
    if len({id(stretch) for stretch, _ in fitting}) > 1:
        raise refusals.ambiguous(until.before)
    stretch, window = fitting[-1]
    return _between(until, stretch, window, (place, place))


def _is_of(stretch: Stretch, place: Place) -> bool:
    return any(
        piece.file == place.file and piece.start <= place.position < piece.end for piece in stretch.pieces
    )


def _refusal_of_place(until: Until, place: Place, found: Found) -> Exception:
    for stretch, window in found:
        if _is_of(stretch, place) and rank(window.base.place) <= rank(place):
            wall = first_wall_after(stretch, window.base.place, place)
            if isinstance(wall, Piece):
                return refusals.not_kept(wall)
            if wall is not None:
                return refusals.behind_barrier(until.told, wall, [each for _, each in found])
    return refusals.unknown_transaction(until.before)


def _before_gtid(until: Until, found: Found) -> Draft:
    """By the newest dump that has it not yet; all behind that has to be looked through."""
    for stretch, window in reversed(found):
        for base in reversed(_bases_of(stretch, window)):
            if contains(base.gtids, until.before) is False:
                return Draft(until, stretch, base, base.place, stretch.end or base.place)
    raise refusals.unknown_transaction(until.before)


def _bases_of(stretch: Stretch, window: Window) -> list[Base]:
    """The dumps of a window, in their order."""
    first = rank(window.base.place)
    return [
        base
        for base in stretch.bases
        if rank(base.place) >= first and first_wall_after(stretch, window.base.place, base.place) is None
    ]


def _between(until: Until, stretch: Stretch, window: Window, places: tuple[Place, Place]) -> Draft:
    lower, upper = places
    fit = [base for base in _bases_of(stretch, window) if rank(base.place) <= rank(lower)]
    return Draft(until, stretch, fit[-1] if fit else window.base, lower, upper)
