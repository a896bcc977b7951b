"""The swap: the tables of one database take the place of another's, in one atomic RENAME.

Views, triggers, routines and events cannot be renamed with them. They are written down before
anything is touched, taken down as late as possible and set up again after. Each step is noted, so
that a swap that was broken off anywhere can be ended by `end_broken_off`, either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import MySQLdb

from backups import definitions, mysql, process, services
from backups.choices import Swap
from backups.errors import Problem
from backups.models import Restore


@dataclass(frozen=True)
class Place:
    """The server on which a swap happens."""

    server: mysql.Server
    info: mysql.ServerInfo
    programs: mysql.Clients


def swap(restore: Restore, place: Place, *, say: Callable[[str], None], tick: process.Tick) -> None:
    """Put the tables of `restore.incoming` into `restore.target`; those of before are kept.

    Raises Problem; then the target is as it was, or `end_broken_off` makes it so.
    """
    _prepare(restore, place, tick)
    try:
        _rename(restore, place)
    except BaseException:
        _try_to_end(restore, place, say)
        raise
    services.restore_note(restore, swap=Swap.RENAMED)
    say(f"The tables were swapped; those of before are in {restore.kept_in}.")
    try:
        _finish(restore, place, tick)
    except Problem:
        _try_to_end(restore, place, say)
        if restore.swap != Swap.FINISHED:
            raise


def end_broken_off(restore: Restore, place: Place, tick: process.Tick) -> str:
    """End a swap that was broken off, backwards before the RENAME, forwards after it.

    Answers a sentence about the target's state. Raises Problem while the server is not to be had.
    """
    with mysql.connect(place.server) as connection:
        renamed = restore.swap == Swap.RENAMED or _was_renamed(connection, restore)
    if renamed:
        services.restore_note(restore, swap=Swap.RENAMED)
        _finish(restore, place, tick)
        return f"{restore.target} is wholly restored; the tables of before are in {restore.kept_in}."
    _roll_back(restore, place, tick)
    return f"{restore.target} is wholly as it was before."


def _prepare(restore: Restore, place: Place, tick: process.Tick) -> None:
    before = definitions.read(
        place.server, restore.target, info=place.info, programs=place.programs, tick=tick
    )
    if restore.definitions_after is None:
        after = definitions.read(
            place.server, restore.incoming, info=place.info, programs=place.programs, tick=tick
        )
        services.restore_note(restore, definitions_after=after)
    services.restore_note(restore, definitions_before=before, swap=Swap.PREPARED)
    with mysql.connect(place.server) as connection:
        charset, collation = mysql.database_defaults(connection, restore.target)
        if not mysql.database_exists(connection, restore.kept_in):
            mysql.create_database(connection, restore.kept_in, charset, collation)


def _rename(restore: Restore, place: Place) -> None:
    chosen = restore.tables or None
    with mysql.connect(place.server) as connection:
        incoming = mysql.tables(connection, restore.incoming)
        live = mysql.tables(connection, restore.target)
        outgoing = [table for table in live if chosen is None or table in chosen]
        if chosen is not None:
            incoming = [table for table in incoming if table in chosen]
        moves = [(restore.target, restore.kept_in, table) for table in outgoing]
        moves += [(restore.incoming, restore.target, table) for table in incoming]
        mysql.drop_definitions(connection, restore.incoming)
        # A view may stand where the snapshot has a table.
        mysql.drop_views(connection, restore.target, incoming)
        mysql.drop_triggers(connection, restore.target, outgoing)
        mysql.rename_tables(connection, moves)


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
        triggers_of=restore.tables or None,
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
    """RENAME is all or nothing: any table among the kept ones, or none left to come, tells."""
    if not mysql.database_exists(connection, restore.kept_in):
        return False
    if mysql.tables(connection, restore.kept_in):
        return True
    incoming = mysql.tables(connection, restore.incoming)
    return not incoming and bool(mysql.tables(connection, restore.target))


def _try_to_end(restore: Restore, place: Place, say: Callable[[str], None]) -> None:
    """End a swap at once where the server allows; else the reaper does it when it is back."""
    try:
        say(end_broken_off(restore, place, tick=lambda: None))
    except (Problem, MySQLdb.Error) as error:
        say(f"The swap was broken off and will be ended as soon as the server allows: {error}")
