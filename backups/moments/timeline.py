"""An archived log as values: what is stored of it, between which gaps, and where its dumps are in it.

Positions are compared within a stretch alone. Before and after a gap the same name may mean another file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from backups.dumpfile.log_positions import Place, numbered

# How places of one stretch are ordered: a file's number has more digits after 999999.
Rank: TypeAlias = tuple[int, int]


def rank(place: Place) -> Rank:
    """Where a place stands among all of its stretch; a file without a number stands before all."""
    return numbered(place.file)[1], place.position


class Barrier(NamedTuple):
    """A transaction that no replay goes past, by where it begins; `moment` is when it was committed."""

    place: Place
    moment: datetime | None
    code: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Piece:
    """A part of the log: a snapshot with all transactions of the database from `start` to `end`."""

    key: int
    repository: int
    snapshot_id: str
    server: str
    file: str
    made: int
    start: int
    end: int
    stored: datetime
    first: datetime | None = None
    last: datetime | None = None
    transactions: int = 0
    bytes: int = 0
    sha256: str = ""
    barriers: Sequence[Barrier] = ()
    is_kept: bool = True

    @property
    def begins(self) -> Place:
        """The first byte that was looked at."""
        return Place(self.file, self.start)

    @property
    def ends(self) -> Place:
        """Behind the last one."""
        return Place(self.file, self.end)


class Gap(NamedTuple):
    """A time of which the log is not stored; `ends` is None while it is open."""

    begins: datetime
    ends: datetime | None
    noticed: datetime
    sentence: str
    # How far the log was followed before.
    reached: Place | None = None


class Mark(NamedTuple):
    """How long the log was at a moment of our clock: all before the place was committed before the moment."""

    moment: datetime
    place: Place


class Base(NamedTuple):
    """A kept dump with an exact position; `time` is that of its snapshot, which is a little earlier."""

    key: int
    time: datetime
    place: Place
    server: str
    # All that was logged before, as the server tells it; empty where it does not.
    gtids: str = ""


@dataclass(frozen=True)
class Stretch:
    """The log from one gap to the next, in order; `ends` is up to when it is stored, by our clock."""

    begins: datetime | None
    ends: datetime | None
    end: Place | None
    bases: Sequence[Base] = ()
    pieces: Sequence[Piece] = ()
    marks: Sequence[Mark] = ()
    # What ended it; None of the one that is followed now.
    gap: Gap | None = None

    @property
    def barriers(self) -> list[Barrier]:
        """In their order."""
        found = [barrier for piece in self.pieces for barrier in piece.barriers]
        return sorted(found, key=lambda each: rank(each.place))

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return (self.begins is None or self.begins <= moment) and (
            self.ends is not None and moment <= self.ends
        )


@dataclass(frozen=True)
class Log:
    """All that rows tell of a database's archived log."""

    is_on: bool
    server: str = ""
    end: Place | None = None
    stored_until: datetime | None = None
    # When somebody switched it on or off last.
    switched: datetime | None = None
    bases: Sequence[Base] = ()
    pieces: Sequence[Piece] = ()
    gaps: Sequence[Gap] = ()
    marks: Sequence[Mark] = field(default=(), repr=False)

    def stretches(self) -> list[Stretch]:
        """Oldest first. A gap ends one with what was stored before it was noticed."""
        gaps = sorted(self.gaps, key=lambda gap: (gap.begins, gap.noticed))
        found = []
        for before, after in zip([None, *gaps], [*gaps, None], strict=True):
            found.append(self._between(before, after))
        return [stretch for stretch in found if stretch.bases or stretch.pieces or stretch.gap is None]

    def _between(self, before: Gap | None, after: Gap | None) -> Stretch:
        def is_in(time: datetime) -> bool:
            """What ended a gap is a dump of that moment: what was made while it stood open is of no use."""
            since = before is None or (before.ends is not None and before.ends <= time)
            return since and (after is None or time < after.begins)

        def was_stored(time: datetime) -> bool:
            return (before is None or before.noticed <= time) and (after is None or time < after.noticed)

        pieces = _in_force([piece for piece in self.pieces if was_stored(piece.stored)])
        marks = sorted((mark for mark in self.marks if is_in(mark.moment)), key=lambda mark: mark.moment)
        server = self.server if after is None else (pieces[-1].server if pieces else "")
        bases = [base for base in self.bases if is_in(base.time) and base.server == server]
        end = self.end
        if after is not None:
            known = [*(mark.place for mark in marks), *(each.ends for each in pieces)]
            end = max([*known, *([after.reached] if after.reached else [])], key=rank, default=None)
        is_open = before is not None and before.ends is None
        ends = after.begins if after is not None else self.stored_until
        return Stretch(
            begins=None if before is None else before.ends,
            ends=None if is_open else ends,
            end=end,
            bases=sorted(self._in_reach(bases, before, after, (pieces, end)), key=_by_place),
            pieces=pieces,
            marks=marks,
            gap=after,
        )

    def _in_reach(
        self,
        bases: Sequence[Base],
        before: Gap | None,
        after: Gap | None,
        log: tuple[Sequence[Piece], Place | None],
    ) -> list[Base]:
        """The dumps from whose position on the log was followed.

        Exact positions are told of dumps from before somebody switched it on as well. The first piece may
        begin behind the dump that it all began with, where nothing of the database was logged for a while.
        """
        pieces, end = log
        found = [base for base in bases if end is not None and rank(base.place) <= rank(end)]
        if before is not None:
            return found
        if self.is_on and self.switched is not None and (after is None or self.switched < after.begins):
            return [base for base in found if base.time >= self.switched]
        # It was switched off and on again since, so that only the first piece tells.
        return [base for base in found if pieces and rank(base.place) >= rank(pieces[0].begins)]


def _by_place(base: Base) -> Rank:
    return rank(base.place)


def _in_force(pieces: Sequence[Piece]) -> list[Piece]:
    """In their order, and of those that begin at one place the longest: it holds what the others do."""
    longest: dict[Rank, Piece] = {}
    for piece in sorted(pieces, key=lambda each: (each.is_kept, each.end, each.key)):
        longest[rank(piece.begins)] = piece
    found: list[Piece] = []
    for _, piece in sorted(longest.items()):
        if not found or rank(piece.ends) > rank(found[-1].ends):
            found.append(piece)
    return found
