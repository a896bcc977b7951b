"""The list of a database's larger transactions and changes of definitions, to go back to just before one.

Rows tell of them when, how many and which tables. What was written, and the text of statements, is in none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin
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
from backups.moments import listed
from backups.text.checked import row_number
from backups.text.sentences import joined, phrase
from backups.text.terminal import escape_control_characters

_PER_PAGE = 50
_MOST_TABLES = 8


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
        counted = sorted(listed.counts(self.row).items(), key=lambda each: -sum(each[1].values()))
        return [
            (escape_control_characters(name), listed.rows_told(kinds))
            for name, kinds in counted[:_MOST_TABLES]
        ]

    @property
    def more(self) -> int:
        """How many further tables it changed."""
        return max(0, len(listed.counts(self.row)) - _MOST_TABLES)


@MAY_RESTORE
def list_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The transactions of what is kept of a database's log, newest first."""
    database = get_object_or_404(Database, pk=pk)
    form = SearchForm(request.GET)
    found: list[LogTransaction] = []
    if form.is_valid():
        older = row_number(request.GET.get("older", ""))
        rows = listed.found(database, _wanted(form.cleaned_data), older_than=older)
        found = list(islice(rows, _PER_PAGE + 1))
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


def _wanted(cleaned: Mapping[str, Any]) -> listed.Wanted:
    return listed.Wanted(
        cleaned["table"], cleaned["kind"], cleaned["rows"] or 0, cleaned["gtid"], cleaned["connection"]
    )


def _restore_url(database: Database, row: LogTransaction) -> str:
    place = f"{row.piece.file}:{row.position}"
    return f"{reverse('database-restore', args=[database.pk])}?{urlencode({'before': place})}"
