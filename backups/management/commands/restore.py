"""`manage.py restore`: any snapshot, to a file, a new database, or the live one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from backups.actions.steps.restore_file import STANDARD_OUTPUT
from backups.choices import OVERWRITING_MODES, TO_DOWNLOAD, DefinerPolicy, RestoreMode
from backups.errors import Problem
from backups.management.base import (
    VedettaCommand,
    WrongUsage,
    add_database,
    add_snapshot,
    database_named,
    given,
    target_database,
)
from backups.management.elsewhere import missing_here
from backups.management.passed_over import passed_over
from backups.models import Database, Snapshot
from backups.moments.rows import draft_of
from backups.moments.until import Until, at_moment, before_transaction
from backups.requests import RestoreRequest
from backups.snapshots.selection import resolve_snapshot, snapshot_at
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters


class Command(VedettaCommand):
    """Restore a snapshot."""

    may_wait = True
    help = phrase("Restore a snapshot to a file, into a new database or in the place of the live one.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        _add_which(parser)
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument(
            "--output", metavar="DIR", type=given, help=phrase("write the SQL into a folder, or - for stdout")
        )
        where.add_argument(
            "--into", metavar="NAME", type=target_database,
            help=phrase("load it into a database that holds nothing yet"),
        )  # fmt: skip
        where.add_argument(
            "--replace", action="store_true",
            help=phrase("swap it in for the live database; the old tables are kept"),
        )  # fmt: skip
        where.add_argument(
            "--in-place", action="store_true", help=phrase("load it straight into the live database")
        )
        parser.add_argument(
            "--across", metavar=("FROM", "OVER"), nargs=2, type=given,
            help=phrase("names both where a snapshot of one database is to overwrite another: yes, FROM over "
"OVER"),
        )  # fmt: skip
        parser.add_argument(
            "--table", metavar="T", action="append", default=[], type=given,
            help=phrase("only this table; may be repeated"),
        )  # fmt: skip
        parser.add_argument(
            "--known-bad", action="store_true",
            help=phrase("take the snapshot although its newest verification found it bad"),
        )  # fmt: skip
        parser.add_argument("--yes", action="store_true", help=phrase("do not ask before overwriting"))
        parser.add_argument(
            "--without-safety-backup", action="store_true",
            help=phrase("there is nothing left to save: make no backup before overwriting"),
        )  # fmt: skip
        parser.add_argument(
            "--definers", choices=DefinerPolicy.values, default=DefinerPolicy.KEEP,
            help=phrase("whose rights views, triggers and routines run with"),
        )  # fmt: skip
        parser.add_argument("--reason", type=given, help=phrase("why; kept with the restore"))

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        until = options["moment"] or options["before_transaction"]
        mode, target = _where(database, options)
        if target == STANDARD_OUTPUT and self.as_json:
            raise WrongUsage(phrase("--output - and --json both want standard output."))
        if options["across"] and mode not in OVERWRITING_MODES:
            raise WrongUsage(phrase("--across goes with --replace or --in-place only."))
        self.stdout_is_data = target == STANDARD_OUTPUT
        snapshot = _snapshot(database, options, until)
        wanted = RestoreRequest(
            database,
            snapshot,
            mode,
            target,
            tables=tuple(options["table"]),
            definers=DefinerPolicy(options["definers"]),
            without_safety=options["without_safety_backup"],
            known_bad=options["known_bad"],
            reason=options["reason"] or "",
            across=tuple(options["across"]) if options["across"] else None,
            until=until,
        )
        if mode == RestoreMode.FILE and (missing := missing_here(wanted)) is not None:
            self._file_of_the_worker(target, missing)
        newer = _passed_over(snapshot, options, self.say)
        # Before the name is asked for, which would be typed in vain.
        wanted.refuse_unfit()
        if not self.waits.is_wanted:
            wanted.refuse_busy()
        is_strange = options["snapshot"] not in (None, "latest") and not snapshot.made_here
        if is_strange and mode not in OVERWRITING_MODES and not options["yes"]:
            _ask_of_strange(database, snapshot)
        if mode in OVERWRITING_MODES and not options["yes"]:
            _ask(database, snapshot, mode, until)
        run = self.play(wanted)
        where = run.result.get("file", target)
        what = run.restore.what
        if until is not None:
            what = phrase("{what}, with the log up to {until},", what=what, until=until.told)
        self.say(phrase("{restore} was restored to {where}.", restore=what, where=where))
        result = {name: run.result[name] for name in TOLD if name in run.result}
        if until is not None:
            result["last_transaction"] = run.result.get("moment", {}).get("last")
        return {"run_id": run.pk, "snapshot_id": snapshot.snapshot_id, "target": where, **newer, **result}

    def _file_of_the_worker(self, target: str, missing: Problem) -> None:
        """Say whose folder it is that is written to. Raises Problem where it cannot be the worker's."""
        if target == STANDARD_OUTPUT:
            raise Problem(
                phrase(
                    "{missing} The worker has it, but cannot write to the place where this command writes.",
                    missing=missing.what,
                ),
                code="restore.output_elsewhere",
                safe=phrase("Nothing was done."),
                do=phrase(
                    "Run this where the worker runs, with its environment: with Docker Compose by "
                    "`docker compose exec -T db_backup manage restore …`."
                ),
            )
        if not target.startswith("/"):
            raise WrongUsage(
                phrase(
                    "--output {target} is a folder of the worker's machine, since the worker writes the "
                    "file.",
                    target=target,
                ),
                do=phrase("Say its whole path there."),
            )
        self.stderr.write(
            escape_control_characters(phrase("{target} is a folder where the worker runs.", target=target))
        )


