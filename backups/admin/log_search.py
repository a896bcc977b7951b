"""The page on which the stored log itself is searched, which has all transactions, also the small ones.

The worker reads the log for it. What is searched for goes by POST, so that no log of addresses has a key's
value, and the portal keeps neither that nor what was found. Each look at the text of statements is noted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.admin import asked
from backups.admin.base import page_url
from backups.admin.moments_tab import tab_url, transactions_url
from backups.admin.restoring import MAY_RESTORE, note
from backups.admin.row_choosing import note_look
from backups.admin.transactions import SearchForm, tables_told, wanted_of, ways_back
from backups.downloads.asking import ask_for_log
from backups.errors import Problem
from backups.models import Database, LogArchive
from backups.moments.searching import LONGEST_KEY, Found, FoundTransaction, Search, left_off
from backups.moments.until import at_moment, local, rounded_down
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters

_AT_FIRST = timedelta(hours=1)
_AFTER = re.compile(r"([0-9]{1,18}):([0-9]{1,18})")


class LogSearchForm(SearchForm):
    """What is looked for, and in which time."""

    begins = forms.CharField(label=_("From"), max_length=50)
    ends = forms.CharField(label=_("To"), max_length=50)
    key = forms.CharField(required=False, max_length=LONGEST_KEY, strip=False)
    with_text = forms.BooleanField(required=False)

    def clean_begins(self) -> datetime:
        """The first moment that is looked at."""
        return self._moment("begins")

    def clean_ends(self) -> datetime:
        """The last one."""
        return self._moment("ends")

    def _moment(self, name: str) -> datetime:
        try:
            moment = at_moment(self.cleaned_data[name]).moment
        except Problem as problem:
            raise forms.ValidationError(problem.sentence()) from problem
        assert moment is not None  # noqa: S101  as it was no transaction
        return moment

    @property
    def search(self) -> Search:
        """What is asked of the worker."""
        cleaned = self.cleaned_data
        found = _AFTER.fullmatch(self.data.get("after", ""))
        return Search(
            cleaned["begins"],
            cleaned["ends"],
            wanted_of(cleaned),
            key=cleaned["key"],
            with_text=cleaned["with_text"],
            after=(int(found[1]), int(found[2])) if found else None,
        )


@dataclass(frozen=True)
class Shown:
    """A transaction as the page has it."""

    found: FoundTransaction
    restore_url: str

    @property
    def tables(self) -> list[tuple[str, str]]:
        """Each table with its rows by kind."""
        return tables_told(self.found.tables)[0]

    @property
    def more(self) -> int:
        """How many further tables it changed."""
        return tables_told(self.found.tables)[1] + self.found.tables_beyond

    @property
    def statements(self) -> Sequence[str]:
        """What it said; what would steer whoever reads it is written out."""
        return [escape_control_characters(each) for each in self.found.statements]


@MAY_RESTORE
def search_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Search the log of a database for a time."""
    database = get_object_or_404(Database, pk=pk)
    is_sent = request.method == "POST"
    form = LogSearchForm(request.POST if is_sent else None, initial=_at_first(database))
    answered: dict[str, Any] = {}
    if is_sent and form.is_valid():
        answered = _answered(request, database, form.search)
    context = {
        **admin.site.each_context(request),
        "title": phrase("Search the log of {database}", database=database),
        "database": database,
        "form": form,
        "problems": [f"{each}" for errors in form.errors.values() for each in errors],
        **answered,
        "crumbs": [
            (database, page_url(database)),
            (phrase("Moments"), tab_url(database)),
            (phrase("Transactions"), transactions_url(database)),
            (phrase("Search the log"), ""),
        ],
    }
    response = TemplateResponse(request, "backups/log_search.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _at_first(database: Database) -> dict[str, str]:
    """The last hour that is stored."""
    stored = LogArchive.objects.filter(database=database).values_list("stored_until", flat=True).first()
    ends = rounded_down(stored or timezone.now())
    return {"begins": local(ends - _AT_FIRST), "ends": local(ends)}


def _answered(request: HttpRequest, database: Database, search: Search) -> dict[str, Any]:
    """What the worker found, or why it found nothing."""
    try:
        search.refuse_unfit()
        # Before it is shown, so that nobody sees what is not noted.
        _note(request, database, search)
        found = _asked(request, database, search)
    except Problem as problem:
        return {"problem": problem.sentence()}
    leads_back = ways_back(database)
    return {
        "found": found,
        "shown": [Shown(each, leads_back(each.place, each.moment)) for each in found.transactions],
        "left_off": left_off(database, search, found),
        "after": "{}:{}".format(*found.go_on) if found.go_on else "",
        "with_text": search.with_text,
    }


def _note(request: HttpRequest, database: Database, search: Search) -> None:
    if search.with_text:
        begins, ends = local(search.begins), local(search.ends)
        note(request, database, f"Looked at the text of statements in its log from {begins} to {ends}.")
    else:
        note_look(request, database, "transactions in its log")


def _asked(request: HttpRequest, database: Database, search: Search) -> Found:
    """Raises Problem."""
    # Whoever may have a backup of a database may see what its log holds.
    newest = database.snapshots.present().newest_first().defer("manifest").first()
    if newest is None:
        raise Problem(
            phrase("No backup of {database} is there, so its log is of no use.", database=database),
            code="moment.no_base",
            do=phrase("Back the database up."),
        )
    try:
        told = json.loads(ask_for_log(asked.person_of(request), newest, database.pk, search.asked()))
        return Found.of(told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Problem(
            phrase("The worker's answer about the log cannot be read."),
            code="moment.strange_answer",
            do=phrase("See that portal and worker are of the same version."),
        ) from error
