"""A search of the stored log itself, which has all transactions: what is asked, and what is answered.

The worker reads the log for it, from the beginning of a time to its end or as far as it comes. What it finds
is in no row: it may hold the text of statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from backups.errors import Problem
from backups.models import Database
from backups.moments import listed
from backups.moments.listed import Wanted
from backups.moments.rows import log_of
from backups.moments.timeline import Log, Piece
from backups.moments.until import local, rounded_down, rounded_up
from backups.text.sentences import joined, phrase, plural

# So far one search goes: seconds, bytes that are read, and transactions that are found.
SECONDS, MOST_BYTES, MOST_FOUND = 20.0, 1_000_000_000, 100
LONGEST_KEY = 200
_MOST_NAMED = 10
TIME, SIZE, RESULTS = "time", "size", "results"


@dataclass(frozen=True)
class Search:
    """What is looked for from `begins` up to `ends`, both included.

    `after` is where an earlier search of the same came to: the piece by its row, and a position.
    """

    begins: datetime
    ends: datetime
    wanted: Wanted = field(default_factory=Wanted)
    key: str = field(default="", repr=False)
    with_text: bool = False
    after: tuple[int, int] | None = None

    @property
    def before(self) -> datetime:
        """The first moment that is not looked at: MariaDB tells whole seconds, and people name such."""
        return self.ends + (timedelta(microseconds=1) if self.ends.microsecond else timedelta(seconds=1))

    def refuse_unfit(self) -> None:
        """Raise Problem for what cannot be meant."""
        if self.begins > self.ends:
            raise Problem(
                phrase("The end of the time lies before its beginning."),
                code="moment.turned_round",
                do=phrase("Give the earlier moment first."),
            )

    def pieces(self, log: Log) -> Iterator[Piece]:
        """What of the log is of that time, in its order; what is not kept is among it."""
        for stretch in log.stretches():
            for piece in stretch.pieces:
                if piece.first is None or piece.last is None:
                    continue
                if piece.last >= self.begins and piece.first < self.before:
                    yield piece

    def asked(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **asdict(self.wanted),
            "begins": self.begins.isoformat(),
            "ends": self.ends.isoformat(),
            "key": self.key,
            "with_text": self.with_text,
            "after": list(self.after) if self.after else None,
        }

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Self:
        """The same again. Raises KeyError, TypeError or ValueError for what was never asked so."""
        connection, after = asked["connection"], asked["after"]
        begins, ends = (datetime.fromisoformat(str(asked[name])) for name in ("begins", "ends"))
        return cls(
            begins.astimezone(UTC),
            ends.astimezone(UTC),
            Wanted(
                str(asked["table"]),
                str(asked["kind"]),
                int(asked["rows"]),
                str(asked["gtid"]),
                None if connection is None else int(connection),
            ),
            str(asked["key"])[:LONGEST_KEY],
            asked["with_text"] is True,
            None if after is None else (int(after[0]), int(after[1])),
        )


@dataclass(frozen=True)
class FoundTransaction:
    """One that fits. Its statements are there where they were asked for and the log has them."""

    file: str
    position: int
    moment: datetime
    gtid: str
    connection: int | None
    rows: int
    tables: Mapping[str, Mapping[str, int]]
    tables_beyond: int
    is_definition: bool
    statements: Sequence[str] = field(repr=False)
    statements_beyond: int

    @property
    def place(self) -> str:
        """Where it begins, as a restore takes it."""
        return f"{self.file}:{self.position}"

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the worker told it. Raises KeyError, TypeError or ValueError."""
        connection = told["connection"]
        return cls(
            str(told["file"]),
            int(told["position"]),
            datetime.fromisoformat(str(told["moment"])),
            str(told["gtid"]),
            None if connection is None else int(connection),
            int(told["rows"]),
            listed.counted(told["tables"]),
            int(told["tables_beyond"]),
            told["is_definition"] is True,
            [str(each) for each in told["statements"]],
            int(told["statements_beyond"]),
        )


