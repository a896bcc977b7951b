"""The swap: the tables of one database take the place of another's, in one atomic RENAME.

Views, triggers, routines and events cannot be renamed with them. They are written down before
anything is touched, taken down as late as possible and set up again after. Each step is noted, so
that a swap that was broken off anywhere can be ended by `end_broken_off`, either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from backups import mysql, process
from backups.choices import RestoreMode, Swap
from backups.dumpfile.sections import Kind
from backups.errors import Problem
from backups.models import Restore
from backups.restoring import defining, definitions, reading, table_definitions
from backups.restoring.obstacles import refuse_taken
from backups.restoring.renaming import (
    but_given_up,
    damaged_among,
    rename,
    say_what_stayed,
    tables_moving,
    was_renamed,
)
from backups.runs import consequences, notes, refusals, restores
from backups.text.kinds import kind_word
from backups.text.sentences import joined, phrase


def write_down(
    restore: Restore,
    place: mysql.ProbedServer,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Note what is to be set up after the swap, and what on the way back. Touches nothing.

    May wait for tables that somebody locked. `say` is told what will not be as it was. Raises
    Problem where it could not be set up again.
    """
    read = partial(reading.read, place, tick=tick, say=say)
    with mysql.connect(place.server) as connection:
        damaged = damaged_among(connection, restore)
    before = read(restore.target, leave_out=damaged)
    after = restore.definitions_after
    if after is None:
        after = read(restore.incoming)
    both = (before, bytes(after))
    users = {user for each in both for user in definitions.definers(each)}
    with mysql.connect(place.server) as connection:
        mysql.refuse_unless_may_define(
            connection,
            restore.incoming,
            sorted(users),
            with_functions=any(definitions.has_functions(each) for each in both),
        )
        defaults = mysql.database_defaults(connection, restore.target)
        coming = tables_moving(connection, restore)[1]
    notes.run_update(restore.run_id, result={"defaults": list(defaults)})
    restores.restore_note(
        restore,
        definitions_before=before,
        definitions_after=after,
        tables_after=table_definitions.packed(
            table_definitions.of_tables(place.server, restore.incoming, coming, tick)
        ),
        definitions_left=[],
    )


def swap(
    restore: Restore, place: mysql.ProbedServer, *, say: Callable[[str], None], tick: process.Tick
) -> None:
    """Put the tables of `restore.incoming` into `restore.target`, once all is written down.

    The tables of before are kept.

    Raises Problem; then the target is as it was, or `end_broken_off` makes it so, or the tables are
    in their place and the problem says what is not.
    """
    try:
        _prepare(restore, place)
        rename(restore, place, tick, say)
        restores.restore_note(restore, swap=Swap.RENAMED)
        say(phrase("The tables were swapped; the old ones are in {kept_in}.", kept_in=restore.kept_in))
        say_what_stayed(restore, place, say)
        _finish(restore, place, tick, say)
    except BaseException as error:
        if restore.swap == Swap.NONE:
            raise  # nothing was taken down yet
        if restore.swap != Swap.FINISHED:
            _end_now(restore, place, say, error)
        if restore.swap != Swap.FINISHED:
            _refuse_half_rolled_back(restore, error)
            raise
    refuse_unless_whole(restore)


def end_broken_off(restore: Restore, place: mysql.ProbedServer, tick: process.Tick) -> str:
    """End a swap that was broken off, backwards before the RENAME, forwards after it.

    Answers a sentence about the target's state. Raises Problem while the server is not to be had.
    """
    with mysql.connect(place.server) as connection:
        mysql.end_renames(connection, restore.kept_in)
        renamed = restore.swap == Swap.RENAMED or was_renamed(connection, restore)
        there = mysql.database_exists(connection, restore.target)
    if not there:
        return _end_without_target(restore, renamed)
    if renamed:
        restores.restore_note(restore, swap=Swap.RENAMED)
        _finish(restore, place, tick)
        kept = phrase("the old tables are in {kept_in}.", kept_in=restore.kept_in)
        if wrong := _not_whole(restore):
            return phrase(
                "{wrong} {target} has the new tables, and {kept}",
                wrong=wrong,
                target=restore.target,
                kept=kept,
            )
        return phrase("{target} is wholly restored; {kept}", target=restore.target, kept=kept)
    _roll_back(restore, place, tick)
    if left := _left_though_sound(restore):
        return phrase(
            "{target} has all the tables that it had before{but_given_up}; {left_out} could not be "
            "made again.",
            target=restore.target,
            but_given_up=but_given_up(restore, place),
            left_out=consequences.left_out(left),
        )
    return phrase(
        "{target} is wholly as it was before{but_given_up}.",
        target=restore.target,
        but_given_up=but_given_up(restore, place),
    )


