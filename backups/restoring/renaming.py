"""The one atomic RENAME of the swap: which tables it moves, what stays, and what is done where it fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import MySQLdb

from backups import mysql, process
from backups.choices import RestoreMode
from backups.dumpfile.sections import Kind
from backups.errors import Problem
from backups.models import Restore, Snapshot
from backups.restoring import table_definitions
from backups.runs import notes
from backups.text.sentences import phrase

# A server that moves thousands of tables writes to its disk for each of them.
_MOVE_SECONDS, _MOVE_SECONDS_A_TABLE = 120, 1


def tables_moving(connection: Any, restore: Restore) -> tuple[list[str], list[str]]:
    """The tables that go out of the target, and those that come in."""
    stay = set(staying(connection, restore))
    outgoing = [table for table in mysql.tables(connection, restore.target) if table not in stay]
    incoming = [table for table in mysql.tables(connection, restore.incoming) if table not in stay]
    if not restore.tables:
        return outgoing, incoming
    chosen = set(restore.tables)
    return [table for table in outgoing if table in chosen], [table for table in incoming if table in chosen]


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


def say_what_stayed(restore: Restore, place: mysql.ProbedServer, say: Callable[[str], None]) -> None:
    """Tell a person which tables were left where they are."""
    with mysql.connect(place.server) as connection:
        stayed = [table for table in staying(connection, restore) if table in (restore.tables or [table])]
    if stayed:
        say(
            phrase(
                "These tables stayed as they were, because no backup has their rows: {stayed}.",
                stayed=", ".join(stayed),
            )
        )


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
            phrase(
                "No backup has the rows of {tables}: there is nothing to restore of {which}.",
                tables=", ".join(found),
                which=phrase("it") if len(found) == 1 else phrase("them"),
            ),
            code="restore.rows_left_out",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase("Choose other tables; see what is not in the backup on the snapshot's page."),
        )


def rename(
    restore: Restore, place: mysql.ProbedServer, tick: process.Tick, say: Callable[[str], None]
) -> None:
    """Have the tables change places. Raises Problem, what `tick` raises."""
    with mysql.connect(place.server) as connection:
        moving = sum(map(len, tables_moving(connection, restore)))
    seconds = _MOVE_SECONDS + moving * _MOVE_SECONDS_A_TABLE
    with mysql.connect(place.server, read_seconds=seconds) as connection:
        outgoing, incoming = tables_moving(connection, restore)
        _refuse_other_tables(restore, outgoing, incoming)
        damaged = [table for table in damaged_among(connection, restore) if table in outgoing]
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
    outgoing, incoming = tables_moving(connection, restore)
    notes.run_update(restore.run_id, result={"moves": [len(outgoing), len(incoming)]})
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
    process.run_in_thread(move, tick, lambda: None)


def damaged_among(connection: Any, restore: Restore) -> list[str]:
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
    notes.run_update(restore.run_id, result={"not_kept": not_kept})
    restore.run.refresh_from_db(fields=["result"])
    say(
        phrase(
            "{damaged} of {target}: damaged, so that the server can neither open nor move it. What is "
            "left of it is dropped and not kept, with its triggers.",
            damaged=mysql.named(sorted(damaged)),
            target=restore.target,
        )
    )

    def drop() -> None:
        for table in sorted(damaged):
            mysql.drop_table(connection, restore.target, table)

    process.run_in_thread(drop, tick, lambda: None)


def but_given_up(restore: Restore, place: mysql.ProbedServer) -> str:
    """The damaged tables that are gone though the swap was broken off, empty where there are none."""
    restore.run.refresh_from_db(fields=["result"])
    if not (given_up := restore.run.result.get("not_kept")):
        return ""
    with mysql.connect(place.server) as connection:
        there = mysql.tables(connection, restore.target)
    if gone := [table for table in given_up if table not in there]:
        return phrase(
            ", but for {gone}, which was damaged and is dropped: restore it again", gone=mysql.named(gone)
        )
    return ""


def was_renamed(connection: Any, restore: Restore) -> bool:
    """RENAME is all or nothing, so where one table is now tells for all that were to move."""
    if not mysql.database_exists(connection, restore.kept_in):
        return False
    restore.run.refresh_from_db(fields=["result"])
    outgoing, incoming = restore.run.result.get("moves", (0, 0))
    if outgoing:
        return bool(mysql.tables(connection, restore.kept_in))
    return bool(incoming and tables_moving(connection, restore)[0])


def _refuse_other_tables(restore: Restore, outgoing: Sequence[str], incoming: Sequence[str]) -> None:
    """Raise Problem unless what is to come in is just what was looked at, and is not nothing.

    Nothing comes in only where the snapshot, or the state of before, holds no table either.
    """
    if outgoing and not incoming and should_bring_tables(restore):
        raise Problem(
            phrase(
                "The restore would bring no table into {target}, and take {count} out of it.",
                target=restore.target,
                count=len(outgoing),
            ),
            code="swap.nothing_would_come",
            safe=phrase("No table of {target} was moved.", target=restore.target),
            do=phrase("See what the snapshot holds: restore it into a new database."),
        )
    wanted = sorted(table_definitions.unpacked(restore.tables_after))
    gone = sorted(set(wanted) - set(incoming))
    if sorted(incoming) != wanted:
        why = phrase(", as {gone} is missing", gone=gone[0]) if gone else ""
        raise Problem(
            phrase(
                "{incoming} does not hold the tables that should be swapped in{why}.",
                incoming=restore.incoming,
                why=why,
            ),
            code="swap.incoming_otherwise",
            safe=phrase("No table of {target} was moved.", target=restore.target),
            do=phrase("Restore again; see who else changes that database."),
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
