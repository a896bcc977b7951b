"""What one transaction changed: its tables dumped, it alone replayed, and they dumped again.

What went along by foreign keys is seen like what it changed itself: the server that replays it does that once
more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from backups import mysql
from backups.actions.steps import rows_copy
from backups.actions.steps.findings import Scratch
from backups.actions.steps.log_advanced import Advance
from backups.actions.steps.rows_moment import Live, Nobody, moment
from backups.actions.steps.transactions_found import FoundTransaction
from backups.differences import keeping
from backups.differences.comparison import comparison
from backups.differences.result import Differences
from backups.differences.shapes import Layout
from backups.dumpfile.sections import Kind
from backups.moments import refusals
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural


class Room(NamedTuple):
    """Where the rows of a transaction are kept, and how many of all tables, and bytes of them, at most."""

    path: Path
    rows: int
    bytes: int


def changed_by(
    transaction: FoundTransaction, advance: Advance, scratch: Scratch, room: Room, progress: Progress
) -> tuple[Differences, str]:
    """Keep the rows that a transaction changes on the copy; answers what differs, and the file's SHA-256.

    Raises Problem, Cancelled.
    """
    advance.to(transaction.seen.begins)
    tables = _touched(transaction, scratch)
    progress.log(
        plural(
            "{n} table may be touched by transaction {transaction}: {tables}.",
            "{n} tables may be touched by transaction {transaction}: {tables}.",
            n=len(tables),
            transaction=transaction.name,
            tables=mysql.named(tables),
        )
    )
    progress.phase("copy")
    live = Live(scratch.server, scratch.info, scratch.database, tables)
    with moment(live, Nobody(), progress) as before:
        advance.to(transaction.seen.ends)
        progress.phase("compare", expected=int(before.manifest.get("bytes", 0)))
        with comparison(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000) as both:
            both.is_asked, both.most_picked, both.most_of_all = True, settings.ROWS_BACK_LIMIT, room.rows
            found = rows_copy.dumped_again(before, both, scratch, progress)
            rows_copy.refuse_uncompared(found)
            # No definition is changed by one that changes rows: what counts on is no news.
            found.objects = []
            _tell_rounded(transaction, both.after.layouts, progress)
            differing = {each.table: each.rows for each in found.tables}
            with keeping.stored(room.path, both.picked, room.bytes) as store:
                rows_copy.keep_both(before, both, store, progress)
                digest = store.finish(
                    {
                        table: keeping.Aside(
                            differing[table], both.after.layouts[table], (before.definitions[table],) * 2
                        )
                        for table in both.picked
                    }
                )
    return found, digest


def _touched(transaction: FoundTransaction, scratch: Scratch) -> list[str]:
    """Its tables, and those that foreign keys lead to from there; no sequences, which are not undone.

    Raises Problem for a table that it makes, and where it took numbers of sequences alone.
    """
    with mysql.connect(scratch.server) as connection:
        inventory = mysql.inventory(connection, scratch.database)
        keys = mysql.foreign_keys(connection, scratch.database)
    # MariaDB logs that a sequence gave a number as a row of it.
    there, sequences = (set(inventory.get(kind, [])) for kind in (Kind.TABLE, Kind.SEQUENCE))
    if transaction.tables is None:
        return sorted(there)
    if transaction.tables - there - sequences:
        raise refusals.no_rows(transaction.name)
    if not transaction.tables - sequences:
        raise refusals.only_numbers(transaction.name)
    inner = [key for key in keys if key.schema == scratch.database]
    return sorted(_with_children(transaction.tables, inner) & there)


def _tell_rounded(transaction: FoundTransaction, layouts: Mapping[str, Layout], progress: Progress) -> None:
    """Say of the tables of a transaction which digits no dump has: it may have changed these alone."""
    for table, layout in sorted(layouts.items()):
        if layout.rounded and (transaction.tables is None or table in transaction.tables):
            progress.warn(
                phrase(
                    "Of FLOAT values of {table} ({columns}) a dump has six digits. A row that this "
                    "transaction changed behind these alone is not seen, and not undone.",
                    table=table,
                    columns=", ".join(layout.rounded),
                )
            )


def _with_children(tables: Iterable[str], keys: Collection[mysql.ForeignKey]) -> set[str]:
    """The tables, and all that refer to them, and to those."""
    found = set(tables)
    while more := {key.table for key in keys if key.referenced in found} - found:
        found |= more
    return found


def told(found: Differences) -> str:
    """How many rows of how many tables a transaction changed, in a sentence for the log."""
    rows = sum(each.rows for each in found.tables)
    return phrase(
        "It changed {rows} of {tables}.",
        rows=plural("{n} row", "{n} rows", n=rows),
        tables=plural("{n} table", "{n} tables", n=len(found.tables)),
    )
