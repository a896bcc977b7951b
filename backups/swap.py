"""The swap: the tables of one database take the place of another's, in one atomic RENAME.

Views, triggers, routines and events cannot be renamed with them. They are written down before
anything is touched, taken down as late as possible and set up again after. Each step is noted, so
that a swap that was broken off anywhere can be ended by `end_broken_off`, either way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from backups import definitions, mysql, process, services
from backups.choices import Swap
from backups.errors import Problem
from backups.models import Restore, Snapshot


@dataclass(frozen=True)
class Place:
    """The server on which a swap happens."""

    server: mysql.Server
    info: mysql.ServerInfo
    programs: mysql.Clients


def write_down(restore: Restore, place: Place, tick: process.Tick) -> None:
    """Note what is to be set up after the swap, and what on the way back. Touches nothing.

    May wait for tables that somebody locked. Raises Problem where it could not be set up again.
    """
    before = definitions.read(
        place.server, restore.target, info=place.info, programs=place.programs, tick=tick
    )
    after = restore.definitions_after
    if after is None:
        after = definitions.read(
            place.server, restore.incoming, info=place.info, programs=place.programs, tick=tick
        )
    told = (before, bytes(after))
    users = {user for each in told for user in definitions.definers(each)}
    with mysql.connect(place.server) as connection:
        mysql.refuse_unless_may_define(
            connection,
            restore.incoming,
            sorted(users),
            with_functions=any(definitions.has_functions(each) for each in told),
        )
    services.restore_note(restore, definitions_before=before, definitions_after=after)


def swap(restore: Restore, place: Place, *, say: Callable[[str], None], tick: process.Tick) -> None:
    """Put the tables of `restore.incoming` into `restore.target`, once all is written down.

    The tables of before are kept.

    Raises Problem; then the target is as it was, or `end_broken_off` makes it so.
    """
    try:
        _prepare(restore, place)
        _rename(restore, place, tick)
        services.restore_note(restore, swap=Swap.RENAMED)
        say(f"The tables were swapped; those of before are in {restore.kept_in}.")
        _say_what_stayed(restore, place, say)
        _finish(restore, place, tick)
    except BaseException as error:
        if restore.swap == Swap.NONE:
            raise  # nothing was taken down yet
        _end_now(restore, place, say, error)
        if restore.swap != Swap.FINISHED:
            raise


def end_broken_off(restore: Restore, place: Place, tick: process.Tick) -> str:
    """End a swap that was broken off, backwards before the RENAME, forwards after it.

    Answers a sentence about the target's state. Raises Problem while the server is not to be had.
    """
    with mysql.connect(place.server) as connection:
        mysql.end_renames(connection, restore.kept_in)
        renamed = restore.swap == Swap.RENAMED or _was_renamed(connection, restore)
    if renamed:
        services.restore_note(restore, swap=Swap.RENAMED)
        _finish(restore, place, tick)
        return f"{restore.target} is wholly restored; the tables of before are in {restore.kept_in}."
    _roll_back(restore, place, tick)
    return f"{restore.target} is wholly as it was before."


def refuse_keys_from_elsewhere(target: str, chosen: Collection[str], server: mysql.Server) -> None:
    """Raise Problem where another database's foreign keys would go with the tables of before.

    `chosen` are the tables that are swapped, none for all.
    """
    with mysql.connect(server) as connection:
        found = mysql.foreign_keys_into(connection, target)
    for table, other in found:
        if not chosen or other in chosen:
            raise Problem(
                f"A foreign key of {table}, in another database, refers to {target}.{other} and would go "
                "with the tables of before.",
                safe=f"{target} was not touched.",
                do="Drop that foreign key and add it again afterwards, or restore in place.",
            )


def refuse_taken(restore: Restore, place: Place) -> None:
    """Raise Problem where the database for the tables of before holds things already.

    Its name has the run's number, and a portal that was rebuilt begins to count anew.
    """
    with mysql.connect(place.server) as connection:
        taken = mysql.database_exists(connection, restore.kept_in) and mysql.inventory(
            connection, restore.kept_in
        )
    if taken:
        raise Problem(
            f"{restore.kept_in}, where the tables of before would be kept, holds tables already.",
            safe=f"{restore.target} was not touched.",
            do="Try again, which takes another name; drop that database once nobody needs it.",
        )


def _prepare(restore: Restore, place: Place) -> None:
    refuse_taken(restore, place)
    services.restore_note(restore, swap=Swap.PREPARED)
    with mysql.connect(place.server) as connection:
        charset, collation = mysql.database_defaults(connection, restore.target)
        if not mysql.database_exists(connection, restore.kept_in):
            mysql.create_database(connection, restore.kept_in, charset, collation)


def _rename(restore: Restore, place: Place, tick: process.Tick) -> None:
    with mysql.connect(place.server) as connection:
        outgoing, incoming = _moving(connection, restore)
        services.run_note(restore.run_id, result={"moves": [len(outgoing), len(incoming)]})
        moves = [(restore.target, restore.kept_in, table) for table in outgoing]
        moves += [(restore.incoming, restore.target, table) for table in incoming]

        def move() -> None:
            mysql.drop_definitions(connection, restore.incoming)
            # A view may stand where the snapshot has a table.
            mysql.drop_views(connection, restore.target, incoming)
            mysql.drop_triggers(connection, restore.target, outgoing)
            if moves:
                mysql.rename_tables(connection, moves)

        # In a thread, so that the run goes on beating while statements wait for locks.
        process.watched(move, tick, lambda: None)


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
    snapshot: Snapshot, chosen: Collection[str], target: str, server: mysql.Server
) -> None:
    """Raise Problem for chosen tables whose rows the snapshot does not hold, before anything is touched."""
    if not chosen:
        return
    if snapshot.manifest is not None and "not_in_backup" in snapshot.manifest:
        without = mysql.without_rows(snapshot.not_in_backup)
    else:  # made before this was noted, so the live ones tell
        with mysql.connect(server) as connection:
            without = mysql.tables_without_rows(connection, target)
    if found := sorted(set(chosen) & set(without)):
        raise Problem(
            f"No backup has the rows of {', '.join(found)}: there is nothing to restore of "
            f"{'it' if len(found) == 1 else 'them'}.",
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


def _finish(restore: Restore, place: Place, tick: process.Tick) -> None:
    """Set up what the snapshot holds besides tables. Safe to repeat."""
    with mysql.connect(place.server) as connection:
        mysql.requalify_sequences(connection, restore.target, restore.incoming)
        mysql.requalify_sequences(connection, restore.kept_in, restore.target)
        if restore.tables:
            mysql.drop_triggers(connection, restore.target, restore.tables)
        else:
            mysql.drop_definitions(connection, restore.target)
    definitions.apply(
        bytes(restore.definitions_after or b""),
        place.server,
        restore.target,
        source=restore.incoming,
        programs=place.programs,
        tick=tick,
        only_of=restore.tables or None,
    )
    services.restore_finished_swap(restore)


def _roll_back(restore: Restore, place: Place, tick: process.Tick) -> None:
    """Set up again what was taken down before a RENAME that did not happen. Safe to repeat."""
    if restore.definitions_before is not None:
        with mysql.connect(place.server) as connection:
            mysql.drop_definitions(connection, restore.target)
        definitions.apply(
            bytes(restore.definitions_before),
            place.server,
            restore.target,
            source=restore.target,
            programs=place.programs,
            tick=tick,
        )
    with mysql.connect(place.server) as connection:
        if not mysql.inventory(connection, restore.kept_in):
            mysql.drop_database(connection, restore.kept_in)
    services.restore_note(restore, swap=Swap.ROLLED_BACK)


def _was_renamed(connection: Any, restore: Restore) -> bool:
    """RENAME is all or nothing, so where one table is now tells for all that were to move."""
    if not mysql.database_exists(connection, restore.kept_in):
        return False
    restore.run.refresh_from_db(fields=["result"])
    outgoing, incoming = restore.run.result.get("moves", (0, 0))
    if incoming and _moving(connection, restore)[1]:
        return False
    return bool(incoming) or bool(outgoing and mysql.tables(connection, restore.kept_in))


def _end_now(restore: Restore, place: Place, say: Callable[[str], None], error: BaseException) -> None:
    """End a swap at once where the server allows; else the reaper does it when it is back.

    Raises Problem when it cannot be ended now.
    """
    try:
        say(end_broken_off(restore, place, tick=lambda: None))
    except Problem as later:
        raise Problem(
            f"The swap was broken off: {later.what}",
            safe=f"No row of {restore.target} is lost, but views, triggers, routines or events of it may "
            "be missing until the swap is ended, which is tried every minute.",
            do="See that the database server answers; what came of it will be added here.",
        ) from error
