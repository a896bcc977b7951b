"""`manage.py undo_restore`: back to the tables that a restore kept; list, drop, or complete them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.choices import RestoreMode
from backups.errors import Problem
from backups.management.base import VedettaCommand, WrongUsage, add_database, database_named
from backups.models import Database, Restore
from backups.requests import DefineRequest, DropKeptRequest, UndoRequest
from backups.restoring import kept_states
from backups.text.sentences import joined, phrase
from backups.text.terminal import escape_control_characters


class Command(VedettaCommand):
    """Undo the newest replacement of a database, or another by its number."""

    may_wait = True
    help = phrase(
        "Go back to the tables that the newest restore with --replace kept; list, drop or complete them."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        parser.add_argument(
            "--restore", metavar="RUN", type=int,
            help=phrase("the number of a restore: go back to what was there before it, whatever came since"),
        )  # fmt: skip
        do = parser.add_mutually_exclusive_group()
        do.add_argument(
            "--list",
            action="store_true",
            help=phrase("list the states that can be brought back, and change nothing"),
        )
        do.add_argument(
            "--drop", action="store_true", help=phrase("drop the kept tables instead: no way back after that")
        )
        parser.add_argument("--yes", action="store_true", help=phrase("do not ask before dropping"))
        do.add_argument(
            "--try-again", action="store_true",
            help=phrase("make the views, triggers, routines and events that a restore left out"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        if options["list"]:
            return self._list(database)
        wanted = options["restore"]
        named = _numbered(database, wanted) if wanted is not None else None
        if options["drop"]:
            return self._drop(named or _only_kept(database), is_confirmed=options["yes"])
        if options["try_again"]:
            restore = named or _incomplete(database)
            run = self.play(DefineRequest(restore))
            self.say(run.result["sentence"])
            return {"run_id": run.pk, "target": restore.target}
        return self._undo(named or kept_states.next_undo(database, _target(database)))

    def _list(self, database: Database) -> Mapping[str, Any]:
        found = kept_states.listed(database, _target(database))
        for state in found:
            self.say(f"{state.what}: {state.way} ({state.end})")
        if not found:
            self.say(
                phrase(
                    "No restore of {database} keeps tables, so there is nothing to undo.", database=database
                )
            )
        return {"states": [state.as_json() for state in found]}

    def _drop(self, restore: Restore, *, is_confirmed: bool) -> Mapping[str, Any]:
        what = kept_states.State(restore, "", None).what
        if not is_confirmed:
            _ask(restore, what)
        self.say(f"Dropping {restore.kept_in}: {what} …")
        run = self.play(DropKeptRequest(restore))
        self.say(run.result["sentence"])
        return {"run_id": run.pk, "dropped": restore.kept_in, "state": what}

    def _undo(self, restore: Restore) -> Mapping[str, Any]:
        run = self.play(UndoRequest(restore))
        self.say(
            phrase(
                "{target} is again what it was before restore {run_id}. To take this undo back: "
                "manage.py undo_restore --restore {run}.",
                target=restore.target,
                run_id=restore.run_id,
                run=run.pk,
            )
        )
        return {"run_id": run.pk, "target": restore.target}


def _ask(restore: Restore, what: str) -> None:
    """Have the kept database's name typed out. Raises WrongUsage where nobody can, or will not."""
    if not sys.stdin.isatty():
        raise WrongUsage(
            phrase("This drops {kept_in} for good ({what}): say --yes.", kept_in=restore.kept_in, what=what)
        )
    name = escape_control_characters(restore.kept_in)
    what = escape_control_characters(what)
    warning = phrase(
        "Drops {name} for good, {what}. After that, its restore cannot be undone any more.",
        name=name,
        what=what,
    )
    print(warning, file=sys.stderr)
    if input(phrase("Type {name} to go on: ", name=name)) != restore.kept_in:
        raise WrongUsage(phrase("Not confirmed. Nothing was touched."))


def _target(database: Database) -> str:
    """Where its newest swap went: its name on the server may have been another then."""
    newest = Restore.objects.filter(database=database, swapped_at__isnull=False).first()
    return newest.target if newest is not None else database.database


def _numbered(database: Database, run_id: int) -> Restore:
    found = (
        Restore.objects.filter(database=database, run_id=run_id)
        .select_related("database__server", "run")
        .first()
    )
    if found is None:
        raise Problem(
            phrase("Run {run_id} is no restore of {database}.", run_id=run_id, database=database),
            code="restore.unknown",
            safe=phrase("Nothing was touched."),
            do=phrase("`undo_restore --list` has the numbers."),
        )
    return found


def _only_kept(database: Database) -> Restore:
    """The one restore that keeps tables. Raises Problem where there are several, or none."""
    kept = [state for state in kept_states.listed(database, _target(database)) if state.restore.keeps_tables]
    if not kept:
        raise Problem(
            phrase("No restore of {database} keeps tables, so there is nothing to drop.", database=database),
            code="undo.nothing_kept",
        )
    if len(kept) > 1:
        which = joined((f"{state.what} (--restore {state.restore.run_id})" for state in kept), "; ")
        raise Problem(
            phrase("{count} restores keep tables: {which}.", count=len(kept), which=which),
            code="undo.several_kept",
            safe=phrase("Nothing was dropped."),
            do=phrase("Say which with --restore."),
        )
    return kept[0].restore


def _incomplete(database: Database) -> Restore:
    """The newest restore, where it left anything out. Raises Problem with the others that did."""
    known = Restore.objects.filter(database=database).exclude(mode=RestoreMode.FILE)
    rows = list(known.select_related("database__server", "run"))
    if not rows:
        raise Problem(
            phrase("There is nothing to make: {database} was never restored.", database=database),
            code="restore.none",
        )
    newest, *older = rows
    if kept_states.may_define_again(newest):
        return newest
    lacking = [row for row in older if kept_states.may_define_again(row)]
    which = joined(
        (
            phrase("into {target} (--restore {run_id})", target=row.target, run_id=row.run_id)
            for row in lacking
        ),
        "; ",
    )
    raise Problem(
        phrase(
            "{more}The newest restore, {run_id} into {target}, left out nothing that could be made now.",
            more=("" if which else phrase("There is nothing to make. ")),
            run_id=newest.run_id,
            target=newest.target,
        ),
        code="undo.nothing_left_out",
        safe=phrase("Nothing was touched."),
        do=phrase("Older ones did: {which}.", which=which) if which else "",
    )
