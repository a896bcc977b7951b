"""The list of a stored log's larger transactions on a terminal: what `restore --before-transaction` takes."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from itertools import islice
from typing import Any

from django.utils import timezone

from backups.management.base import given
from backups.models import Database, LogTransaction
from backups.moments import listed
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


def found(database: Database, options: Mapping[str, Any]) -> list[LogTransaction]:
    """Those that fit, the newest first."""
    wanted = listed.Wanted(
        options["table"] or "", options["kind"] or "", max(options["rows"] or 0, 0), options["gtid"] or "",
        options["connection"],
    )  # fmt: skip
    return list(islice(listed.found(database, wanted), max(options["limit"], 0)))


def line(row: LogTransaction) -> str:
    """When, where it begins, and of which tables how many rows."""
    tables = [
        phrase("{table} {rows}", table=escape_control_characters(name), rows=listed.rows_told(kinds))
        for name, kinds in listed.counts(row).items()
    ]
    what = phrase("definition") if row.is_definition else joined(tables, "; ")
    at = f"{timezone.localtime(row.moment):%Y-%m-%d %H:%M:%S}"
    return joined([at, f"{row.piece.file}:{row.position}", *([row.gtid] if row.gtid else []), what], "  ")


def as_json(row: LogTransaction) -> dict[str, Any]:
    """The same for programs."""
    return {
        "id": f"{row.piece.file}:{row.position}",
        "moment": row.moment.isoformat(timespec="microseconds"),
        "gtid": row.gtid or None,
        "connection": row.connection,
        "rows": row.rows,
        "tables": listed.counts(row),
        "is_definition": row.is_definition,
    }