@dataclass(frozen=True)
class Found:
    """What a search found, the oldest first, and how far it came.

    `why` is empty where it came to the end, else what ended it: it can go on from `go_on`.
    """

    transactions: Sequence[FoundTransaction] = ()
    why: str = ""
    reached: datetime | None = None
    go_on: tuple[int, int] | None = None
    bytes: int = 0
    # Parts of the log that could not be read, by where they begin.
    unread: Sequence[str] = ()
    # Tables whose key could not be looked at.
    unlike: Sequence[str] = ()
    # Transactions that are too large for one search, where what is known of them does not tell that they fit.
    too_large: Sequence[str] = ()
    # Whether it ended at a large one, so that it takes another to get past that.
    is_at_large: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the worker told it. Raises KeyError, TypeError or ValueError."""
        reached, go_on = told["reached"], told["go_on"]
        return cls(
            tuple(FoundTransaction.of(each) for each in told["transactions"]),
            str(told["why"]),
            None if reached is None else datetime.fromisoformat(str(reached)),
            None if go_on is None else (int(go_on[0]), int(go_on[1])),
            int(told["bytes"]),
            tuple(str(each) for each in told["unread"]),
            tuple(str(each) for each in told["unlike"]),
            tuple(str(each) for each in told.get("too_large", ())),
            told.get("is_at_large") is True,
        )


def together(first: Found, then: Found) -> Found:
    """Two searches as one, of which the second goes on from the first."""
    return replace(
        then,
        transactions=(*first.transactions, *then.transactions),
        reached=then.reached or first.reached,
        bytes=first.bytes + then.bytes,
        unread=(*first.unread, *then.unread),
        unlike=tuple(sorted({*first.unlike, *then.unlike})),
        too_large=(*first.too_large, *then.too_large),
    )


def left_off(database: Database, search: Search, found: Found) -> list[str]:
    """What of the time was not looked through, and why, in sentences; empty where all was."""
    log = log_of(database)
    told = [_ended(found)] if found.why else []
    told += _not_stored(log, search)
    if not_kept := [piece for piece in search.pieces(log) if not piece.is_kept]:
        places = joined((f"{each.file}:{each.start}" for each in not_kept[:_MOST_NAMED]), ", ")
        told.append(phrase("These parts of the log are not kept any more: {places}.", places=places))
    if found.unread:
        places = joined(found.unread[:_MOST_NAMED], ", ")
        told.append(
            phrase(
                "These parts of the log could not be read, and what is in them is missing here: {places}. "
                "Check the repository.",
                places=places,
            )
        )
    if found.too_large:
        places = joined(found.too_large[:_MOST_NAMED], ", ")
        told.append(
            phrase(
                "These transactions are too large for one search, which did not come to their end, so they "
                "may be among what you look for: {places}.",
                places=places,
            )
        )
    if found.unlike:
        told.append(
            phrase(
                "The key could not be looked at in {tables}: only a primary key that begins with a whole "
                "number or a short text can be, and only while the table has the columns that it has now.",
                tables=joined(found.unlike[:_MOST_NAMED], ", "),
            )
        )
    return told


def _ended(found: Found) -> str:
    at = local(found.reached) if found.reached else ""
    if found.why == RESULTS:
        return plural(
            "It ended at {moment} with {n} transaction found. Go on from there, or narrow the search.",
            "It ended at {moment} with {n} transactions found. Go on from there, or narrow the search.",
            n=len(found.transactions),
            moment=at,
        )
    if not at:
        return phrase("It ended before the first transaction of that time, because it took too long. Go on.")
    if found.why == SIZE:
        return phrase("It ended at {moment}: it reads no more than a gigabyte at once. Go on.", moment=at)
    return phrase("It ended at {moment}, because it took too long. Go on from there.", moment=at)


def _not_stored(log: Log, search: Search) -> Iterator[str]:
    for gap in log.gaps:
        if gap.begins < search.before and (gap.ends is None or gap.ends > search.begins):
            yield phrase(
                "The log has a gap from {begins} to {ends} ({sentence}).",
                begins=local(rounded_down(gap.begins)),
                ends=local(rounded_up(gap.ends)) if gap.ends else phrase("now"),
                sentence=gap.sentence.rstrip("."),
            )
    stored = log.stored_until
    if stored is not None and search.ends > stored:
        moment = local(rounded_down(stored))
        yield phrase("What was committed after {moment} is not stored yet.", moment=moment)
