"""`manage.py restore`: any snapshot, to a file, a new database, or the live one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from backups import services
from backups.actions.restore_file import STANDARD_OUTPUT
from backups.choices import OVERWRITING_MODES, DefinerPolicy, RestoreMode, Trigger
from backups.choose import snapshot_at, snapshot_named
from backups.console import VedettaCommand, database_named
from backups.models import Database, Snapshot
from backups.plain import plain


class Command(VedettaCommand):
    """Restore a snapshot."""

    help = "Restore a snapshot to a file, into a new database or in the place of the live one."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", metavar="NAME", help="which one, where there are several")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--snapshot", metavar="ID", help="latest, an id or its beginning")
        which.add_argument(
            "--time", type=_time, help='the newest snapshot not after it, as in "2025-10-20 15:00:00"'
        )
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--output", metavar="DIR", help="write the SQL into a folder, or - for stdout")
        where.add_argument("--into", metavar="NAME", help="load it into a database that holds nothing yet")
        where.add_argument(
            "--replace", action="store_true",
            help="swap it in for the live database; the tables of before are kept",
        )  # fmt: skip
        where.add_argument("--in-place", action="store_true", help="load it straight into the live database")
        parser.add_argument(
            "--table", metavar="T", action="append", default=[], help="only this table; may be repeated"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before overwriting")
        parser.add_argument(
            "--without-safety-backup", action="store_true",
            help="there is nothing left to save: make no backup before overwriting",
        )  # fmt: skip
        parser.add_argument(
            "--definers", choices=DefinerPolicy.values, default=DefinerPolicy.KEEP,
            help="whose rights views, triggers and routines run with",
        )  # fmt: skip
        parser.add_argument("--reason", default="", help="why; kept with the restore")

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        snapshot = _snapshot(database, options)
        mode, target = _where(database, options)
        if target == STANDARD_OUTPUT and self.as_json:
            raise CommandError("--output - and --json both want standard output.", returncode=2)
        if mode in OVERWRITING_MODES and not options["yes"]:
            _ask(database, snapshot, mode)
        self.stdout_is_data = target == STANDARD_OUTPUT
        run = services.restore_enqueue(
            database=database,
            snapshot=snapshot,
            mode=mode,
            target=target,
            trigger=Trigger.CLI,
            tables=options["table"],
            definers=DefinerPolicy(options["definers"]),
            without_safety=options["without_safety_backup"],
            reason=options["reason"],
            send=False,
        )
        run = self.play_queued(run)
        where = run.result.get("file", target)
        self.say(f"Snapshot {snapshot.short_id} of {database} was restored to {where}.")
        return {"run_id": run.pk, "snapshot_id": snapshot.snapshot_id, "target": where}


def _time(text: str) -> datetime:
    """A time in TIME_ZONE unless it says otherwise. Raises ValueError, as argparse wants."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else timezone.make_aware(time)


def _snapshot(database: Database, options: Mapping[str, Any]) -> Snapshot:
    if options["time"]:
        return snapshot_at(database, options["time"])
    return snapshot_named(database, options["snapshot"])


def _where(database: Database, options: Mapping[str, Any]) -> tuple[RestoreMode, str]:
    if options["output"]:
        return RestoreMode.FILE, options["output"]
    if options["into"]:
        return RestoreMode.NEW, options["into"]
    mode = RestoreMode.REPLACE if options["replace"] else RestoreMode.IN_PLACE
    return mode, database.database


def _ask(database: Database, snapshot: Snapshot, mode: RestoreMode) -> None:
    """Have the database's name typed out. Raises CommandError where nobody can, or will not."""
    if not sys.stdin.isatty():
        raise CommandError(f"This overwrites {database.database}: say --yes.", returncode=2)
    name = plain(database.database)
    print(
        f"{RestoreMode(mode).label} {name} at {plain(database.host)} with snapshot "
        f"{snapshot.short_id} of {snapshot.local_time:%Y-%m-%d %H:%M:%S}.",
        file=sys.stderr,
    )
    if input(f"Type {name} to go on: ") != database.database:
        raise CommandError("Not confirmed. Nothing was touched.", returncode=2)
