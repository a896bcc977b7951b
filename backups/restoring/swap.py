"""The swap: the tables of one database take the place of another's, in one atomic RENAME.

Views, triggers, routines and events cannot be renamed with them. They are written down before
anything is touched, taken down as late as possible and set up again after. Each step is noted, so
that a swap that was broken off anywhere can be ended by `end_broken_off`, either way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import MySQLdb

from backups import mysql, process
from backups.choices import RestoreMode, Swap
from backups.dumpfile.sections import Kind
from backups.errors import Problem
from backups.models import Restore, Snapshot
from backups.restoring import definitions, table_definitions
from backups.restoring.obstacles import refuse_taken
from backups.runs import consequences, notes, refusals, restores


@dataclass(frozen=True)
class Place:
    """The server on which a swap happens."""

    server: mysql.Server
    info: mysql.ServerInfo
    programs: mysql.Clients


def write_down(
    restore: Restore, place: Place, tick: process.Tick, say: Callable[[str], None] = lambda _: None
) -> None:
    """Note what is to be set up after the swap, and what on the way back. Touches nothing.

    May wait for tables that somebody locked. `say` is told what will not be as it was. Raises
    Problem where it could not be set up again.
    """
    read = partial(
        definitions.read, place.server, info=place.info, programs=place.programs, tick=tick, say=say
    )
    with mysql.connect(place.server) as connection:
        damaged = _damaged(connection, restore)
    before = read(restore.target, leave_out=damaged)
    after = restore.definitions_after
    if after is None:
        after = read(restore.incoming)
    told = (before, bytes(after))
    users = {user for each in told for user in definitions.definers(each)}
    with mysql.connect(place.server) as connection:
        mysql.refuse_unless_may_define(
            connection,
            restore.incoming,
            sorted(users),
            with_functions=any(definitions.has_functions(each) for each in told),
        )
        defaults = mysql.database_defaults(connection, restore.target)
        coming = _moving(connection, restore)[1]
    notes.run_note(restore.run_id, result={"defaults": list(defaults)})
    restores.restore_note(
        restore,
        definitions_before=before,
        definitions_after=after,
        tables_after=table_definitions.packed(
            table_definitions.of_tables(place.server, restore.incoming, coming, tick)
        ),
        definitions_left=[],
    )


def swap(restore: Restore, place: Place, *, say: Callable[[str], None], tick: process.Tick) -> None:
    """Put the tables of `restore.incoming` into `restore.target`, once all is written down.

    The tables of before are kept.

    Raises Problem; then the target is as it was, or `end_broken_off` makes it so, or the tables are
    in their place and the problem says what is not.
    """
    try:
        _prepare(restore, place)
        _rename(restore, place, tick, say)
        restores.restore_note(restore, swap=Swap.RENAMED)
        say(f"The tables were swapped; those of before are in {restore.kept_in}.")
        _say_what_stayed(restore, place, say)
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


def end_broken_off(restore: Restore, place: Place, tick: process.Tick) -> str:
    """End a swap that was broken off, backwards before the RENAME, forwards after it.

    Answers a sentence about the target's state. Raises Problem while the server is not to be had.
    """
    with mysql.connect(place.server) as connection:
        mysql.end_renames(connection, restore.kept_in)
        renamed = restore.swap == Swap.RENAMED or _was_renamed(connection, restore)
        there = mysql.database_exists(connection, restore.target)
    if not there:
        return _end_without_target(restore, renamed)
    if renamed:
        restores.restore_note(restore, swap=Swap.RENAMED)
        _finish(restore, place, tick)
        kept = f"the tables of before are in {restore.kept_in}."
        if wrong := _not_whole(restore):
            return f"{wrong} In {restore.target} are the tables that were to come, and {kept}"
        return f"{restore.target} is wholly restored; {kept}"
    _roll_back(restore, place, tick)
    if left := _left_though_sound(restore):
        return (
            f"{restore.target} has all the tables that it had before{_but_given_up(restore, place)}; "
            f"{consequences.left_out(left)} could not be made again."
        )
    return f"{restore.target} is wholly as it was before{_but_given_up(restore, place)}."


def refuse_unless_whole(restore: Restore) -> None:
    """Raise Problem where the tables are in their place, but something is not as it should be."""
    if wrong := _not_whole(restore):
        again = "on the restore's page, or by `manage.py undo_restore --try-again`"
        raise Problem(
            wrong,
            code="swap.not_whole",
            safe=f"All tables are in {restore.target}{_where_those_of_before_are(restore)}.",
            do=f"{_what_to_do(left)} Then have them made: Try these again, {again}."
            if (left := _left_though_sound(restore))
            else "Compare them with what was wanted; the way back is to undo this.",
        )


def _where_those_of_before_are(restore: Restore) -> str:
    if restore.swap != Swap.NONE:
        return f"; those of before are in {restore.kept_in}"
    saved = restore.safety_snapshot
    return f"; what it held before is in snapshot {saved.short_id}" if saved else ""


def drop_emptied(restore: Restore, place: Place) -> None:
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
            f"The swap was broken off: {why}",
            code="swap.broken_off",
            safe=f"All tables of {restore.target} are as they were, but {consequences.left_out(left)} could "
            "not be made again.",
            do="See the restore's page for why, then have them made: Try these again.",
        ) from error


def define_again(restore: Restore, place: Place, tick: process.Tick) -> None:
    """Make what a swap left out, where nobody has made it by hand; what is left is noted again."""
    is_in = restore.swap == Swap.FINISHED
    was_rolled_back = restore.swap == Swap.ROLLED_BACK
    told = bytes((restore.definitions_before if was_rolled_back else restore.definitions_after) or b"")
    wanted = definitions.among(restore.definitions_left)
    absent = _absent(told, restore, place)
    left = definitions.apply(
        told,
        place.server,
        restore.target,
        source=restore.incoming if is_in else restore.target,
        programs=place.programs,
        tick=tick,
        only=lambda one: wanted(one) and one in absent,
    )
    restores.restore_note(restore, definitions_left=left)


# ---------------------------------------------------------------- Steps


def _prepare(restore: Restore, place: Place) -> None:
    refusals.refuse_unsettled(restore.database, restore.target, but=restore)
    refuse_taken(restore.kept_in, restore.target, place.server)
    restores.restore_note(restore, swap=Swap.PREPARED)
    with mysql.connect(place.server) as connection:
        charset, collation = mysql.database_defaults(connection, restore.target)
        if not mysql.database_exists(connection, restore.kept_in):
            mysql.create_database(connection, restore.kept_in, charset, collation)


def _rename(restore: Restore, place: Place, tick: process.Tick, say: Callable[[str], None]) -> None:
    with mysql.connect(place.server) as connection:
        outgoing, incoming = _moving(connection, restore)
        _refuse_other_tables(restore, outgoing, incoming)
        damaged = [table for table in _damaged(connection, restore) if table in outgoing]
        held = {table for _, _, table in mysql.triggers(connection, restore.target)}
        # No server moves a table with its triggers, nor drops one of a table that it cannot open.
        _give_up(connection, restore, held.intersection(damaged), tick, say)
        try:
            _move(connection, restore, damaged, tick)
        except MySQLdb.Error as error:
            left = set(damaged).difference(held)
            if not left or not mysql.is_immovable(error):
                raise
            _give_up(connection, restore, left, tick, say)
            _move(connection, restore, (), tick)


def _move(connection: Any, restore: Restore, damaged: Collection[str], tick: process.Tick) -> None:
    outgoing, incoming = _moving(connection, restore)
    notes.run_note(restore.run_id, result={"moves": [len(outgoing), len(incoming)]})
    moves = [(restore.target, restore.kept_in, table) for table in outgoing]
    moves += [(restore.incoming, restore.target, table) for table in incoming]

    def move() -> None:
        mysql.drop_definitions(connection, restore.incoming)
        # A view may stand where the snapshot has a table.
        mysql.drop_views(connection, restore.target, incoming)
        mysql.drop_triggers(connection, restore.target, set(outgoing).difference(damaged))
        if moves:
            mysql.rename_tables(connection, moves)

    # In a thread, so that the run goes on beating while statements wait for locks.
    process.watched(move, tick, lambda: None)


def _damaged(connection: Any, restore: Restore) -> list[str]:
    """The target's tables that the server cannot open: their triggers are not to be had.

    Raises DamagedTable where one is to be moved out, unless nothing of it is asked to be saved.
    """
    found = mysql.damaged_tables(connection, restore.target)
    is_given_up = restore.mode == RestoreMode.REPLACE and restore.without_safety
    if not is_given_up and any(not restore.tables or table in restore.tables for table in found):
        mysql.refuse_unreadable(connection, restore.target)
    return found


def _give_up(
    connection: Any,
    restore: Restore,
    damaged: Collection[str],
    tick: process.Tick,
    say: Callable[[str], None],
) -> None:
    """Drop damaged tables that no server could move out of the way, as a load in place would."""
    if not damaged:
        return
    not_kept = sorted({*restore.run.result.get("not_kept", ()), *damaged})
    notes.run_note(restore.run_id, result={"not_kept": not_kept})
    restore.run.refresh_from_db(fields=["result"])
    say(
        f"{mysql.named(sorted(damaged))} of {restore.target}: damaged, so that the server can neither open "
        "nor move it. What is left of it is dropped and not kept, with its triggers."
    )

    def drop() -> None:
        for table in sorted(damaged):
            mysql.drop_table(connection, restore.target, table)

    process.watched(drop, tick, lambda: None)


def _but_given_up(restore: Restore, place: Place) -> str:
    """The damaged tables that are gone though the swap was broken off, empty where there are none."""
    restore.run.refresh_from_db(fields=["result"])
    if not (given_up := restore.run.result.get("not_kept")):
        return ""
    with mysql.connect(place.server) as connection:
        there = mysql.tables(connection, restore.target)
    if gone := [table for table in given_up if table not in there]:
        return f", but for {mysql.named(gone)}, which was damaged and is dropped: restore it again"
    return ""


def staying(connection: Any, restore: Restore) -> list[str]:
    """The target's tables that are neither moved out nor replaced: no dump carries their rows.

    But for those in whose place a table with rows of its own comes in.
    """
    coming = mysql.engines(connection, restore.incoming)
    return [
        table
        for table in mysql.tables_without_rows(connection, restore.target)
        if table not in coming or not mysql.rows_are_dumped(coming[table])
    ]


def _say_what_stayed(restore: Restore, place: Place, say: Callable[[str], None]) -> None:
    with mysql.connect(place.server) as connection:
        stayed = [table for table in staying(connection, restore) if table in (restore.tables or [table])]
    if stayed:
        say(f"These tables stayed as they were, because no backup has their rows: {', '.join(stayed)}.")


def refuse_without_rows(
    snapshot: Snapshot, chosen: Collection[str], target: str, server: mysql.Server, *, folds_names: bool
) -> None:
    """Raise Problem for chosen tables whose rows the snapshot does not hold, before anything is touched.

    Where the server `folds_names`, those of the chosen are in lower case.
    """
    if not chosen:
        return
    if snapshot.manifest is not None and "not_in_backup" in snapshot.manifest:
        without = mysql.without_rows(snapshot.not_in_backup)
    else:  # made before this was noted, so the live ones tell
        with mysql.connect(server) as connection:
            without = mysql.tables_without_rows(connection, target)
    if found := sorted(name for name in without if (name.lower() if folds_names else name) in chosen):
        raise Problem(
            f"No backup has the rows of {', '.join(found)}: there is nothing to restore of "
            f"{'it' if len(found) == 1 else 'them'}.",
            code="restore.rows_left_out",
            safe=f"{target} was not touched.",
            do="Choose other tables; see what is not in the backup on the snapshot's page.",
        )


def _moving(connection: Any, restore: Restore) -> tuple[list[str], list[str]]:
    """The tables that go out of the target, and those that come in."""
    stay = set(staying(connection, restore))
    outgoing = [table for table in mysql.tables(connection, restore.target) if table not in stay]
    incoming = [table for table in mysql.tables(connection, restore.incoming) if table not in stay]
    if not restore.tables:
        return outgoing, incoming
    chosen = set(restore.tables)
    return [table for table in outgoing if table in chosen], [table for table in incoming if table in chosen]


def _refuse_other_tables(restore: Restore, outgoing: Sequence[str], incoming: Sequence[str]) -> None:
    """Raise Problem unless what is to come in is just what was looked at, and is not nothing.

    Nothing comes in only where the snapshot, or the state of before, holds no table either.
    """
    if outgoing and not incoming and should_bring_tables(restore):
        raise Problem(
            f"No table would come into {restore.target}, and {len(outgoing)} would go out of it.",
            code="swap.nothing_would_come",
            safe=f"No table of {restore.target} was moved.",
            do="See what the snapshot holds: restore it into a new database.",
        )
    wanted = sorted(table_definitions.unpacked(restore.tables_after))
    gone = sorted(set(wanted) - set(incoming))
    if sorted(incoming) != wanted:
        told = f", as {gone[0]} is missing" if gone else ""
        raise Problem(
            f"{restore.incoming} does not hold the tables that were to come from it{told}.",
            code="swap.incoming_otherwise",
            safe=f"No table of {restore.target} was moved.",
            do="Restore again; see who else changes that database.",
        )


def should_bring_tables(restore: Restore) -> bool:
    """Whether the state that is to come has tables, as far as is known."""
    if restore.mode == RestoreMode.UNDO:
        before = restore.undo_of
        return before is None or kept_tables(before) != 0
    # A load may have learned it meanwhile. Without it nobody knows that it should be empty.
    restore.snapshot.refresh_from_db(fields=["manifest"])
    manifest = restore.snapshot.manifest
    return manifest is None or bool(manifest["inventory"].get(Kind.TABLE))


def kept_tables(restore: Restore) -> int | None:
    """How many tables a swap moved to its kept database; None where that was not noted."""
    moves = restore.run.result.get("moves")
    return int(moves[0]) if moves else None


def _finish(
    restore: Restore, place: Place, tick: process.Tick, say: Callable[[str], None] = lambda _: None
) -> None:
    """Set up what the snapshot holds besides tables, and look at what came of it. Safe to repeat."""
    told = bytes(restore.definitions_after or b"")
    broken = definitions.still_broken(told, place.server, restore.target)
    with mysql.connect(place.server) as connection:
        mysql.requalify_sequences(connection, restore.target, restore.incoming)
        mysql.requalify_sequences(connection, restore.kept_in, restore.target)
        if restore.tables:
            mysql.drop_triggers(connection, restore.target, restore.tables)
        else:
            mysql.drop_definitions(connection, restore.target, but_views=broken)
    of_tables = definitions.of_tables(restore.tables) if restore.tables else lambda _: True
    otherwise = _otherwise(restore, place, told, tick)

    def stands(one: definitions.Definition) -> bool:
        return one.kind == Kind.VIEW and one.name in broken

    left = definitions.apply(
        told,
        place.server,
        restore.target,
        source=restore.incoming,
        programs=place.programs,
        tick=tick,
        only=lambda one: of_tables(one) and not (stands(one) and one.was_broken),
        defaults=_defaults(restore),
        say=say,
    )
    for one in left:
        if one["was_broken"]:
            say(_not_made_again(one))
    notes.run_note(restore.run_id, result={"otherwise": otherwise})
    restores.restore_finished_swap(restore, left=left)


def _not_made_again(left: definitions.Left) -> str:
    before = "could not be read" if left["kind"] == Kind.VIEW else "lacked a library"
    why = left["why"].rstrip(".")
    return (
        f"The {left['kind']} {left['name']} {before} before, and cannot be made again ({why}); its "
        "statement is kept on the restore's page."
    )


def _otherwise(restore: Restore, place: Place, told: bytes, tick: process.Tick) -> list[str]:
    """The tables that are not defined as they came.

    But for those that were given what waited for this place before this was broken off.
    """
    wanted = table_definitions.moved(
        table_definitions.unpacked(restore.tables_after), restore.incoming, restore.target
    )
    now = table_definitions.of_tables(place.server, restore.target, sorted(wanted), tick)
    completed = definitions.tables_completed(told, place.server, restore.target)
    return [table for table in sorted(wanted) if now[table] != wanted[table] and table not in completed]


def _roll_back(restore: Restore, place: Place, tick: process.Tick) -> None:
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
        left = definitions.apply(
            before,
            place.server,
            restore.target,
            source=restore.target,
            programs=place.programs,
            tick=tick,
            only=lambda one: one in absent or (one.kind == Kind.TRIGGER and one.table in tables),
            defaults=_defaults(restore),
        )
    with mysql.connect(place.server) as connection:
        if not mysql.inventory(connection, restore.kept_in):
            mysql.drop_database(connection, restore.kept_in)
    restores.restore_note(restore, swap=Swap.ROLLED_BACK, definitions_left=left)


def _absent(told: bytes, restore: Restore, place: Place) -> list[definitions.Definition]:
    """Of what was written down, what the target does not hold."""
    with mysql.connect(place.server) as connection:
        held = mysql.inventory(connection, restore.target)
        triggers = mysql.triggers(connection, restore.target)
    return definitions.missing(told, held, triggers)


def _defaults(restore: Restore) -> Sequence[str]:
    restore.run.refresh_from_db(fields=["result"])
    return list(restore.run.result.get("defaults", ()))


def _was_renamed(connection: Any, restore: Restore) -> bool:
    """RENAME is all or nothing, so where one table is now tells for all that were to move."""
    if not mysql.database_exists(connection, restore.kept_in):
        return False
    restore.run.refresh_from_db(fields=["result"])
    outgoing, incoming = restore.run.result.get("moves", (0, 0))
    if outgoing:
        return bool(mysql.tables(connection, restore.kept_in))
    return bool(incoming and _moving(connection, restore)[0])


def _end_without_target(restore: Restore, renamed: bool) -> str:
    """Somebody has dropped the target meanwhile: there is nothing left to finish."""
    if renamed:
        restores.restore_finished_swap(restore, left=[])
        return (
            f"{restore.target} is not there any more, and with it the tables that came in; the tables of "
            f"before are in {restore.kept_in}."
        )
    restores.restore_note(restore, swap=Swap.ROLLED_BACK)
    return f"{restore.target} is not there any more."


def _end_now(restore: Restore, place: Place, say: Callable[[str], None], error: BaseException) -> None:
    """End a swap at once where the server allows; else the reaper does it when it is back.

    Raises Problem when it cannot be ended now.
    """
    try:
        say(end_broken_off(restore, place, tick=lambda: None))
    except Problem as later:
        raise Problem(
            f"The swap was broken off: {later.what}",
            code="swap.broken_off",
            safe=f"No row of {restore.target} is lost, but views, triggers, routines or events of it may "
            "be missing until the swap is ended, which is tried every minute.",
            do="See that the database server answers; what came of it will be added here.",
        ) from error


# ---------------------------------------------------------------- Looking at what came of it


def _left_though_sound(restore: Restore) -> list[definitions.Left]:
    """What could not be made, but for views that could not be read before either."""
    return [one for one in restore.definitions_left if not one.get("was_broken")]


def _what_to_do(left: Sequence[definitions.Left]) -> str:
    """What helps what could not be made, each thing once; the first few of them."""
    ways = list(dict.fromkeys(one["do"] for one in left if one.get("do")))
    return " ".join(ways[:_WAYS]) or "See to what is missing."


# They come one for each kind of refusal.
_WAYS = 3


def _not_whole(restore: Restore) -> str:
    """What is not as it should be after a swap, empty where all is."""
    restore.run.refresh_from_db(fields=["result"])
    otherwise = restore.run.result.get("otherwise", [])
    told = []
    if left := _left_though_sound(restore):
        told.append(f"{consequences.left_out(left)} could not be made ({left[0]['why'].rstrip('.')}).")
    if otherwise:
        named = ", ".join(otherwise[:5]) + (" …" if len(otherwise) > 5 else "")
        told.append(f"After the swap these tables are not defined as they came: {named}.")
    return " ".join(told)
