"""What comes after a restore: undoing it, dropping what it kept, making what it left out."""

from __future__ import annotations

import re

from django.utils import timezone

from backups import mysql
from backups.actions.steps.dropping import drop_database
from backups.actions.steps.swapping import place_of, refuse_missing_privileges, swap_in
from backups.endpoints import restoring_server
from backups.errors import Problem
from backups.models import Restore, Run
from backups.requests import DefineRequest, DropKeptRequest, read_as
from backups.restoring import kept_states
from backups.restoring.foreign_keys import refuse_crossing
from backups.restoring.obstacles import refuse_immovable
from backups.restoring.renaming import kept_tables
from backups.restoring.swap import define_again, drop_emptied, refuse_unless_whole
from backups.runs import consequences, notes, refusals, restores
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text import formatting
from backups.text.sentences import phrase, plural


def undo(run: Run, progress: Progress) -> Outcome:
    """Swap the tables back that a restore kept; those of now are kept in their turn. Raises Problem."""
    restore = run.restore
    before = restore.undo_of
    if before is None or not before.keeps_tables:
        raise Problem(
            phrase("There is nothing to undo: the tables from before the restore are not kept any more."),
            code="undo.nothing_kept",
        )
    refusals.refuse_unsettled(restore.database, restore.target, but=restore)
    kept_states.refuse_out_of_order(before)
    progress.phase("preflight")
    place = place_of(restore, run, progress)
    refuse_missing_privileges(restore, place)
    _refuse_other_than_kept(restore, before, place)
    restores.restore_note(
        restore,
        incoming=before.kept_in,
        kept_in=mysql.derived_name(restore.target, "before", run.pk),
        definitions_after=before.definitions_before,
        tables=before.tables,
    )
    _refuse_what_cannot_swap(restore, place)
    try:
        swap_in(restore, place, progress)
    finally:
        drop_emptied(restore, place)
    return Outcome()


def _refuse_other_than_kept(restore: Restore, before: Restore, place: mysql.ProbedServer) -> None:
    """Raise Problem unless all is there that was kept: half of it, or nothing, never goes in."""
    with mysql.connect(place.server) as connection:
        there = mysql.database_exists(connection, before.kept_in)
        held = len(mysql.tables(connection, before.kept_in)) if there else 0
        if not mysql.database_exists(connection, restore.target):
            raise Problem(
                phrase("There is no database {target} to go back in.", target=restore.target),
                code="restore.no_target",
                safe=phrase("{kept_in} was not touched.", kept_in=before.kept_in),
                do=phrase(
                    "Run as an administrator: CREATE DATABASE {target}; then undo again.",
                    target=mysql.quote(restore.target),
                ),
            )
    if not there:
        raise Problem(
            phrase(
                "{kept_in} is not there any more, so there is nothing to go back to.", kept_in=before.kept_in
            ),
            code="undo.kept_is_gone",
            safe=phrase("{target} was not touched.", target=restore.target),
            do=phrase(
                "Restore a snapshot instead, or go back to another state (`undo_restore --list`). To "
                "take restore {run_id} off that list, drop its kept tables.",
                run_id=before.run_id,
            ),
        )
    kept = kept_tables(before)
    if kept == 0 and (given_up := before.run.result.get("not_kept")):
        raise _given_up(restore, before, given_up)
    if kept is not None and held != kept:
        raise Problem(
            phrase(
                "{kept_in} holds {tables}, and restore {run_id} kept {kept} in it.",
                kept_in=before.kept_in,
                tables=plural("{n} table", "{n} tables", n=held),
                run_id=before.run_id,
                kept=kept,
            ),
            code="undo.kept_otherwise",
            safe=phrase("{target} was not touched.", target=restore.target),
            do=phrase(
                "See who changed that database. Restore a snapshot instead; what is left there can be "
                "copied by hand."
            ),
        )


