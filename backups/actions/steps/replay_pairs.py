"""Which two backups a proof by replay takes, and whether the stored log leads from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from backups.binlog.barriers import told
from backups.choices import ReplayVerdict
from backups.dumpfile.log_positions import Place
from backups.dumpfile.manifests import FOR_REPLAY
from backups.models import Database, LogPiece, Snapshot
from backups.moments.rows import log_of
from backups.moments.timeline import Barrier, Base, Gap, Log, Piece, Stretch, rank
from backups.moments.windows import first_wall_after
from backups.text.sentences import phrase, plural

# Of fewer nobody learns whether a replay is right.
FEWEST_TRANSACTIONS = 100


@dataclass(frozen=True)
class Pair:
    """Two backups of one stretch of the log, and the pieces of it between them, in order.

    With a `verdict` that is known already, and why: nothing has to be replayed for it.
    """

    base: Snapshot
    next: Snapshot | None = None
    after: Place | None = None
    until: Place | None = None
    pieces: Sequence[LogPiece] = ()
    verdict: ReplayVerdict | None = None
    reason: str = ""


def newest_pair(database: Database) -> Pair | None:
    """The newest backup that the log leads to, and the newest before it that leaves enough to replay.

    None where no backup has an exact position.
    """
    log = log_of(database)
    if not log.bases:
        return None
    stretches = log.stretches()
    stretch = stretches[-1]
    newest = max(log.bases, key=lambda base: base.time)
    if broken := _broken(log, stretch, newest):
        return broken
    if len(stretch.bases) < 2:
        reason = phrase("There is only one backup with an exact position in the stored log yet.")
        pair = _nothing(stretch.bases[0] if stretch.bases else newest, reason)
    else:
        pair = _between(stretch)
    is_behind = newest not in stretch.bases and newest.server == log.server
    return _told_to_wait(pair, newest) if is_behind and pair.verdict == ReplayVerdict.NOTHING else pair


def _told_to_wait(pair: Pair, newest: Base) -> Pair:
    """The newest backup is ahead of what is stored of the log, which is behind by a minute."""
    words = phrase(
        "{reason} The log up to backup {snapshot} is stored within a minute: run it again then.",
        reason=pair.reason,
        snapshot=_snapshot(newest).short_id,
    )
    return replace(pair, reason=words)


def _broken(log: Log, stretch: Stretch, newest: Base) -> Pair | None:
    """Where a gap is open, or lies between the two newest."""
    open_gap = next((gap for gap in log.gaps if gap.ends is None), None)
    if open_gap is not None:
        return Pair(_snapshot(newest), verdict=ReplayVerdict.GAP, reason=open_gap.sentence)
    before = [base for base in log.bases if base.time < newest.time]
    last_gap = max(log.gaps, key=lambda gap: gap.begins, default=None)
    if len(stretch.bases) != 1 or not before or last_gap is None:
        return None
    earlier = max(before, key=lambda base: base.time)
    if not _lies_between(last_gap, earlier, stretch.bases[-1]):
        return None
    return Pair(
        _snapshot(earlier),
        _snapshot(stretch.bases[-1]),
        verdict=ReplayVerdict.GAP,
        reason=last_gap.sentence,
    )


def _lies_between(gap: Gap, earlier: Base, later: Base) -> bool:
    return earlier.time <= gap.begins <= later.time


def _between(stretch: Stretch) -> Pair:
    *earlier, last = stretch.bases
    wall = first_wall_after(stretch, earlier[-1].place, last.place)
    if wall is not None:
        return _walled(earlier[-1], last, wall)
    base = earlier[-1]
    for each in reversed(earlier):
        if first_wall_after(stretch, each.place, last.place) is not None:
            break
        base = each
        if _count(_pieces(stretch, base.place, last.place)) >= FEWEST_TRANSACTIONS:
            break
    return _of(stretch, base, last)


def _of(stretch: Stretch, base: Base, last: Base) -> Pair:
    pieces = _pieces(stretch, base.place, last.place)
    then, now = _snapshot(base), _snapshot(last)
    if (now.manifest or {}).get("for_replay") != FOR_REPLAY:
        words = phrase(
            "Backup {snapshot} was made by another version, and does not tell what a proof needs. The next "
            "backup will.",
            snapshot=now.short_id,
        )
        return Pair(then, now, verdict=ReplayVerdict.NOTHING, reason=words)
    if hole := _hole(pieces):
        return Pair(then, now, verdict=ReplayVerdict.GAP, reason=hole)
    if (count := _count(pieces)) < FEWEST_TRANSACTIONS:
        return _nothing(base, too_few(count, then, now), now)
    by_key = LogPiece.objects.select_related("repository").in_bulk([piece.key for piece in pieces])
    # The log was read up to the dump, and behind the last piece it holds nothing of the database.
    until = min(last.place, pieces[-1].ends, key=rank)
    return Pair(then, now, base.place, until, [by_key[piece.key] for piece in pieces])


def too_few(count: int, base: Snapshot, until: Snapshot | None) -> str:
    """Why there is nothing to prove between two backups."""
    return plural(
        "Only {n} transaction lies between backups {base} and {until}, too few to prove anything.",
        "Only {n} transactions lie between backups {base} and {until}, too few to prove anything.",
        n=count,
        base=base.short_id,
        until=until.short_id if until else "",
    )


def _walled(base: Base, last: Base, wall: Barrier | Piece) -> Pair:
    if isinstance(wall, Barrier):
        verdict, reason = ReplayVerdict.BARRIER, _barrier_told(wall)
    else:
        verdict = ReplayVerdict.GAP
        reason = phrase(
            "The log of {file} from position {start} to {end} is not kept any more.",
            file=wall.file,
            start=wall.start,
            end=wall.end,
        )
    return Pair(_snapshot(base), _snapshot(last), verdict=verdict, reason=reason)


def _barrier_told(barrier: Barrier) -> str:
    return phrase(
        "The log cannot be replayed past {file}, position {position}. {why}",
        file=barrier.place.file,
        position=barrier.place.position,
        why=told(barrier.code, barrier.params),
    )


def _pieces(stretch: Stretch, after: Place, until: Place) -> list[Piece]:
    """What tells of the log between two places."""
    since, end = rank(after), rank(until)
    return [each for each in stretch.pieces if rank(each.ends) > since and rank(each.begins) < end]


def _hole(pieces: Sequence[Piece]) -> str:
    """Where a piece does not begin where the one before it ends, in a sentence; empty where all do."""
    for before, piece in pairwise(pieces):
        if before.file == piece.file and (piece.start > before.end or piece.made != before.made):
            return phrase(
                "The log of {file} from position {end} to {start} is not stored.",
                file=piece.file,
                end=before.end,
                start=piece.start,
            )
    return ""


def _count(pieces: Sequence[Piece]) -> int:
    return sum(piece.transactions for piece in pieces)


def _nothing(base: Base, reason: str, now: Snapshot | None = None) -> Pair:
    return Pair(_snapshot(base), now, verdict=ReplayVerdict.NOTHING, reason=reason)


def _snapshot(base: Base) -> Snapshot:
    return Snapshot.objects.select_related("repository", "database").get(pk=base.key)
