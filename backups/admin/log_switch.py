"""The page on which the archive of a database's log is switched on or off: looked at first, said why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from backups.admin import asked
from backups.admin.base import page_url
from backups.admin.moments_tab import tab_url
from backups.admin.restoring import note
from backups.errors import Problem
from backups.keeping import log_archives, pins
from backups.models import Database, LogArchive, Question
from backups.requests import questions
from backups.requests.log_questions import LogCheckQuestion, LogSwitchQuestion
from backups.text.sentences import phrase

_MAY_SWITCH = permission_required("backups.change_database", raise_exception=True)
# So long the button waits for the worker, which looks at the server once more.
_SWITCH_SECONDS = 8.0


class ReasonForm(forms.Form):
    """Why it is switched."""

    reason = forms.CharField(
        label=_("Why?"),
        min_length=pins.REASON_LEAST,
        max_length=pins.REASON_MOST,
        help_text=_("It stays in the record, with your name."),
        widget=UnfoldAdminTextInputWidget,
    )


@_MAY_SWITCH
def switch_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the worker look whether the log can be stored, and switch that on; or switch it off."""
    rows = Database.objects.select_related("server", "repository")
    database = get_object_or_404(rows, pk=pk)
    archive = LogArchive.objects.filter(database=database).first()
    pressed = request.POST.get("do", "")
    form = ReasonForm(request.POST if pressed in {"on", "off"} else None)
    if pressed == "check":
        row = questions.ask(LogCheckQuestion(database), asked.person_of(request))
        return _lead_to(database, row)
    if form.is_bound and form.is_valid():
        switch = _switch_on if pressed == "on" else _switch_off
        return switch(request, database, form.cleaned_data["reason"])
    before = questions.asked_by(asked.person_of(request), request.GET.get("asked", ""))
    context = {
        **admin.site.each_context(request),
        "title": phrase("Log of {database}", database=database),
        "database": database,
        "is_on": archive is not None and archive.is_on,
        "form": form,
        "tab": tab_url(database),
        **(_state(before, database) if before else {}),
        "crumbs": [
            (database, page_url(database)),
            (phrase("Moments"), tab_url(database)),
            (phrase("Storing the log"), ""),
        ],
    }
    return TemplateResponse(request, "backups/log_switch.html", context)


def state_view(request: HttpRequest, pk: int) -> HttpResponse:
    """What the worker has answered so far, for who asked it: a part of that page."""
    row = questions.asked_by(asked.person_of(request), pk)
    database = _database_of(row)
    if row is None or database is None:
        raise Http404
    context = {"database": database, "form": ReasonForm(), "tab": tab_url(database), **_state(row, database)}
    return render(request, "backups/log_switch_state.html", context)


def _database_of(row: Question | None) -> Database | None:
    """Which one a question of these two kinds is about."""
    if row is None:
        return None
    try:
        question = questions.read(row)
    except Problem:
        return None
    return question.database if isinstance(question, LogCheckQuestion | LogSwitchQuestion) else None


def _state(row: Question, database: Database) -> dict[str, Any]:
    if _database_of(row) != database:
        return {}
    is_switch = row.kind == LogSwitchQuestion.kind
    url = reverse("question-log", args=[row.pk])
    try:
        told = questions.answer_to(row)
        if told is None:
            return {
                "asked": True, "url": url, "is_switch": is_switch,
                "problem": asked.silence(row), "waits": not questions.is_in_vain(row),
            }  # fmt: skip
        found = _switched(told) if is_switch else _checked(told)
    except Problem as problem:
        return {"asked": True, "problem": problem.sentence()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {"asked": True, "problem": questions.unknown_answer().sentence()}
    return {"asked": True, **found}


def _checked(told: Mapping[str, Any]) -> dict[str, Any]:
    refused = [str(each) for each in told["refused"]]
    return {
        "refused": refused,
        "warnings": [str(each) for each in told["warnings"]],
        "statements": "\n".join(str(each) for each in told["statements"]),
        "is_fit": not refused,
    }


def _switched(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"is_done": True, "warnings": [str(each) for each in told["warnings"]]}


def _lead_to(database: Database, row: Question) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('database-log', args=[database.pk])}?asked={row.pk}")


def _switch_on(request: HttpRequest, database: Database, reason: str) -> HttpResponse:
    """Ask the worker, which looks once more: the server may have changed since."""
    person = asked.person_of(request)
    row = questions.ask(LogSwitchQuestion(database, person.get_username()), person)
    note(request, database, f"Asked for its binary log to be stored: {reason}")
    return _lead_to(database, questions.wait_for(row, _SWITCH_SECONDS))


def _switch_off(request: HttpRequest, database: Database, reason: str) -> HttpResponse:
    try:
        log_archives.switch_off(database, asked.person_of(request).get_username())
    except Problem as problem:
        messages.error(request, problem.sentence())
    note(request, database, f"Its binary log is stored no more: {reason}")
    messages.success(
        request,
        phrase(
            "The log of {database} is stored no more. What is stored stays as long as it was to be kept.",
            database=database,
        ),
    )
    return HttpResponseRedirect(tab_url(database))
