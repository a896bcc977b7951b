"""`manage.py diff`: what changed from a snapshot to a later one, or to now."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from backups.differences import told
from backups.management.base import VedettaCommand, add_database, database_named, given
from backups.requests import DiffRequest
from backups.snapshots.selection import resolve_snapshot
from backups.text.sentences import phrase, plural

_NOW = "now"


class Command(VedettaCommand):
    """Compare two snapshots of a database, or one with the database as it is now."""

    may_wait = True
    help = phrase("Say what changed from snapshot A to B, or to now: rows by table, and definitions.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "a", metavar="A", type=given, help=phrase("the earlier snapshot: latest, an id or its beginning")
        )
        parser.add_argument(
            "b", metavar="B", nargs="?", default=_NOW, type=given,
            help=phrase("the later one, or now (default), which dumps the database as a backup does"),
        )  # fmt: skip
        add_database(parser)
        parser.add_argument(
            "--table", metavar="T", action="append", default=[], type=given,
            help=phrase("only this table; may be repeated"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        until = None if options["b"] == _NOW else resolve_snapshot(database, options["b"])
        request = DiffRequest(
            database, resolve_snapshot(database, options["a"]), until, tuple(dict.fromkeys(options["table"]))
        )
        request.refuse_unfit()
        run = self.play(request)
        found = run.result["difference"]
        self._tell(found)
        return {
            "run_id": run.pk,
            "snapshot_id": request.snapshot.snapshot_id,
            "before": found["before"],
            "after": found["after"],
            "compared_at": found["after"]["at"],
            **{name: found[name] for name in _IN_JSON},
        }

    def _tell(self, found: Mapping[str, Any]) -> None:
        self.say(
            phrase(
                "From {before} ({snapshot}) to {after} ({later}):",
                before=_moment(found["before"]),
                snapshot=found["before"]["snapshot_id"][:8],
                after=_moment(found["after"]),
                later=(found["after"]["snapshot_id"] or phrase("now"))[:8],
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
        for doubt in told.doubts(found):
            self.say(doubt)


def _tell_beyond(command: VedettaCommand, more: int) -> None:
    if more:
        command.say(plural("  and {n} more", "  and {n} more", n=more))


def _moment(side: Mapping[str, Any]) -> str:
    return f"{timezone.localtime(datetime.fromisoformat(side['at'])):%Y-%m-%d %H:%M:%S}"


_IN_JSON = (
    "tables", "tables_beyond", "objects", "objects_beyond", "same_tables", "left_out", "chosen",
)  # fmt: skip
