"""`manage.py diff`: what changed from a snapshot or a moment to a later one, or to now."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups.differences import told
from backups.management.base import VedettaCommand, WrongUsage, add_database, database_named, given
from backups.management.people import person
from backups.requests import DiffRequest, side_named
from backups.text.sentences import phrase, plural

if TYPE_CHECKING:
    from backups.differences.shown import ShownRow

_NOW = "now"


class Command(VedettaCommand):
    """Compare two snapshots of a database, or one with the database as it is now."""

    may_wait = True
    help = phrase("Say what changed from snapshot A to B, or to now: rows by table, and definitions.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "a", metavar="A", type=given,
            help=phrase("the earlier side: latest, a snapshot's id or its beginning, moment:TIME or "
"before:TRANSACTION"),
        )  # fmt: skip
        parser.add_argument(
            "b", metavar="B", nargs="?", default=_NOW, type=given,
            help=phrase("the later side, or now (default), which dumps the database as a backup does"),
        )  # fmt: skip
        add_database(parser)
        parser.add_argument(
            "--table", metavar="T", action="append", default=[], type=given,
            help=phrase("only this table; may be repeated"),
        )  # fmt: skip
        rows = parser.add_mutually_exclusive_group()
        rows.add_argument(
            "--rows", action="store_true",
            help=phrase("show values too: some rows of each table, on this terminal only"),
        )  # fmt: skip
        rows.add_argument(
            "--keep", action="store_true",
            help=phrase("keep the rows that differ for a day where the worker runs, to give them back"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        snapshot, since = side_named(database, options["a"])
        until, upto = (None, None) if options["b"] == _NOW else side_named(database, options["b"])
        tables = tuple(dict.fromkeys(options["table"]))
        request = DiffRequest(database, snapshot, until, tables, options["keep"], since, upto)
        request.refuse_unfit()
        rows: list[ShownRow] = []
        if options["rows"]:
            self._refuse_to_show(request)
            from backups.differences.shown import asked

            with asked(person()) as wanted:
                run = self.play(request)
            rows = wanted.rows
        else:
            run = self.play(request)
        found = run.result["difference"]
        self._tell(found)
        self._show(rows, found)
        if options["keep"]:
            self.say(phrase("The rows are kept for a day, as those of run {run}.", run=run.pk))
        return {
            "run_id": run.pk,
            "snapshot_id": request.snapshot.snapshot_id,
            "before": found["before"],
            "after": found["after"],
            "compared_at": found["after"]["at"],
            **{name: found[name] for name in _IN_JSON},
            "libraries_unknown": found.get("libraries_unknown", False),
            "server": found.get("server"),
        }

    def _refuse_to_show(self, request: DiffRequest) -> None:
        """Raise WrongUsage where values of rows would go elsewhere than to a terminal."""
        from backups.management.elsewhere import missing_here

        if self.as_json or not sys.stdout.isatty():
            raise WrongUsage(
                phrase("--rows shows what rows hold, and only on a terminal."),
                do=phrase("Leave out --json, and send the output nowhere else."),
            )
        if (missing := missing_here(request)) is not None:
            raise WrongUsage(
                phrase(
                    "{missing} The worker would play it, and no row's value leaves it.", missing=missing.what
                ),
                do=phrase("Say --rows where the secrets are."),
            )

    def _show(self, rows: Sequence[ShownRow], found: Mapping[str, Any]) -> None:
        from backups.differences.shown import MOST_SHOWN

        keys = {table["table"]: table["key"] for table in found["tables"]}
        for row in rows:
            self.say(f"{row.table}: {told.row_words(row, keys.get(row.table, []))}")
        if rows:
            self.say(phrase("At most {most} rows of each table are shown.", most=MOST_SHOWN))

    def _tell(self, found: Mapping[str, Any]) -> None:
        self.say(
            phrase(
                "From {before} ({snapshot}) to {after} ({later}):",
                before=_moment(found["before"]),
                snapshot=told.side_words(found["before"]),
                after=_moment(found["after"]),
                later=told.side_words(found["after"]),
            )
        )
        for table in found["tables"]:
            how = told.how_words(table)
            self.say(f"  {table['table']}: {told.rows_words(table)}{f' ({how})' if how else ''}")
        _tell_beyond(self, found["tables_beyond"])
        for thing in found["objects"]:
            self.say(f"  {told.object_words(thing)}")
        _tell_beyond(self, found["objects_beyond"])
        self.say(
            plural("{n} table has the same rows.", "{n} tables have the same rows.", n=found["same_tables"])
        )
        for line in (*told.way_of(found), *told.doubts(found)):
            self.say(line)


def _tell_beyond(command: VedettaCommand, more: int) -> None:
    if more:
        command.say(plural("  and {n} more", "  and {n} more", n=more))


def _moment(side: Mapping[str, Any]) -> str:
    return f"{timezone.localtime(datetime.fromisoformat(side['at'])):%Y-%m-%d %H:%M:%S}"


_IN_JSON = (
    "tables", "tables_beyond", "objects", "objects_beyond", "same_tables", "left_out", "chosen",
)  # fmt: skip
