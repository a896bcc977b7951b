"""The database into which a restore goes: made empty, and taken away again where it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backups import mysql
from backups.actions.steps import room
from backups.actions.steps.dropping import drop_scratch
from backups.errors import Problem
from backups.models import Restore, Snapshot
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text.sentences import phrase

WITHOUT_A_COPY = phrase("restore in place or to a file, which needs no second copy")


def _refuse_without_room(connection: Any, restore: Restore, place: mysql.ProbedServer) -> None:
    room.refuse_without_room(
        connection, place.server, restore.snapshot, tables=restore.tables_to_load, instead=WITHOUT_A_COPY
    )


def take_away(
    restore: Restore, place: mysql.ProbedServer, made: bool, error: BaseException, progress: Progress
) -> None:
    """Where the server does not answer, `error` tells what is left there."""
    try:
        if made:
            drop_scratch(restore.run_id, place.server, restore.target, progress.tick_ignoring_cancel)
        else:
            with mysql.connect(place.server) as connection:
                mysql.drop_everything(connection, restore.target)
    except Problem:
        if isinstance(error, Problem):
            then = phrase(", and is dropped once the server answers") if made else ""
            error.safe = phrase(
                "{target} holds a part of the snapshot{then}; nothing else was touched.",
                target=restore.target,
                then=then,
            )


def clear_what_died(restore: Restore, place: mysql.ProbedServer) -> None:
    """What a restore that died under this name made is not in the way of this one."""
    for dead in notes.runs_with_leftover("scratch"):
        if dead.result["scratch"] == restore.target and dead.database == restore.database:
            drop_scratch(dead.pk, place.server, restore.target)


def make_empty_target(restore: Restore, place: mysql.ProbedServer) -> bool:
    """Make the target; answers whether it was not there before. Raises Problem when it holds things."""
    with mysql.connect(place.server) as connection:
        if mysql.database_exists(connection, restore.target):
            if mysql.inventory(connection, restore.target):
                raise Problem(
                    phrase("{target} holds tables already.", target=restore.target),
                    code="restore.target_not_empty",
                    safe=phrase("It was not touched."),
                    do=phrase("Choose a name that is free."),
                )
            _refuse_without_room(connection, restore, place)
            return False
        _refuse_without_room(connection, restore, place)
        # Noted before it is there, so that the reaper finds it even if we die in between.
        notes.run_update(restore.run_id, result={"scratch": restore.target})
        try:
            _create(connection, place, restore.target, restore.snapshot)
        except Problem:
            notes.leftover_cleared(restore.run_id, "scratch")
            raise
        return True


@contextmanager
def shadow_database(
    restore: Restore, place: mysql.ProbedServer, shadow: str, progress: Progress
) -> Iterator[None]:
    """An empty shadow database, dropped after the swap or instead of it."""
    with mysql.connect(place.server) as connection:
        _refuse_without_room(connection, restore, place)
    notes.run_update(restore.run_id, result={"scratch": shadow})
    with mysql.connect(place.server) as connection:
        if not mysql.database_exists(connection, restore.target):
            raise Problem(
                phrase("There is no database {target} to replace.", target=restore.target),
                code="restore.no_target",
                do=phrase("Restore into a new database of that name."),
            )
        _create(connection, place, shadow, restore.snapshot)
    try:
        yield
    finally:
        restore.refresh_from_db()
        if restore.is_settled:
            drop_scratch(restore.run_id, place.server, shadow, progress.tick_ignoring_cancel)


def _create(connection: Any, place: mysql.ProbedServer, name: str, snapshot: Snapshot) -> None:
    manifest = snapshot.manifest or {}
    try:
        with mysql.translated(place.server, name):
            mysql.create_database(
                connection, name, manifest.get("charset", ""), manifest.get("collation", "")
            )
    except mysql.UnknownDatabase as error:
        base = re.sub(r"__(?:restore|verify|before)_\d+$", "", name)
        grant = f"GRANT ALL ON {mysql.name_pattern(base)[:-1]}%`.* TO {mysql.account(connection)};"
        raise mysql.MissingPrivilege(
            phrase("The user {user} may not create the database {name}.", user=place.server.user, name=name),
            do=phrase("Restore in place: the server's partial_revokes allows no grant for such names.")
            if mysql.has_partial_revokes(connection)
            else phrase(
                "Run as an administrator: {grant} {instead_of}",
                grant=grant,
                instead_of=_instead_of(name, base, snapshot),
            ),
        ) from error


def _instead_of(name: str, base: str, snapshot: Snapshot) -> str:
    """What else there is to do. Who wanted a copy is not to be sent upon the live database."""
    if name != base:
        return phrase("or restore in place.")
    if snapshot.database is None:
        return phrase("or choose a name for which there is a grant.")
    own = snapshot.database.database
    return phrase("or choose a name that begins with {own}__, for which deploy/mysql has the grant.", own=own)