def _add_which(parser: ArgumentParser) -> None:
    """What is restored: a snapshot, or a moment of the stored log."""
    which = parser.add_mutually_exclusive_group(required=True)
    add_snapshot(which, help=phrase("latest, an id or its beginning"))
    which.add_argument(
        "--time", type=_moment, help=phrase('the newest backup not after it, as in "2025-10-20 15:00:00"')
    )
    which.add_argument(
        "--moment", type=_until(at_moment),
        help=phrase('as it was at that moment, by the stored log, as in "2025-10-20 14:31:59"'),
    )  # fmt: skip
    which.add_argument(
        "--before-transaction", metavar="ID", type=_until(before_transaction),
        help=phrase("as it was just before a transaction of the stored log: FILE:POSITION or its GTID"),
    )  # fmt: skip


# What is not as it was in the snapshot, where there is such.
TOLD = (
    "left_out",
    "definers_changed",
    "events_disabled",
    "events_to_enable",
    "values_changed",
    "names_in_lower_case",
    "computed_anew",
    "not_kept",
    "load_connections",
    "moment",
    "events_of_log_disabled",
)


def _time(text: str) -> datetime:
    """A time in TIME_ZONE unless it says otherwise. Raises ValueError, as argparse wants."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else timezone.make_aware(time)


def _moment(text: str) -> datetime:
    """`_time` as argparse is to take it. Raises ArgumentTypeError."""
    try:
        return _time(given(text))
    except ValueError:
        raise ArgumentTypeError(
            phrase('{text} is no time; write it as in "2025-10-20 15:00:00"', text=repr(text))
        ) from None


def _until(read: Callable[[str], Until]) -> Callable[[str], Until]:
    """`read` as argparse is to take it. Raises ArgumentTypeError."""

    def until(text: str) -> Until:
        try:
            return read(given(text))
        except Problem as problem:
            raise ArgumentTypeError(problem.sentence()) from None

    return until


def _snapshot(database: Database, options: Mapping[str, Any], until: Until | None) -> Snapshot:
    if until is not None:
        return Snapshot.objects.select_related("repository").get(pk=draft_of(database, until).base.key)
    if options["time"] is not None:
        return snapshot_at(database, options["time"])
    return resolve_snapshot(database, options["snapshot"])


def _passed_over(
    snapshot: Snapshot, options: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, str]:
    """What is newer and was not taken, where the snapshot was not chosen by its id."""
    if options["time"] is not None or options["snapshot"] == "latest":
        return passed_over(snapshot, say, until=options["time"])
    return {}


def _where(database: Database, options: Mapping[str, Any]) -> tuple[RestoreMode, str]:
    """Each mode by its own word, and no mode for want of another. Raises WrongUsage."""
    if options["output"] is not None:
        # A folder, also where it is called as what is kept for the portal is.
        folder = options["output"]
        return RestoreMode.FILE, f"./{folder}" if folder == TO_DOWNLOAD else folder
    if options["into"] is not None:
        return RestoreMode.NEW, options["into"]
    if options["replace"]:
        return RestoreMode.REPLACE, database.database
    if options["in_place"]:
        return RestoreMode.IN_PLACE, database.database
    raise WrongUsage(
        phrase("No target was given for the restore: say --output, --into, --replace or --in-place.")
    )


def _ask_of_strange(database: Database, snapshot: Snapshot) -> None:
    """Have the name typed of a database whose snapshot somebody else made. Raises WrongUsage."""
    what = phrase("This installation did not make snapshot {snapshot}", snapshot=snapshot.short_id)
    if not sys.stdin.isatty():
        raise WrongUsage(phrase("{what}.", what=what), do=phrase("If you know who made it, say --yes."))
    name = escape_control_characters(database.database)
    print(phrase("{what}, and the server runs everything that a dump holds.", what=what), file=sys.stderr)
    if input(phrase("Type {name} to go on: ", name=name)) != database.database:
        raise WrongUsage(phrase("Not confirmed. Nothing was touched."))


def _ask(database: Database, snapshot: Snapshot, mode: RestoreMode, until: Until | None) -> None:
    """Have the database's name typed out. Raises WrongUsage where nobody can, or will not."""
    if not sys.stdin.isatty():
        raise WrongUsage(phrase("This overwrites {database}: say --yes.", database=database.database))
    name = escape_control_characters(database.database)
    host = escape_control_characters(database.server.host)
    print(
        phrase(
            "{mode} {name} at {host} with snapshot {snapshot} of {local_time}{more}.",
            mode=RestoreMode(mode).label,
            name=name,
            host=host,
            snapshot=snapshot.short_id,
            local_time=f"{snapshot.local_time:%Y-%m-%d %H:%M:%S}",
            more=_more(snapshot, until),
        ),
        file=sys.stderr,
    )
    if input(phrase("Type {name} to go on: ", name=name)) != database.database:
        raise WrongUsage(phrase("Not confirmed. Nothing was touched."))


def _more(snapshot: Snapshot, until: Until | None) -> str:
    if until is not None:
        return phrase(" and the log that was stored since, up to {until}", until=until.told)
    return "" if snapshot.made_here else phrase(", which this installation did not make")
