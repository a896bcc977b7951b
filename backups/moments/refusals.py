"""Why a moment cannot be had, and which can: never the nearest instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from backups.binlog.barriers import told
from backups.errors import Problem
from backups.moments.timeline import Barrier, Log, Piece
from backups.moments.until import local, rounded_down, rounded_up
from backups.moments.windows import Window
from backups.text.sentences import capitalized, joined, phrase

_NOTHING = phrase("Nothing was started and nothing was touched.")
# Of many windows those that are nearest to what was asked for.
_NAMED = 3


def refuse_without_any(log: Log, windows: Sequence[Window]) -> None:
    """Raise Problem where no moment at all can be had."""
    if windows:
        return
    if not log.is_on and not log.pieces:
        raise Problem(
            phrase("The binary log of this database is not archived, so only its backups can be restored."),
            code="moment.no_archive",
            safe=_NOTHING,
            do=phrase("Restore a backup. For the future, switch it on: manage.py log_archive on."),
        )
    raise Problem(
        phrase(
            "No moment can be restored yet: there is no backup with an exact position in the log that is "
            "stored."
        ),
        code="moment.no_base",
        safe=_NOTHING,
        do=phrase("Back the database up, or restore a backup that is there."),
    )


def of_moment(moment: datetime, log: Log, windows: Sequence[Window]) -> Problem:
    """Why a moment lies in none of the windows."""
    if moment < windows[0].begins:
        return Problem(
            phrase(
                "{moment} is earlier than any moment that can be restored: the first is {first}.",
                moment=local(moment),
                first=local(windows[0].whole[0]),
            ),
            code="moment.before_first",
            safe=_NOTHING,
            do=phrase("Choose a later one, or restore the newest backup before it (--time)."),
        )
    if moment > windows[-1].ends and (log.stored_until is None or moment > log.stored_until):
        return Problem(
            phrase(
                "{moment} is later than what is stored ({until}).",
                moment=local(moment),
                until=local(rounded_down(log.stored_until or windows[-1].ends)),
            ),
            code="moment.after_end",
            safe=_NOTHING,
            do=phrase("Choose an earlier moment, or wait until the log of it is stored."),
        )
    before = max((each for each in windows if each.ends < moment), key=lambda each: each.ends)
    if before.barrier is not None:
        return behind_barrier(local(moment), before.barrier, windows, moment)
    if before.lacking is not None:
        return not_kept(before.lacking, can_be_had(windows, moment))
    return in_gap(moment, log, windows)


def in_gap(moment: datetime, log: Log, windows: Sequence[Window]) -> Problem:
    """The log of that time is not stored."""
    found = [gap for gap in log.gaps if gap.begins <= moment and (gap.ends is None or moment <= gap.ends)]
    gap = found[-1] if found else None
    if gap is None or gap.ends is None:
        return Problem(
            phrase(
                "The log is not stored from {begins} on{why}.",
                begins=local(rounded_down(gap.begins) if gap else moment),
                why=phrase(" ({sentence})", sentence=gap.sentence.rstrip(".")) if gap else "",
            ),
            code="moment.in_gap",
            safe=_NOTHING,
            do=can_be_had(windows, moment),
        )
    return Problem(
        phrase(
            "The log has a gap from {begins} to {ends} ({sentence}).",
            begins=local(rounded_down(gap.begins)),
            ends=local(rounded_up(gap.ends)),
            sentence=gap.sentence.rstrip("."),
        ),
        code="moment.in_gap",
        safe=_NOTHING,
        do=can_be_had(windows, moment),
    )


def behind_barrier(
    what: str, barrier: Barrier, windows: Sequence[Window], moment: datetime | None = None
) -> Problem:
    """Something between the dump and the moment cannot be replayed."""
    return Problem(
        phrase(
            "{what} cannot be restored: the log cannot be replayed past {place}{at}. {why}",
            what=capitalized(what),
            place=f"{barrier.place.file}:{barrier.place.position}",
            at=phrase(" of {moment}", moment=local(barrier.moment)) if barrier.moment else "",
            why=why(barrier),
        ),
        code="moment.behind_barrier",
        safe=_NOTHING,
        do=can_be_had(windows, moment or barrier.moment),
        params={"barrier": barrier.code, **barrier.params},
    )


def why(barrier: Barrier) -> str:
    """As a sentence, from what a row keeps of it."""
    if barrier.code in _OF_EVENTS:
        return _OF_EVENTS[barrier.code]
    return told(barrier.code, {name: str(value) for name, value in barrier.params.items()})


# What is no statement.
_OF_EVENTS = {
    "log.incident": phrase("The server lost changes there, or what it logged is not this database's alone."),
    "log.unknown_event": phrase("It holds an event there that is not known."),
}


def not_kept(piece: Piece, do: str = "") -> Problem:
    """Its log was forgotten."""
    return Problem(
        phrase("The log from {place} on is not kept any more.", place=f"{piece.file}:{piece.start}"),
        code="moment.not_kept",
        safe=_NOTHING,
        do=do or phrase("Choose a later moment, or restore a backup."),
    )


def piece_missing(piece: Piece) -> Problem:
    """It should be in the repository, and is not."""
    return Problem(
        phrase(
            "A piece of the log is missing in the repository: snapshot {snapshot}, {file} from {start} to "
            "{end}.",
            snapshot=piece.snapshot_id[:8],
            file=piece.file,
            start=piece.start,
            end=piece.end,
        ),
        code="moment.piece_missing",
        safe=_NOTHING,
        do=phrase("Choose a moment before it, or restore a backup. Then make a backup, as a new beginning."),
    )


def hole(before: Piece, piece: Piece) -> Problem:
    """Two pieces do not meet, and no gap was noted between them."""
    return Problem(
        phrase(
            "The log of {file} from position {end} to {start} is not stored.",
            file=before.file,
            end=before.end,
            start=piece.start,
        ),
        code="moment.hole",
        safe=_NOTHING,
        do=phrase("Choose a moment before it, or restore a backup. Then make a backup, as a new beginning."),
    )


def base_gone() -> Problem:
    """While a restore waited, its dump was forgotten or found to be bad."""
    return Problem(
        phrase("The backup that the moment would be restored from cannot be used for it any more."),
        code="moment.base_gone",
        safe=_NOTHING,
        do=phrase("Start the restore again: it takes another one, if there is one."),
    )


def before_dump(what: str) -> Problem:
    """A dump of seconds before the moment turned out to be later than it."""
    return Problem(
        phrase(
            "{what} turned out to be before the backup that it would be restored from.",
            what=capitalized(what),
        ),
        code="moment.before_dump",
        safe=_NOTHING,
        do=phrase("Choose a moment a minute earlier or later."),
    )


def unknown_transaction(text: str) -> Problem:
    """None that is stored."""
    return Problem(
        phrase("The stored log has no transaction {transaction}.", transaction=text),
        code="moment.unknown_transaction",
        safe=_NOTHING,
        do=phrase("See the list of transactions for where it begins, or give a moment."),
    )


def apart() -> Problem:
    """Transactions before a gap and behind it: no dump leads to both."""
    return Problem(
        phrase("Between these transactions the log has a gap, so no backup leads to all of them."),
        code="moment.apart",
        safe=_NOTHING,
        do=phrase("Undo those behind the gap first, then the others."),
    )


def apart_by(wall: Barrier | Piece) -> Problem:
    """The same before and behind what no replay goes past."""
    place = wall.place if isinstance(wall, Barrier) else wall.begins
    return Problem(
        phrase(
            "Between these transactions the log cannot be replayed past {place}, so no backup leads to all "
            "of them. {why}",
            place=f"{place.file}:{place.position}",
            why=why(wall) if isinstance(wall, Barrier) else phrase("It is not kept any more there."),
        ),
        code="moment.apart_by_barrier",
        safe=_NOTHING,
        do=phrase("Undo those behind that place first, then the others."),
    )


def barred(text: str, barrier: Barrier) -> Problem:
    """A transaction that is to be undone is what no replay goes past."""
    return Problem(
        phrase(
            "What transaction {transaction} changed cannot be found out: it cannot be replayed. {why}",
            transaction=text,
            why=why(barrier),
        ),
        code="moment.transaction_barred",
        safe=_NOTHING,
        do=phrase("Restore the moment just before it into a new database, and take the rows from there."),
        params={"barrier": barrier.code, **barrier.params},
    )


def no_rows(text: str) -> Problem:
    """A transaction that is to be undone changes definitions, or is no whole one."""
    return Problem(
        phrase(
            "Transaction {transaction} is not one that only changed rows: a definition was changed, a table "
            "emptied or made, or an XA transaction prepared.",
            transaction=text,
        ),
        code="moment.no_rows_to_undo",
        safe=_NOTHING,
        do=phrase(
            "Restore the moment just before it, or its tables. Of an XA transaction, name the one that "
            "committed it."
        ),
    )


def only_numbers(text: str) -> Problem:
    """A transaction that is to be undone took numbers of sequences, and changed no row."""
    return Problem(
        phrase(
            "Transaction {transaction} changed no rows: it took numbers of sequences, which are not given "
            "back.",
            transaction=text,
        ),
        code="moment.only_numbers_taken",
        safe=_NOTHING,
        do=phrase("There is nothing to undo. A sequence may leave numbers out."),
    )


def ambiguous(text: str) -> Problem:
    """The server began its log anew, with the same names."""
    return Problem(
        phrase("Several transactions begin at {place}: the log was begun anew since.", place=text),
        code="moment.ambiguous_transaction",
        safe=_NOTHING,
        do=phrase("Give a moment instead."),
    )


def can_be_had(windows: Sequence[Window], moment: datetime | None) -> str:
    """Which moments there are, those around one first named."""
    if moment is None or not windows:
        return phrase("Restore a backup, or choose another moment.")
    near = sorted(windows, key=lambda each: min(abs(each.begins - moment), abs(each.ends - moment)))
    named = [
        phrase("from {begins} to {ends}", begins=local(each.whole[0]), ends=local(each.whole[1]))
        for each in sorted(near[:_NAMED], key=lambda each: each.begins)
    ]
    return phrase("These can be restored: {named}.", named=joined(named, ", "))
