"""Tests before saving: the worker tries what a form holds, and the form shows what it found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from backups.admin import asked
from backups.admin.base import SetUpAdmin, get_or_none
from backups.admin.secret_fields import AGAIN, described, hide_sealed, with_typed
from backups.choices import Action, right_to_start
from backups.errors import Problem
from backups.models import Question as Row
from backups.requests import questions, sealing
from backups.requests.question import Question
from backups.requests.set_up_questions import RepositoryQuestion, ServerQuestion
from backups.text import formatting
from backups.text.sentences import joined, phrase, plural

_KINDS = (ServerQuestion.kind, RepositoryQuestion.kind)


class SecretsAdmin(SetUpAdmin):
    """A page whose secrets may be typed, and whose form is tried before it is saved."""

    change_form_after_template = "backups/try.html"
    # Whether a database can be named beside the button, whose GRANT is looked for.
    names_database = False
    # What of the form is tried; another field may still be empty.
    tried_fields: Collection[str] = ()

    def test_address(self) -> str:
        """Where what the form holds is sent to be tried."""
        return reverse(f"admin:backups_{self.opts.model_name}_test")

    def question(self, row: Any, database: str) -> Question:
        """What the worker is asked of a row that is not saved."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """Where a form is tried."""
        view = self.admin_site.admin_view(self.test_view)
        return [path("test/", view, name=f"backups_{self.opts.model_name}_test"), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """With fields in which secrets are typed, for who may, and what such a person should know."""
        fieldsets = super().get_fieldsets(request, obj)
        if not self._may_edit(request, obj):
            return fieldsets
        found = []
        for (name, options), (_, before) in zip(
            with_typed(fieldsets, self.model._REFERENCES), fieldsets, strict=True
        ):
            lost = sealing.lost_with_this_machine() if options["fields"] != before["fields"] else ""
            found.append((name, described(options, formatting.with_commands(lost)) if lost else options))
        return found

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form; to who may not change it, a secret is shown by its time alone."""
        row = context.get("original")
        if row is not None and not self.has_change_permission(request, row):
            hide_sealed(row)
        return super().render_change_form(request, context, *args, **kwargs)

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The form, of which no report of an error holds what was typed."""
        return super().changeform_view(request, *args, **kwargs)

    @method_decorator(sensitive_post_parameters())
    def test_view(self, request: HttpRequest) -> HttpResponse:
        """Ask the worker to try what the form holds; what cannot be tried is said at once."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        known = request.POST.get("tested_row", "")
        row = get_or_none(self.get_queryset(request), known) if known else None
        if known and row is None:
            raise Http404
        if not self._may_edit(request, row):
            raise PermissionDenied
        form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
        if wrong := _wrong(form, self.tried_fields):
            return _answered(request, {"problem": wrong})
        asking = self.question(form.instance, request.POST.get("tested_database", "").strip())
        found = questions.ask(asking, asked.person_of(request))
        if request.headers.get("HX-Request"):
            return _answered(request, _context(request, found))
        return _page(request, found)

    def _may_edit(self, request: HttpRequest, row: Any) -> bool:
        if row is None:
            return bool(self.has_add_permission(request))
        return bool(self.has_change_permission(request, row))


def _wrong(form: Any, tried: Collection[str]) -> str:
    """Why these fields of a form cannot be tried; what is typed again when it is saved can."""
    form.full_clean()
    found = []
    for name, errors in form.errors.as_data().items():
        words = [str(each) for error in errors if error.code != AGAIN for each in error.messages]
        if name in tried and words:
            label = form.fields[name].label if name in form.fields else name
            found.append(phrase("{field}: {words}", field=label, words=joined(words)))
    return joined(found)


def tried_view(request: HttpRequest, pk: int) -> HttpResponse:
    """What the worker found, for whoever asked: within the form, or on a page of its own."""
    row = questions.asked_by(asked.person_of(request), pk)
    if row is None or row.kind not in _KINDS:
        raise Http404
    if request.headers.get("HX-Request"):
        return _answered(request, _context(request, row))
    return _page(request, row)


def _answered(request: HttpRequest, context: Mapping[str, Any]) -> HttpResponse:
    return render(request, "backups/tried.html", dict(context))


def _page(request: HttpRequest, row: Row) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": phrase("Test before saving"),
        "url": reverse("question-tried", args=[row.pk]),
        **_context(request, row),
    }
    return TemplateResponse(request, "backups/tried_page.html", context)


def _context(request: HttpRequest, row: Row) -> dict[str, Any]:
    try:
        told = questions.answer_to(row)
        if told is None:
            return {
                "problem": asked.silence(row),
                "waits": not questions.is_in_vain(row),
                "url": reverse("question-tried", args=[row.pk]),
            }
        shown = _of_server(told) if row.kind == ServerQuestion.kind else _of_repository(request, told)
    except Problem as problem:
        return {"problem": problem.sentence()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {"problem": questions.unknown_answer().sentence()}
    return {"tried": shown}


def _of_server(told: Mapping[str, Any]) -> dict[str, Any]:
    """What was found on a server in words, and the GRANTs that it lacks as lines to be copied."""
    named, lacking = str(told["named"]), list(told["lacking"])
    words = [phrase("{software} answers, and lets the user in.", software=told["software"])]
    if not told["is_encrypted"]:
        words.append(
            phrase("The connection is not encrypted: anybody who listens on the network can read it.")
        )
    if named and not told["is_seen"]:
        words.append(
            phrase("The user does not see the database {database}, or there is none.", database=named)
        )
    elif not named and not told["databases"]:
        words.append(
            phrase(
                "The user sees no database yet. Write the name of one beside the button and test again: "
                "then its GRANT is shown."
            )
        )
    elif not lacking:
        words.append(phrase("Nothing is missing for backups and test restores."))
    return {
        "colour": "warning" if lacking or not (named or told["databases"]) else "success",
        "words": words,
        "databases": [str(each) for each in told["databases"]],
        "more": max(0, int(told["count"]) - len(told["databases"])),
        "purposes": [_purpose(str(each["purpose"]), str(each["database"])) for each in lacking],
        "statements": "\n".join(str(line) for each in lacking for line in each["statements"]),
    }


def _purpose(purpose: str, database: str) -> str:
    if purpose == "backup":
        return phrase("For backups of {database}.", database=database)
    return phrase("For test restores of {database}.", database=database)


def _of_repository(request: HttpRequest, told: Mapping[str, Any]) -> dict[str, Any]:
    """What lies at a location: a new one is made once its row is saved, if the person may."""
    state, name = told["state"], str(told.get("name", ""))
    if state == "new":
        return {
            "colour": "info",
            "words": [
                phrase(
                    "The storage answers, and no repository is there yet. Save, then initialise: that "
                    "makes a new one with this password."
                )
            ],
            "may_initialise": request.user.has_perm(right_to_start(Action.INIT)),
        }
    if state == "ours":
        words = [phrase("This is {name}, as the portal knows it, and the password opens it.", name=name)]
    elif name:
        words = [
            phrase("The password opens it. It is the repository that the portal knows as {name}.", name=name)
        ]
    else:
        held = [
            phrase(
                "{database} ({backups})",
                database=each or "?",
                backups=plural("{n} backup", "{n} backups", n=int(count)),
            )
            for each, count in told["held"]
        ]
        words = [
            phrase("A repository is there already, and the password opens it. The portal does not know it.")
        ]
        words.append(
            phrase("It holds backups of {held}.", held=joined(held, ", "))
            if held
            else phrase("It holds no backup of Vedetta.")
        )
    return {"colour": "warning" if name and state != "ours" else "success", "words": words}