def refuse_unless_whole(restore: Restore) -> None:
    """Raise Problem where the tables are in their place, but something is not as it should be."""
    if wrong := _not_whole(restore):
        again = phrase("on the restore's page, or by `manage.py undo_restore --try-again`")
        raise Problem(
            wrong,
            code="swap.not_whole",
            safe=phrase(
                "All tables are in {target}{where_those_of_before_are}.",
                target=restore.target,
                where_those_of_before_are=_where_those_of_before_are(restore),
            ),
            do=phrase(
                "{what_to_do} Then have them made: Try these again, {again}.",
                what_to_do=_what_to_do(left),
                again=again,
            )
            if (left := _left_though_sound(restore))
            else phrase("Compare them with what was wanted; the way back is to undo this."),
        )


def _where_those_of_before_are(restore: Restore) -> str:
    if restore.swap != Swap.NONE:
        return phrase("; the old ones are in {kept_in}", kept_in=restore.kept_in)
    saved = restore.safety_snapshot
    return phrase("; what it held before is in snapshot {snapshot}", snapshot=saved.short_id) if saved else ""


def drop_emptied(restore: Restore, place: mysql.ProbedServer) -> None:
    """Drop the database from which an undo has taken all that was kept in it."""
    restore.refresh_from_db(fields=["swapped_at"])
    if restore.mode != RestoreMode.UNDO or restore.swapped_at is None:
        return
    with mysql.connect(place.server) as connection:
        if not mysql.inventory(connection, restore.incoming):
            mysql.drop_database(connection, restore.incoming)


def _refuse_half_rolled_back(restore: Restore, error: BaseException) -> None:
    """Raise Problem where what was taken down before a RENAME could not all be made again."""
    if left := _left_though_sound(restore):
        why = error.what if isinstance(error, Problem) else str(error)
        raise Problem(
            phrase("The swap was broken off: {why}", why=why),
            code="swap.broken_off",
            safe=phrase(
                "All tables of {target} are as they were, but {left_out} could not be made again.",
                target=restore.target,
                left_out=consequences.left_out(left),
            ),
            do=phrase("See the restore's page for why, then have them made: Try these again."),
        ) from error


def define_again(restore: Restore, place: mysql.ProbedServer, tick: process.Tick) -> None:
    """Make what a swap left out, where nobody has made it by hand; what is left is noted again."""
    is_in = restore.swap == Swap.FINISHED
    was_rolled_back = restore.swap == Swap.ROLLED_BACK
    packed = bytes((restore.definitions_before if was_rolled_back else restore.definitions_after) or b"")
    wanted = definitions.among(restore.definitions_left)
    absent = _absent(packed, restore, place)
    written = defining.WrittenDown(
        packed,
        restore.incoming if is_in else restore.target,
        only=lambda one: wanted(one) and one in absent,
    )
    left = defining.apply(written, defining.Target(place.server, restore.target), tick=tick)
    restores.restore_note(restore, definitions_left=left)


# ---------------------------------------------------------------- Steps


def _prepare(restore: Restore, place: mysql.ProbedServer) -> None:
    refusals.refuse_unsettled(restore.database, restore.target, but=restore)
    refuse_taken(restore.kept_in, restore.target, place.server)
    restores.restore_note(restore, swap=Swap.PREPARED)
    with mysql.connect(place.server) as connection:
        charset, collation = mysql.database_defaults(connection, restore.target)
        if not mysql.database_exists(connection, restore.kept_in):
            mysql.create_database(connection, restore.kept_in, charset, collation)


