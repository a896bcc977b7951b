"""The list of a stored log's transactions on a terminal: what `restore --before-transaction` takes.

Those that are listed in rows, or with a time all that are in the log itself. The text of statements is shown
in the portal alone, where who looked at it is noted.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils import timezone

from backups.errors import Problem
from backups.management.base import WrongUsage, given
from backups.models import Database, LogTransaction
from backups.moments import listed
from backups.moments.searching import FoundTransaction, Search
from backups.moments.until import at_moment
from backups.text.sentences import joined, phrase
from backups.text.terminal import escape_control_characters

_AT_MOST = 50


def add_arguments(parser: ArgumentParser) -> None:
    """What is looked for."""
    parser.add_argument(
        "--table", metavar="NAME", type=given, help=phrase("of tables with this in their name")
    )
    parser.add_argument(
        "--kind", choices=[*listed.KINDS, listed.DEFINITION], help=phrase("with changes of this kind")
    )
    parser.add_argument("--rows", type=int, metavar="N", help=phrase("that changed so many rows at least"))
    parser.add_argument("--gtid", type=given, help=phrase("with this in their GTID"))
    parser.add_argument("--connection", type=int, metavar="N", help=phrase("of this connection's number"))
    parser.add_argument("--limit", type=int, default=_AT_MOST, metavar="N", help=phrase("the newest so many"))
    parser.add_argument(
        "--from", dest="begins", type=_moment, metavar="TIME",
        help=phrase("read the stored log itself from then on: smaller ones too, the oldest first"),
    )  # fmt: skip
    parser.add_argument("--to", dest="ends", type=_moment, metavar="TIME", help=phrase("read it up to then"))
    parser.add_argument(
        "--key", type=given, help=phrase("that changed a row with this key; with --from and --to")
    )


def _moment(text: str) -> datetime:
    """A moment as argparse is to take it. Raises ArgumentTypeError."""
    try:
        moment = at_moment(given(text)).moment
    except Problem as problem:
        raise ArgumentTypeError(problem.sentence()) from None
    assert moment is not None  # noqa: S101  as it was no transaction
    return moment


def search(options: Mapping[str, Any]) -> Search | None:
    """What the log itself is searched for; None where only rows are looked at. Raises WrongUsage."""
    begins, ends = options["begins"], options["ends"]
    if begins is None and ends is None and options["key"] is None:
        return None
    if begins is None or ends is None:
        raise WrongUsage(phrase("To search the log itself, say --from and --to."))
    if options["limit"] != _AT_MOST:
        raise WrongUsage(phrase("--limit is for the list alone: --from and --to say how much is read."))
    return Search(begins, ends, _wanted(options), key=options["key"] or "")


def found(database: Database, options: Mapping[str, Any]) -> list[LogTransaction]:
    """Those that fit, the newest first."""
    return list(islice(listed.found(database, _wanted(options)), max(options["limit"], 0)))


def _wanted(options: Mapping[str, Any]) -> listed.Wanted:
    return listed.Wanted(
        options["table"] or "", options["kind"] or "", max(options["rows"] or 0, 0), options["gtid"] or "",
        options["connection"],
    )  # fmt: skip


def line(row: LogTransaction | FoundTransaction) -> str:
    """When, where it begins, and of which tables how many rows."""
    tables = [
        phrase("{table} {rows}", table=escape_control_characters(name), rows=listed.rows_told(kinds))
        for name, kinds in listed.counted(row.tables).items()
    ]
    what = phrase("definition") if row.is_definition else joined(tables, "; ")
    at = f"{timezone.localtime(row.moment):%Y-%m-%d %H:%M:%S}"
    return joined([at, _place(row), *([row.gtid] if row.gtid else []), what], "  ")


def as_json(row: LogTransaction | FoundTransaction) -> dict[str, Any]:
    """The same for programs."""
    return {
        "id": _place(row),
        "moment": row.moment.isoformat(timespec="microseconds"),
        "gtid": row.gtid or None,
        "connection": row.connection,
        "rows": row.rows,
        "tables": listed.counted(row.tables),
        "is_definition": row.is_definition,
    }


def _place(row: LogTransaction | FoundTransaction) -> str:
    return row.place if isinstance(row, FoundTransaction) else f"{row.piece.file}:{row.position}"
