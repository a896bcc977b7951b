"""The list of a database's larger transactions and changes of definitions: go back to before one, or undo it.

Rows tell of them when, how many and which tables. What was written, and the text of statements, is in none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from backups.admin import asked
from backups.admin.base import page_url, run_url
from backups.admin.moments_tab import tab_url
from backups.admin.restoring import MAY_RESTORE, note
from backups.admin.row_choosing import note_look
from backups.choices import Trigger
from backups.errors import Problem
from backups.models import Database, LogTransaction
from backups.moments import listed
from backups.moments.rows import log_of
from backups.moments.windows import may_be_had, windows
from backups.requests import Asker, UndoTransactionsRequest
from backups.requests.undo_transactions import MOST_TRANSACTIONS
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
    # Empty where no moment before it can be had.
    restore_url: str

    @property
    def place(self) -> str:
        """Where it begins."""
        return f"{self.row.piece.file}:{self.row.position}"

    @property
    def tables(self) -> list[tuple[str, str]]:
        """Each table with its rows by kind."""
        return tables_told(listed.counts(self.row))[0]

    @property
    def more(self) -> int:
        """How many further tables it changed."""
        return tables_told(listed.counts(self.row))[1]


def tables_told(counts: Mapping[str, Mapping[str, int]]) -> tuple[list[tuple[str, str]], int]:
    """Tables with their rows by kind, those with the most rows first, and how many more there are."""
    counted = sorted(counts.items(), key=lambda each: -sum(each[1].values()))
    told = [
        (escape_control_characters(name), listed.rows_told(kinds)) for name, kinds in counted[:_MOST_TABLES]
    ]
    return told, len(counted) - len(told)


@MAY_RESTORE
def list_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The transactions of what is kept of a database's log, newest first."""
    database = get_object_or_404(Database, pk=pk)
    form = SearchForm(request.GET)
    found: list[LogTransaction] = []
    if form.is_valid():
        older = row_number(request.GET.get("older", ""))
        rows = listed.found(database, wanted_of(form.cleaned_data), older_than=older)
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
        "shown": _shown(database, shown),
        "is_searched": bool(wanted),
        "most_transactions": MOST_TRANSACTIONS,
        "most_rows": settings.ROWS_BACK_LIMIT,
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


def _shown(database: Database, rows: Sequence[LogTransaction]) -> list[Shown]:
    leads_back = ways_back(database)
    return [Shown(row, leads_back(f"{row.piece.file}:{row.position}", row.moment)) for row in rows]


def ways_back(database: Database) -> Callable[[str, datetime], str]:
    """Tells where the restore to just before a transaction is begun, by its place and moment.

    That is empty where no moment before it can be had: then none of it can be undone either.
    """
    led_to = windows(log_of(database, with_marks=False))

    def way_back(place: str, moment: datetime) -> str:
        return restore_url_before(database, place) if may_be_had(led_to, moment) else ""

    return way_back


@MAY_RESTORE
@require_POST
def undo_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it found out which rows the chosen transactions changed; the run's page leads on to these rows."""
    database = get_object_or_404(Database, pk=pk)
    # The button of one stands for itself, whatever is ticked.
    chosen = [request.POST["only"]] if "only" in request.POST else request.POST.getlist("transaction")
    try:
        wanted = UndoTransactionsRequest.of(database, chosen)
        started = wanted.submit(Asker(Trigger.ADMIN, asked.person_of(request)))
    except Problem as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(reverse("database-transactions", args=[pk]))
    named = ", ".join(wanted.transactions)
    note(request, database, f"Asked what transactions {named} changed, to undo them: {started}")
    return HttpResponseRedirect(run_url(started))


def wanted_of(cleaned: Mapping[str, Any]) -> listed.Wanted:
    """What a form asks for."""
    return listed.Wanted(
        cleaned["table"], cleaned["kind"], cleaned["rows"] or 0, cleaned["gtid"], cleaned["connection"]
    )


def restore_url_before(database: Database, place: str) -> str:
    """Where the restore to just before a transaction is begun, by where that begins."""
    return f"{reverse('database-restore', args=[database.pk])}?{urlencode({'before': place})}"