def _finish(
    restore: Restore,
    place: mysql.ProbedServer,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Set up what the snapshot holds besides tables, and look at what came of it. Safe to repeat."""
    after = bytes(restore.definitions_after or b"")
    broken = reading.still_broken(after, place.server, restore.target)
    with mysql.connect(place.server) as connection:
        mysql.requalify_sequences(connection, restore.target, restore.incoming)
        mysql.requalify_sequences(connection, restore.kept_in, restore.target)
        if restore.tables:
            mysql.drop_triggers(connection, restore.target, restore.tables)
        else:
            mysql.drop_definitions(connection, restore.target, but_views=broken)
    of_tables = definitions.of_tables(restore.tables) if restore.tables else lambda _: True
    otherwise = _otherwise(restore, place, after, tick)

    def stands(one: definitions.Definition) -> bool:
        return one.kind == Kind.VIEW and one.name in broken

    written = defining.WrittenDown(
        after, restore.incoming, only=lambda one: of_tables(one) and not (stands(one) and one.was_broken)
    )
    left = defining.apply(written, _target(restore, place), tick=tick, say=say)
    for one in left:
        if one["was_broken"]:
            say(_not_made_again(one))
    notes.run_update(restore.run_id, result={"otherwise": otherwise})
    restores.restore_finished_swap(restore, left=left)


def _not_made_again(left: definitions.Left) -> str:
    before = phrase("could not be read") if left["kind"] == Kind.VIEW else phrase("lacked a library")
    why = left["why"].rstrip(".")
    return phrase(
        "The {kind} {name} {before} before, and cannot be made again ({why}); its statement is kept "
        "on the restore's page.",
        kind=kind_word(left["kind"]),
        name=left["name"],
        before=before,
        why=why,
    )


def _otherwise(restore: Restore, place: mysql.ProbedServer, packed: bytes, tick: process.Tick) -> list[str]:
    """The tables that are not defined as they came.

    But for those that were given what waited for this place before this was broken off.
    """
    wanted = table_definitions.moved(
        table_definitions.unpacked(restore.tables_after), restore.incoming, restore.target
    )
    now = table_definitions.of_tables(place.server, restore.target, sorted(wanted), tick)
    completed = definitions.tables_completed(packed, place.server, restore.target)
    return [table for table in sorted(wanted) if now[table] != wanted[table] and table not in completed]


def _roll_back(restore: Restore, place: mysql.ProbedServer, tick: process.Tick) -> None:
    """Set up again what was taken down before a RENAME that did not happen. Safe to repeat.

    What still stands is left alone: a view that reads what is gone could not be made again.
    """
    left: list[definitions.Left] = []
    if restore.definitions_before is not None:
        before = bytes(restore.definitions_before)
        absent = _absent(before, restore, place)
        # All triggers of such a table, since the order in which they are made is that in which they fire.
        tables = {one.table for one in absent if one.kind == Kind.TRIGGER}
        with mysql.connect(place.server) as connection:
            mysql.drop_triggers(connection, restore.target, tables)
        written = defining.WrittenDown(
            before,
            restore.target,
            only=lambda one: one in absent or (one.kind == Kind.TRIGGER and one.table in tables),
        )
        left = defining.apply(written, _target(restore, place), tick=tick)
    with mysql.connect(place.server) as connection:
        if not mysql.inventory(connection, restore.kept_in):
            mysql.drop_database(connection, restore.kept_in)
    restores.restore_note(restore, swap=Swap.ROLLED_BACK, definitions_left=left)


def _absent(packed: bytes, restore: Restore, place: mysql.ProbedServer) -> list[definitions.Definition]:
    """Of what was written down, what the target does not hold."""
    with mysql.connect(place.server) as connection:
        held = mysql.inventory(connection, restore.target)
        triggers = mysql.triggers(connection, restore.target)
    return definitions.missing(packed, held, triggers)


def _target(restore: Restore, place: mysql.ProbedServer) -> defining.Target:
    """The restore's target, which has the defaults afterwards that were noted before it was touched."""
    restore.run.refresh_from_db(fields=["result"])
    return defining.Target(place.server, restore.target, list(restore.run.result.get("defaults", ())))


def _end_without_target(restore: Restore, renamed: bool) -> str:
    """Somebody has dropped the target meanwhile: there is nothing left to finish."""
    if renamed:
        restores.restore_finished_swap(restore, left=[])
        return phrase(
            "{target} is not there any more, and the restored tables are gone with it. The old tables "
            "are in {kept_in}.",
            target=restore.target,
            kept_in=restore.kept_in,
        )
    restores.restore_note(restore, swap=Swap.ROLLED_BACK)
    return phrase("{target} is not there any more.", target=restore.target)


def _end_now(
    restore: Restore, place: mysql.ProbedServer, say: Callable[[str], None], error: BaseException
) -> None:
    """End a swap at once where the server allows; else the reaper does it when it is back.

    Raises Problem when it cannot be ended now.
    """
    try:
        say(end_broken_off(restore, place, tick=lambda: None))
    except Problem as later:
        raise Problem(
            phrase("The swap was broken off: {later}", later=later.what),
            code="swap.broken_off",
            safe=phrase(
                "No row of {target} is lost. Its views, triggers, routines or events may be missing "
                "until the swap is ended. That is tried every minute.",
                target=restore.target,
            ),
            do=phrase("See that the database server answers. The outcome will be added here."),
        ) from error


# ---------------------------------------------------------------- Looking at what came of it


def _left_though_sound(restore: Restore) -> list[definitions.Left]:
    """What could not be made, but for views that could not be read before either."""
    return [one for one in restore.definitions_left if not one.get("was_broken")]


def _what_to_do(left: Sequence[definitions.Left]) -> str:
    """What helps what could not be made, each thing once; the first few of them."""
    ways = list(dict.fromkeys(one["do"] for one in left if one.get("do")))
    return joined(ways[:_WAYS]) or phrase("Make what is missing.")


# They come one for each kind of refusal.
_WAYS = 3


def _not_whole(restore: Restore) -> str:
    """What is not as it should be after a swap, empty where all is."""
    restore.run.refresh_from_db(fields=["result"])
    otherwise = restore.run.result.get("otherwise", [])
    sentences = []
    if left := _left_though_sound(restore):
        sentences.append(
            phrase(
                "{left_out} could not be made ({why}).",
                left_out=consequences.left_out(left),
                why=left[0]["why"].rstrip("."),
            )
        )
    if otherwise:
        named = ", ".join(otherwise[:5]) + (" …" if len(otherwise) > 5 else "")
        sentences.append(
            phrase("After the swap these tables are not defined as they were loaded: {named}.", named=named)
        )
    return joined(sentences)
