"""The list of a database's larger transactions and changes of definitions, to go back to just before one.

Rows tell of them when, how many and which tables. What was written, and the text of statements, is in none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from backups.admin.base import page_url
from backups.admin.moments_tab import tab_url
from backups.admin.restoring import MAY_RESTORE
from backups.admin.row_choosing import note_look
from backups.models import Database, LogTransaction
from backups.text.checked import row_number
from backups.text.sentences import joined, phrase, plural
from backups.text.terminal import escape_control_characters

_PER_PAGE = 50
# So many rows are looked through for a page: what is searched for by a part of a name no index finds.
_MOST_LOOKED_AT = 20_000
_MOST_TABLES = 8
_KINDS = ("insert", "update", "delete", "definition")
_KIND_WORDS = {
    "insert": lambda n: plural("{n} inserted", "{n} inserted", n=n),
    "update": lambda n: plural("{n} updated", "{n} updated", n=n),
    "delete": lambda n: plural("{n} deleted", "{n} deleted", n=n),
}


class SearchForm(forms.Form):
    """What is looked for; of what cannot be meant nothing is found out."""

    table = forms.CharField(required=False, max_length=64)
    kind = forms.ChoiceField(
        required=False,
        choices=[
            ("", phrase("Any")), ("insert", phrase("Inserts")), ("update", phrase("Updates")),
            ("delete", phrase("Deletes")), ("definition", phrase("Definitions")),
        ],
    )  # fmt: skip
    rows = forms.IntegerField(required=False, min_value=0, max_value=2**62)
    gtid = forms.CharField(required=False, max_length=200)
    connection = forms.IntegerField(required=False, min_value=0, max_value=2**62)


@dataclass(frozen=True)
class Shown:
    """A transaction as the list has it."""

    row: LogTransaction
    restore_url: str

    @property
    def place(self) -> str:
        """Where it begins."""
        return f"{self.row.piece.file}:{self.row.position}"

    @property
    def tables(self) -> list[tuple[str, str]]:
        """Each table with its rows by kind, those with the most rows first."""
        counted = sorted(_counts(self.row).items(), key=lambda each: -sum(each[1].values()))
        return [
            (escape_control_characters(name), _rows_words(kinds)) for name, kinds in counted[:_MOST_TABLES]
        ]

    @property
    def more(self) -> int:
        """How many further tables it changed."""
        return max(0, len(_counts(self.row)) - _MOST_TABLES)


def _rows_words(kinds: Mapping[str, int]) -> str:
    return joined((_KIND_WORDS[kind](kinds[kind]) for kind in _KIND_WORDS if kinds.get(kind)), ", ")


def _counts(row: LogTransaction) -> dict[str, dict[str, int]]:
    """What its column says, as far as it is what we write there."""
    told = row.tables if isinstance(row.tables, dict) else {}
    return {
        str(name): {kind: n for kind, n in kinds.items() if isinstance(n, int)}
        for name, kinds in told.items()
        if isinstance(kinds, dict)
    }


@MAY_RESTORE
def list_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The transactions of what is kept of a database's log, newest first."""
    database = get_object_or_404(Database, pk=pk)
    form = SearchForm(request.GET)
    found: list[LogTransaction] = []
    if form.is_valid():
        rows = _narrowed(_behind(_kept(database), request.GET.get("older", "")), form.cleaned_data)
        found = list(islice(_fitting(rows, form.cleaned_data), _PER_PAGE + 1))
        note_look(request, database, "the list of transactions")
    shown = found[:_PER_PAGE]
    wanted = {name: value for name, value in form.cleaned_data.items() if value not in (None, "")}
    context = {
        **admin.site.each_context(request),
        "title": phrase("Transactions of {database}", database=database),
        "database": database,
        "form": form,
        "problem": joined(f"{each}" for errors in form.errors.values() for each in errors),
        "shown": [Shown(row, _restore_url(database, row)) for row in shown],
        "is_searched": bool(wanted),
        "newest": f"?{urlencode(wanted)}" if request.GET.get("older") else "",
        "older": f"?{urlencode({**wanted, 'older': shown[-1].pk})}" if len(found) > _PER_PAGE else "",
        "crumbs": [
            (database, page_url(database)),
            (phrase("Moments"), tab_url(database)),
            (phrase("Transactions"), ""),
        ],
    }
    response = TemplateResponse(request, "backups/transactions.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _restore_url(database: Database, row: LogTransaction) -> str:
    place = f"{row.piece.file}:{row.position}"
    return f"{reverse('database-restore', args=[database.pk])}?{urlencode({'before': place})}"


def _kept(database: Database) -> QuerySet[LogTransaction]:
    kept = LogTransaction.objects.filter(piece__database=database, piece__forgotten_at=None)
    return kept.select_related("piece").order_by("-moment", "-pk")


def _behind(rows: QuerySet[LogTransaction], older: str) -> QuerySet[LogTransaction]:
    """Those that come after one in the list, by its key; of one that is not there all."""
    number = row_number(older)
    last = rows.filter(pk=number).first() if number else None
    if last is None:
        return rows
    return rows.filter(Q(moment__lt=last.moment) | Q(moment=last.moment, pk__lt=last.pk))


def _narrowed(rows: QuerySet[LogTransaction], wanted: Mapping[str, Any]) -> QuerySet[LogTransaction]:
    """What the portal's database can tell apart; `_fitting` looks once more at tables and kinds."""
    if wanted["rows"]:
        rows = rows.filter(rows__gte=wanted["rows"])
    if wanted["gtid"]:
        rows = rows.filter(gtid__icontains=wanted["gtid"].strip())
    if wanted["connection"] is not None:
        rows = rows.filter(connection=wanted["connection"])
    if wanted["kind"] == "definition":
        rows = rows.filter(is_definition=True)
    told = rows.annotate(told=Cast("tables", TextField()))
    if name := wanted["table"]:
        # As JSON has it, which not every database keeps as it was written.
        spelled = {json.dumps(name, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
        either = Q()
        for each in spelled:
            either |= Q(told__icontains=each)
        return told.filter(either)
    if wanted["kind"] in _KIND_WORDS:
        return told.filter(told__contains=f'"{wanted["kind"]}"')
    return rows


def _fitting(rows: QuerySet[LogTransaction], wanted: Mapping[str, Any]) -> Iterator[LogTransaction]:
    name, kind = wanted["table"].casefold(), wanted["kind"]
    for row in rows[:_MOST_LOOKED_AT].iterator():
        tables = [kinds for table, kinds in _counts(row).items() if name in table.casefold()]
        if (name and not tables) or (kind in _KIND_WORDS and not any(each.get(kind) for each in tables)):
            continue
        yield row
