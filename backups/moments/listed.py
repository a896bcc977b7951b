"""The larger transactions and changes of definitions of a kept log, searched, newest first.

Rows tell of them when, how many and which tables. What was written, and the text of statements, is in none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from backups.models import Database, LogTransaction
from backups.text.sentences import joined, plural

# So many rows are looked through at a time: what is searched for by a part of a name no index finds.
_MOST_LOOKED_AT = 20_000
# How rows change, and what stands for a definition.
_KIND_WORDS = {
    "insert": lambda n: plural("{n} inserted", "{n} inserted", n=n),
    "update": lambda n: plural("{n} updated", "{n} updated", n=n),
    "delete": lambda n: plural("{n} deleted", "{n} deleted", n=n),
}
KINDS = tuple(_KIND_WORDS)
DEFINITION = "definition"


@dataclass(frozen=True)
class Wanted:
    """What is looked for; what is empty, zero or None does not count. `table` and `gtid` may be parts."""

    table: str = ""
    kind: str = ""
    rows: int = 0
    gtid: str = ""
    connection: int | None = None


def found(database: Database, wanted: Wanted, *, older_than: int | None = None) -> Iterator[LogTransaction]:
    """Those that fit, the newest first; where a row's key is told, those that follow it in the list."""
    return _fitting(_narrowed(_behind(_kept(database), older_than), wanted), wanted)


def counts(row: LogTransaction) -> dict[str, dict[str, int]]:
    """How many rows of which table changed, by kind: what its column says, as far as it is what we write."""
    return counted(row.tables)


def counted(told: object) -> dict[str, dict[str, int]]:
    """Such counts, of what was stored or told as JSON."""
    return {
        str(name): {str(kind): n for kind, n in kinds.items() if isinstance(n, int)}
        for name, kinds in (told.items() if isinstance(told, dict) else ())
        if isinstance(kinds, dict)
    }


def rows_told(kinds: Mapping[str, int]) -> str:
    """The same of one table, for people."""
    return joined((_KIND_WORDS[kind](kinds[kind]) for kind in KINDS if kinds.get(kind)), ", ")


def _kept(database: Database) -> QuerySet[LogTransaction]:
    kept = LogTransaction.objects.filter(piece__database=database, piece__forgotten_at=None)
    return kept.select_related("piece").order_by("-moment", "-pk")


def _behind(rows: QuerySet[LogTransaction], key: int | None) -> QuerySet[LogTransaction]:
    """Those that come after one in the list; of one that is not there all."""
    last = rows.filter(pk=key).first() if key else None
    if last is None:
        return rows
    return rows.filter(Q(moment__lt=last.moment) | Q(moment=last.moment, pk__lt=last.pk))


def _narrowed(rows: QuerySet[LogTransaction], wanted: Wanted) -> QuerySet[LogTransaction]:
    """What the portal's database can tell apart; `_fitting` looks once more at tables and kinds."""
    if wanted.rows:
        rows = rows.filter(rows__gte=wanted.rows)
    if wanted.gtid:
        rows = rows.filter(gtid__icontains=wanted.gtid.strip())
    if wanted.connection is not None:
        rows = rows.filter(connection=wanted.connection)
    if wanted.kind == DEFINITION:
        rows = rows.filter(is_definition=True)
    told = rows.annotate(told=Cast("tables", TextField()))
    if wanted.table:
        # As JSON has it, which not every database keeps as it was written.
        spelled = {json.dumps(wanted.table, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
        either = Q()
        for each in spelled:
            either |= Q(told__icontains=each)
        return told.filter(either)
    if wanted.kind in KINDS:
        return told.filter(told__contains=f'"{wanted.kind}"')
    return rows


def _fitting(rows: QuerySet[LogTransaction], wanted: Wanted) -> Iterator[LogTransaction]:
    for row in rows[:_MOST_LOOKED_AT].iterator():
        if fits_tables(counts(row), wanted):
            yield row


def fits_tables(counted: Mapping[str, Mapping[str, int]], wanted: Wanted) -> bool:
    """Whether what changed, by table and kind, is of a wanted table and kind of change."""
    name, kind = wanted.table.casefold(), wanted.kind
    tables = [kinds for table, kinds in counted.items() if name in table.casefold()]
    return (not name or bool(tables)) and (kind not in KINDS or any(each.get(kind) for each in tables))
