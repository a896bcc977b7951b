"""The times of which any moment can be had: from a dump on, up to a gap, a barrier or the end of the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backups.dumpfile.log_positions import Place
from backups.moments.timeline import Barrier, Base, Gap, Log, Mark, Piece, Rank, Stretch, rank
from backups.moments.until import rounded_down, rounded_up


@dataclass(frozen=True)
class Window:
    """Any moment from `begins` to `ends` can be had. It ends at a gap, a barrier, a piece, or nothing."""

    begins: datetime
    ends: datetime
    base: Base
    gap: Gap | None = None
    barrier: Barrier | None = None
    lacking: Piece | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.begins <= moment <= self.ends

    @property
    def whole(self) -> tuple[datetime, datetime]:
        """Its first and its last whole second, for people, who may type them; as it is where it has none."""
        begins, ends = rounded_up(self.begins), rounded_down(self.ends)
        return (begins, ends) if begins <= ends else (self.begins, self.ends)


@dataclass(frozen=True)
class _Wall:
    """What no replay goes past: a barrier at the place, or a piece that is not kept up to `beyond`."""

    place: Rank
    beyond: Rank
    moment: datetime | None
    barrier: Barrier | None = None
    piece: Piece | None = None


# Some servers tell in whole seconds when a transaction was committed, and their clocks differ from ours.
_ABOUT = timedelta(seconds=5)


def may_be_had(found: Sequence[Window], moment: datetime) -> bool:
    """Whether one of these may hold the moment of a transaction; certain is only that none does."""
    return any(each.begins - _ABOUT <= moment <= each.ends + _ABOUT for each in found)


def windows(log: Log) -> list[Window]:
    """Oldest first; none touches another."""
    return [window for stretch in log.stretches() for window in of_stretch(stretch)]


def of_stretch(stretch: Stretch) -> Iterator[Window]:
    """Those between two gaps."""
    if stretch.ends is None:
        return
    since: Rank | None = None
    for wall in [*_walls(stretch), None]:
        base = _first_base(stretch.bases, since, wall)
        if base is not None:
            begins = moment_of(base, stretch.marks)
            ends = stretch.ends if wall is None else _moment_of_wall(wall, stretch, stretch.ends)
            if begins <= ends and not _is_a_dump_alone(wall, base, stretch):
                yield Window(
                    begins, ends, base,
                    gap=stretch.gap if wall is None else None,
                    barrier=wall.barrier if wall else None,
                    lacking=wall.piece if wall else None,
                )  # fmt: skip
        since = wall.beyond if wall else None


def _is_a_dump_alone(wall: _Wall | None, base: Base, stretch: Stretch) -> bool:
    """Whether no log is kept behind a dump any more: that is restored as any other."""
    if wall is None or wall.piece is None:
        return False
    since = rank(base.place)
    return not any(
        each.is_kept and rank(each.ends) > since and rank(each.begins) < wall.place for each in stretch.pieces
    )


def open_barrier(log: Log) -> Barrier | None:
    """The first of the barriers behind which no dump stands: until one does, no later moment can be had.

    None while the log is not followed: then a barrier is the least of it.
    """
    stretch = log.stretches()[-1]
    if not log.is_on or stretch.gap is not None or stretch.ends is None:
        return None
    newest = max((rank(base.place) for base in stretch.bases), default=(0, 0))
    return next((each for each in stretch.barriers if rank(each.place) >= newest), None)


def moment_of(base: Base, marks: Sequence[Mark]) -> datetime:
    """From when on a dump is of use: its position was reached then, for certain."""
    reached = (mark.moment for mark in marks if rank(mark.place) >= rank(base.place))
    return max(next(reached, base.time), base.time)


def first_wall_after(stretch: Stretch, place: Place, until: Place) -> Barrier | Piece | None:
    """What stands between two places: a barrier, or a piece that is not kept."""
    for wall in _walls(stretch):
        if wall.beyond > rank(place) and wall.place < rank(until):
            return wall.barrier or wall.piece
    return None


def _walls(stretch: Stretch) -> list[_Wall]:
    barriers = [
        # A dump at its very place has it yet to come.
        _Wall(at := rank(each.place), (at[0], at[1] + 1), each.moment, barrier=each)
        for each in stretch.barriers
    ]
    lacking = [
        _Wall(rank(each.begins), rank(each.ends), each.first, piece=each)
        for each in stretch.pieces
        if not each.is_kept
    ]
    return sorted([*barriers, *lacking], key=lambda wall: wall.place)


def _first_base(bases: Sequence[Base], since: Rank | None, wall: _Wall | None) -> Base | None:
    for base in bases:
        at = rank(base.place)
        if (since is None or at >= since) and (wall is None or at <= wall.place):
            return base
    return None


def _moment_of_wall(wall: _Wall, stretch: Stretch, latest: datetime) -> datetime:
    """Up to when moments before it can be had, which is not after `latest`."""
    if wall.moment is not None:
        return min(wall.moment, latest)
    return max((mark.moment for mark in stretch.marks if rank(mark.place) <= wall.place), default=latest)
