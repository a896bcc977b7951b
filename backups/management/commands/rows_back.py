"""`manage.py rows_back`: rows as they were in a snapshot, or before a transaction, by a proved script."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backups.differences.kept_rows import KINDS, not_kept
from backups.errors import Problem
from backups.management.base import VedettaCommand, WrongUsage, add_database, database_named, given
from backups.management.elsewhere import missing_here
from backups.models import Database, Run
from backups.requests import (
    ApplyRowsRequest,
    Choice,
    DiffRequest,
    RowsBackRequest,
    UndoTransactionsRequest,
)
from backups.requests.rows_back import UNSEEN_KEYS, columns_words, rounded_words, told_of, unseen_words
from backups.requests.undone import undone_words
from backups.snapshots.selection import resolve_snapshot
from backups.text.sentences import phrase, plural
from backups.text.terminal import escape_control_characters

# What of a comparison is given back unless one says which: what came since stays.
_USUALLY = ("gone", "changed")
# What a transaction did is undone as a whole.
_ALL = ("gone", "changed", "new")


class Command(VedettaCommand):
    """Give rows of a snapshot back that were deleted or changed since, and leave all others as they are."""

    may_wait = True
    help = phrase(
        "Give rows back that were deleted or changed since snapshot A. The script is proved on a copy first."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "a",
            metavar="A",
            nargs="?",
            type=given,
            help=phrase("the snapshot: latest, an id or its beginning"),
        )
        which.add_argument(
            "--undo", metavar="RUN", type=int, help=phrase("take back what an earlier rows_back applied")
        )
        which.add_argument(
            "--undo-transaction", metavar="ID", action="append", type=given,
            help=phrase("take back a transaction of the stored log (FILE:POSITION or GTID); may be repeated"),
        )  # fmt: skip
        add_database(parser)
        parser.add_argument(
            "--table", metavar="T", action="append", default=[], type=given,
            help=phrase("rows of this table; may be repeated"),
        )  # fmt: skip
        _add_choice(parser)
        parser.add_argument(
            "--with-changed-again", action="store_true",
            help=phrase("also rows that were changed again after the comparison"),
        )  # fmt: skip
        do = parser.add_mutually_exclusive_group()
        do.add_argument(
            "--output", metavar="FILE", type=given, help=phrase("write the proved script into a file")
        )
        do.add_argument(
            "--apply", action="store_true", help=phrase("run the proved script in the live database")
        )
        parser.add_argument("--yes", action="store_true", help=phrase("do not ask before applying"))
        parser.add_argument(
            "--knows-triggers", action="store_true",
            help=phrase("apply it although triggers run too, which is not proved"),
        )  # fmt: skip
        parser.add_argument(
            "--without-safety-backup", action="store_true", help=phrase("make no backup before applying")
        )
        parser.add_argument("--reason", type=given, help=phrase("why; kept with the run"))

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        self._refuse_wrong(options)
        wanted = self._wanted(database, options)
        if wanted is None:
            self.say(phrase("No such row differs, so there is nothing to give back."))
            return {
                "run_id": None,
                "rows": 0,
                "proved": False,
                "left_out": [],
                "transactions": list(dict.fromkeys(options["undo_transaction"] or ())),
                "transactions_done_again": False,
            }
        self._refuse_output_elsewhere(wanted, options)
        proved = self.play(wanted)
        told = told_of(proved)
        self._tell(proved, told)
        result = {
            "run_id": proved.pk,
            "rows": told["rows"],
            "proved": told["proved"],
            "left_out": told["left_out"],
            "transactions": told.get("transactions", []),
            "transactions_done_again": told.get("transactions_done_again", False),
        }
        if not told["proved"]:
            return result
        if options["output"]:
            _write(proved, Path(options["output"]))
            self.say(phrase("The script was written to {file}.", file=options["output"]))
        if not options["apply"]:
            return result
        return {**result, **self._applied(database, proved, options)}

    def _refuse_wrong(self, options: Mapping[str, Any]) -> None:
        is_whole = options["undo"] is not None or (options["undo_transaction"] and not options["where"])
        if not is_whole and not options["table"]:
            raise WrongUsage(phrase("No table was named."), do=phrase("Say --table."))
        if not is_whole and not (options["where"] or options["all"]):
            raise WrongUsage(
                phrase("It was not said which rows."), do=phrase("Say --where with a condition, or --all.")
            )
        if options["column"] and (len(set(options["table"])) != 1 or set(options["only"]) - {"changed"}):
            raise WrongUsage(phrase("--column goes with one --table, and with rows that changed."))
        choice = ("table", "where", "only", "column")
        if options["undo"] is not None and any(options[each] for each in choice):
            raise WrongUsage(
                phrase("--undo takes back all that was applied, so it goes with no choice of rows.")
            )

    # ---------------------------------------------------------------- What is given back

    def _wanted(self, database: Database, options: Mapping[str, Any]) -> RowsBackRequest | None:
        """What is asked for; None where no such row differs."""
        if options["undo"] is not None:
            return _undo(database, options)
        if options["undo_transaction"]:
            undo = UndoTransactionsRequest.of(database, options["undo_transaction"])
            return self._compared(undo, options, options["table"], _ALL)
        tables = tuple(dict.fromkeys(options["table"]))
        snapshot = resolve_snapshot(database, options["a"])
        compare = DiffRequest(database, snapshot, None, tables, keep_rows=True)
        return self._compared(compare, options, tables, _USUALLY)

    def _compared(
        self,
        compare: DiffRequest | UndoTransactionsRequest,
        options: Mapping[str, Any],
        named: Sequence[str],
        usually: tuple[str, ...],
    ) -> RowsBackRequest | None:
        """The rows of these tables, or of all, once it is known which differ; None where none does."""
        compare.refuse_unfit()
        if options["where"] and (missing := missing_here(compare)) is not None:
            raise Problem(
                phrase(
                    "{missing} The worker would keep the rows, and a condition is looked at where they are.",
                    missing=missing.what,
                ),
                code="rows.where_elsewhere",
                safe=phrase("Nothing was done."),
                do=phrase("Run this where the worker runs, or choose rows on the comparison's page."),
            )
        compared = self.play(compare)
        if "kept" not in compared.result:  # a worker of the version before has played it
            raise not_kept()
        kinds = ("changed",) if options["column"] else tuple(options["only"]) or usually
        kept = {each["table"]: each for each in compared.result["kept"]["tables"]}
        choices = []
        for table in dict.fromkeys(named or kept):
            if table in kept and (choice := _choice(compared, table, kinds, options["where"])) is not None:
                choices.append(replace(choice, columns=tuple(dict.fromkeys(options["column"]))))
            elif table not in kept:
                self._say_of_whole(compared, table)
        if not choices:
            return None
        return RowsBackRequest(
            compare.database, compared, tuple(choices), options["with_changed_again"], options["reason"] or ""
        )

    def _say_of_whole(self, compared: Run, table: str) -> None:
        found = {each["table"]: each for each in compared.result["difference"]["tables"]}
        if table in found:
            raise Problem(
                phrase(
                    "Table {table} came or is gone as a whole, or its rows cannot be compared.", table=table
                ),
                code="rows.no_such_table",
                safe=phrase("Nothing was changed."),
                do=phrase("Restore the table."),
            )
        self.say(phrase("{table}: no row differs.", table=table))

    # ---------------------------------------------------------------- What is told

    def _tell(self, run: Run, told: Mapping[str, Any]) -> None:
        if told.get("transactions"):
            self.say(undone_words(told["transactions"], is_done_again=told["transactions_done_again"]))
        for each in told["tables"]:
            self.say(
                phrase(
                    "{table}: {gone} come back, {changed} become as they were, {new} go.",
                    table=each["table"],
                    gone=f"{each['gone']:,}",
                    changed=f"{each['changed']:,}",
                    new=f"{each['new']:,}",
                )
            )
        for each in told.get("only_columns", []):
            self.say(columns_words(each["table"], each["columns"]))
        for each in told["left_out"]:
            self.say(
                plural(
                    "{table}: {n} row was changed again, so left out (--with-changed-again takes it).",
                    "{table}: {n} rows were changed again, so left out (--with-changed-again takes them).",
                    n=each["rows"],
                    table=each["table"],
                )
            )
        if told["already"]:
            self.say(
                plural(
                    "{n} row is as it was already.", "{n} rows are as they were already.", n=told["already"]
                )
            )
        self._tell_not_proved(told)
        if told["proved"]:
            self.say(
                phrase(
                    "The script is proved. It lies for a day where the worker runs: kept-rows/{run}.sql in "
                    "RESTIC_CACHE_DIR.",
                    run=run.pk,
                )
            )
        else:
            self.say(phrase("There is nothing to give back."))

    def _tell_not_proved(self, told: Mapping[str, Any]) -> None:
        """What the copy has not, and the live database has; and what a dump has not to the last bit."""
        for each in told.get("rounded", []):
            self.say(rounded_words(each["table"], each["columns"]))
        for each in told["triggers"]:
            if each["event"] == UNSEEN_KEYS:
                self.say(unseen_words(each))
                continue
            self.say(
                phrase(
                    "Trigger {trigger} of {table} will also run for {rows} rows. What it does is not proved.",
                    **{name: each[name] for name in ("trigger", "table", "rows")},
                )
            )

    # ---------------------------------------------------------------- What is done with it

    def _refuse_output_elsewhere(self, wanted: RowsBackRequest, options: Mapping[str, Any]) -> None:
        if options["output"] and (missing := missing_here(wanted)) is not None:
            raise Problem(
                phrase(
                    "{missing} The worker writes the script, and not where this command runs.",
                    missing=missing.what,
                ),
                code="restore.output_elsewhere",
                safe=phrase("Nothing was done."),
                do=phrase("Run this where the worker runs, or download the script on the run's page."),
            )

    def _applied(self, database: Database, proved: Run, options: Mapping[str, Any]) -> Mapping[str, Any]:
        request = ApplyRowsRequest(
            database,
            proved,
            options["knows_triggers"],
            options["without_safety_backup"],
            options["reason"] or "",
        )
        # Before the name is asked for, which would be typed in vain.
        request.refuse_unfit()
        if not self.waits.is_wanted:
            request.refuse_busy()
        if not options["yes"]:
            _ask(database)
        run = self.play(request)
        told = told_of(run)
        if told["state"] == "already":
            self.say(phrase("It was applied before. Nothing was done."))
        else:
            self.say(
                phrase(
                    "{rows} given back. To take that back within a day: manage.py rows_back --undo {run} "
                    "--apply.",
                    rows=plural("{n} row was", "{n} rows were", n=told["rows"]),
                    run=run.pk,
                )
            )
        return {"applied_by": run.pk}


def _add_choice(parser: ArgumentParser) -> None:
    """Which rows of these tables, and which of their columns."""
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument(
        "--where", metavar="TEXT", type=given,
        help=phrase("only rows of which this is true, as in \"status = 'open' and price < 5\""),
    )  # fmt: skip
    rows.add_argument("--all", action="store_true", help=phrase("all rows that differ"))
    parser.add_argument(
        "--only", choices=["gone", "changed", "new"], action="append", default=[],
        help=phrase("rows that are gone, changed or new; may be repeated (default: gone and changed)"),
    )  # fmt: skip
    parser.add_argument(
        "--column", metavar="C", action="append", default=[], type=given,
        help=phrase("changed rows get back this column alone; may be repeated. Goes with one table"),
    )  # fmt: skip


def _undo(database: Database, options: Mapping[str, Any]) -> RowsBackRequest:
    run = (
        Run.objects.select_related("snapshot__repository")
        .filter(pk=options["undo"], database=database)
        .first()
    )
    if run is None or "state" not in told_of(run):
        raise Problem(
            phrase("Run {run} gave no rows back.", run=options["undo"]),
            code="rows.nothing_to_undo",
            safe=phrase("Nothing was changed."),
            do=phrase("Give the number that rows_back printed when it applied the script."),
        )
    return RowsBackRequest(
        database, run, with_changed_again=options["with_changed_again"], reason=options["reason"] or ""
    )


def _choice(compared: Run, table: str, kinds: tuple[str, ...], where: str | None) -> Choice | None:
    """The rows that are meant, None where there are none. Raises Problem."""
    from backups.actions.steps.rows_chosen import numbers_where, refuse_beyond

    counts = next(each for each in compared.result["kept"]["tables"] if each["table"] == table)
    # Nobody knows of which kind those are that are not kept.
    refuse_beyond(table, sum(counts[kind] for kind in KINDS), counts["beyond"])
    if where is None:
        return Choice(table, kinds) if any(counts[kind] for kind in kinds) else None
    numbers = numbers_where(compared, table, kinds, where)
    return Choice.of_numbers(table, numbers) if numbers else None


def _write(run: Run, file: Path) -> None:
    """Copy the script, for its owner alone. Raises Problem."""
    from backups.actions.steps import kept_files

    try:
        text = kept_files.script_of(run.pk).read_bytes()
        # Whoever has put a link or a file there is to read no row.
        if file.is_symlink() or (file.exists() and not file.is_file()):
            raise FileExistsError(errno.EEXIST, phrase("there is something that is no ordinary file"))
        descriptor, draft = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            Path(draft).replace(file)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise Problem(
            phrase(
                "The script cannot be written to {file}: {error}.", file=file, error=error.strerror or error
            ),
            code="restore.file_not_written",
            safe=phrase("Nothing was changed."),
            do=phrase("Say another file."),
        ) from error


def _ask(database: Database) -> None:
    """Have the database's name typed out. Raises WrongUsage where nobody can, or will not."""
    if not sys.stdin.isatty():
        raise WrongUsage(phrase("This changes rows of {database}: say --yes.", database=database.database))
    name = escape_control_characters(database.database)
    host = escape_control_characters(database.server.host)
    print(phrase("The script runs in {name} at {host}.", name=name, host=host), file=sys.stderr)
    if input(phrase("Type {name} to go on: ", name=name)) != database.database:
        raise WrongUsage(phrase("Not confirmed. Nothing was touched."))