def _given_up(restore: Restore, before: Restore, tables: list[str]) -> Problem:
    return Problem(
        phrase(
            "Restore {restore} kept nothing: {tables} was damaged then, and could not be moved.",
            restore=before.run_id,
            tables=mysql.named(tables),
        ),
        code="undo.given_up",
        safe=phrase("{target} was not touched.", target=restore.target),
        do=phrase("Restore a snapshot instead."),
    )


def _refuse_what_cannot_swap(restore: Restore, place: mysql.ProbedServer) -> None:
    """Raise Problem for what a RENAME would not carry, in the kept database or in the live one."""
    with mysql.connect(place.server) as connection:
        live = mysql.tables(connection, restore.target)
        refuse_crossing(connection, restore.target, restore.tables, target=restore.target, held=live)
        for database in (restore.incoming, restore.target):
            refuse_immovable(connection, database, restore.tables, target=restore.target)


def drop_kept(run: Run, progress: Progress) -> Outcome:
    """Drop the tables that a restore kept. After this it cannot be undone. Raises Problem."""
    progress.phase("drop")
    restore = read_as(run, DropKeptRequest).restore
    if not restore.keeps_tables or not re.search(r"__before_\d+$", restore.kept_in):
        raise Problem(
            phrase("This restore keeps no tables."),
            code="undo.keeps_nothing",
            safe=phrase("Nothing was dropped."),
        )
    refusals.refuse_unsettled(restore.database, restore.target)
    refusals.refuse_same_target(restore.database, restore.target)
    kept_states.refuse_early_drop(restore)
    server = restoring_server(restore.database)
    progress.mask_secrets([server.password])
    with mysql.connect(server) as connection:
        freed = mysql.space_used(connection, restore.kept_in)
    try:
        drop_database(server, restore.kept_in, progress.tick)
    except mysql.ReferredTo as error:
        raise _referred_to(restore) from error
    restores.restore_note(restore, dropped_at=timezone.now())
    sentence = phrase(
        "{kept_in} was dropped, which freed about {size}.",
        kept_in=restore.kept_in,
        size=formatting.size(freed),
    )
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "freed": freed})
    return Outcome()


def _referred_to(restore: Restore) -> Problem:
    """Why the server keeps what it should drop: a key that went with the tables of before."""
    return Problem(
        phrase(
            "A table of another database refers to one in {kept_in} by a foreign key, so the server does not "
            "drop it.",
            kept_in=restore.kept_in,
        ),
        code="undo.key_from_elsewhere",
        safe=phrase("{target} was not touched.", target=restore.target),
        do=phrase(
            "Drop that key and add it again to the table in {target} (docs/operations.md, Foreign keys of "
            "other databases), then drop the kept tables.",
            target=restore.target,
        ),
    )


def define(run: Run, progress: Progress) -> Outcome:
    """Make the views, triggers, routines and events that a swap left out. Raises Problem."""
    restore = read_as(run, DefineRequest).restore
    if not kept_states.may_define_again(restore):
        raise Problem(
            phrase("There is nothing left to make now: it was made already, or a newer restore replaced it."),
            code="undo.nothing_left_out",
            safe=phrase("{target} was not touched.", target=restore.target),
        )
    refusals.refuse_unsettled(restore.database, restore.target)
    refusals.refuse_same_target(restore.database, restore.target)
    progress.phase("define")
    place = place_of(restore, run, progress)
    wanted = list(restore.definitions_left)
    define_again(restore, place, progress.tick)
    refuse_unless_whole(restore)
    left = {(one["kind"], one["name"], one["table"]) for one in restore.definitions_left}
    made = [one for one in wanted if (one["kind"], one["name"], one["table"]) not in left]
    if not made:
        raise Problem(
            phrase(
                "{left_out} cannot be made yet: {why}",
                left_out=consequences.left_out(wanted),
                why=wanted[0]["why"],
            ),
            code="undo.cannot_be_made_yet",
            safe=phrase("{target} was not touched.", target=restore.target),
            do=phrase("Make what it reads first, then try again."),
        )
    sentence = phrase(
        "Made in {target}: {left_out}.", target=restore.target, left_out=consequences.left_out(made)
    )
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence})
    return Outcome()
