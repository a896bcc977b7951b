"""The page of rows given back: the proof of a script, the script to read, its application, and its undo."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from backups.admin import asked
from backups.admin.base import page_url
from backups.admin.restoring import MAY_RESTORE, note
from backups.admin.row_choosing import PER_PAGE, note_look, row_of
from backups.admin.rows_back_story import Story, page_context, state_words, story_of, tables_of
from backups.choices import APPLY_ROWS, Action, Trigger
from backups.downloads import rows as kept
from backups.downloads.rows import RowsWanted
from backups.errors import Problem
from backups.models import Run
from backups.requests import ApplyRowsRequest, Asker, Request, RowsBackRequest, read
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters

# So much of a script is shown on a page; the download has all of it.
_MOST_SHOWN = 256_000


class ApplyForm(forms.Form):
    """What is said before a script is applied to the live database."""

    knows_triggers = forms.BooleanField(
        label=_("I know of this, and that nothing proves what it does"), required=False,
        widget=UnfoldBooleanSwitchWidget,
    )  # fmt: skip
    without_safety = forms.BooleanField(
        label=_("There is nothing left to save: make no backup before"), required=False,
        widget=UnfoldBooleanSwitchWidget,
    )  # fmt: skip
    reason = forms.CharField(
        label=_("Why"), max_length=300, widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept with the run and in the admin log."),
    )  # fmt: skip
    confirm = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    script = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, story: Story, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._digest = str(story.told.get("script_sha256", ""))
        self.to_type = story.run.database.database if story.run.database else ""
        self.fields["confirm"].label = phrase("Type {to_type} to go on", to_type=self.to_type)
        self.fields["script"].initial = self._digest
        if not story.told.get("triggers"):
            del self.fields["knows_triggers"]

    def clean_confirm(self) -> str:
        """The database's name, as it is."""
        if self.cleaned_data["confirm"] != self.to_type or not self.to_type:
            what = phrase("the database's name")
            raise forms.ValidationError(phrase("This is not {what}. Nothing was started.", what=what))
        return self.to_type

    def clean_knows_triggers(self) -> bool:
        """Ticked."""
        if not self.cleaned_data["knows_triggers"]:
            raise forms.ValidationError(phrase("Switch this on to go on. Nothing was started."))
        return True

    def clean_script(self) -> str:
        """The script that the page showed."""
        if self.cleaned_data["script"] != self._digest:
            raise forms.ValidationError(phrase("Nothing was started: this is not the script that was shown."))
        return self._digest


@MAY_RESTORE
def story_view(request: HttpRequest, pk: int) -> HttpResponse:
    """See the proof, then have the script applied."""
    run = _run(pk)
    if isinstance(run.request, dict) and run.request.get("form") == APPLY_ROWS:
        number = run.request.get("proved")
        if not isinstance(number, int):
            raise Http404
        return HttpResponseRedirect(reverse("rows-back", args=[number]))
    story = story_of(run)
    form = ApplyForm(request.POST or None, story=story)
    if request.method == "POST" and (led_on := _apply(request, story, form)):
        return led_on
    context = {
        **admin.site.each_context(request),
        **_context(story, form),
        "title": str(run),
        "script": _script(request, story) if "script" in request.GET else None,
        "crumbs": [
            *([(run.database, page_url(run.database))] if run.database else []),
            (phrase("Rows given back"), ""),
        ],
    }
    return _private(TemplateResponse(request, "backups/rows_back.html", context))


@MAY_RESTORE
def live_view(request: HttpRequest, pk: int) -> JsonResponse:
    """What the page shows now."""
    story = story_of(_run(pk))
    context = _context(story, ApplyForm(story=story))
    words = phrase("{status}: {run}", status=state_words(story), run=story.run)
    html = render_to_string("backups/rows_back_state.html", context, request)
    return JsonResponse({"over": context["is_over"], "title": str(words), "html": html})


@MAY_RESTORE
@require_GET
def script_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The script as a file, or what undoes it."""
    run, is_undo = _run(pk), "undo" in request.GET
    try:
        text = kept.script_text(asked.person_of(request), run, undo=is_undo)
    except Problem as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(reverse("rows-back", args=[pk]))
    name = f"{run.database or 'rows'}-{run.pk}{'-undo' if is_undo else ''}.sql"
    note(request, run, f"Downloaded {name}.")
    response = HttpResponse(text, content_type="application/sql")
    response["Content-Disposition"] = str(content_disposition_header(True, name))
    return _private(response)


@MAY_RESTORE
@require_GET
def rows_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows of a script, table by table: as they were, as the comparison saw them, as they were found."""
    run = _run(pk)
    story = story_of(run)
    tables = [each.name for each in tables_of(story)]
    number, offset = (_number(request.GET.get(name, "")) for name in ("table", "offset"))
    if number >= len(tables):
        raise Http404
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": phrase("Rows of {table}", table=tables[number]),
        "tables": list(enumerate(tables)),
        "here": number,
        "crumbs": [(run, reverse("rows-back", args=[pk])), (phrase("Rows"), "")],
    }
    wanted = RowsWanted(tables[number], offset, PER_PAGE)
    try:
        found = kept.rows_page(asked.person_of(request), run, wanted)
    except Problem as problem:
        context["problem"] = problem.sentence()
    else:
        note_look(request, run, f"rows of {tables[number]}")
        context |= {
            "rows": [row_of(each, found.key) for each in found.rows],
            "total": found.total,
            "first": offset + 1,
            "last": offset + len(found.rows),
            "before": max(offset - PER_PAGE, 0) if offset else None,
            "after": offset + PER_PAGE if offset + len(found.rows) < found.total else None,
        }
    return _private(TemplateResponse(request, "backups/rows_back_rows.html", context))


@MAY_RESTORE
@require_POST
def again_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the script written again, if wanted with the rows that were changed again meanwhile."""
    run = _run(pk)
    try:
        before = read(run)
    except Problem as problem:
        return _refused(request, run, problem)
    if not isinstance(before, RowsBackRequest):
        raise Http404
    also = "with_changed_again" in request.POST
    wanted = RowsBackRequest(before.database, before.source, before.choices, with_changed_again=also)
    return _started(request, run, wanted, "Asked for the script again" + (", with rows changed again" * also))


@MAY_RESTORE
@require_POST
def undo_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the script written and proved that takes an application back."""
    run = _run(pk)
    story = story_of(run)
    if not story.may_undo or story.applied is None or run.database is None:
        messages.error(request, phrase("There is nothing to take back, or no more. Nothing was started."))
        return HttpResponseRedirect(reverse("rows-back", args=[pk]))
    return _started(request, run, RowsBackRequest(run.database, story.applied), "Asked for its undo")


def _context(story: Story, form: ApplyForm) -> dict[str, Any]:
    return {**page_context(story), "form": form, "proved": story.run}


def _apply(request: HttpRequest, story: Story, form: ApplyForm) -> HttpResponse | None:
    if story.applied or story.going_on:
        words = phrase("Not started a second time: it was started already. Here it is.")
        messages.warning(request, words)
        return HttpResponseRedirect(request.path)
    if not story.may_apply:
        messages.error(request, phrase("Nothing was started: there is no proved script any more."))
        return HttpResponseRedirect(request.path)
    if not form.is_valid() or story.run.database is None:
        return None
    said = form.cleaned_data
    wanted = ApplyRowsRequest(
        story.run.database,
        story.run,
        knows_triggers=said.get("knows_triggers", False),
        without_safety=said["without_safety"],
        reason=said["reason"],
    )
    return _started(request, story.run, wanted, f"Rows given back: {said['reason']}", story.run)


def _started(
    request: HttpRequest, run: Run, wanted: Request, words: str, page: Run | None = None
) -> HttpResponse:
    """Start it, note who wanted it and why, and lead to its page."""
    try:
        started = wanted.submit(Asker(Trigger.ADMIN, asked.person_of(request)))
    except Problem as problem:
        return _refused(request, run, problem)
    note(request, run, f"{words} ({started}).")
    return HttpResponseRedirect(reverse("rows-back", args=[(page or started).pk]))


def _refused(request: HttpRequest, run: Run, problem: Problem) -> HttpResponse:
    messages.error(request, problem.sentence())
    return HttpResponseRedirect(reverse("rows-back", args=[run.pk]))


def _script(request: HttpRequest, story: Story) -> dict[str, Any]:
    """The script for the page, its beginning where it is long; why there is none."""
    is_undo = "undo" in request.GET
    try:
        text = kept.script_text(asked.person_of(request), story.run, undo=is_undo)
    except Problem as problem:
        return {"problem": problem.sentence(), "is_undo": is_undo}
    note_look(request, story.run, "the script")
    shown = escape_control_characters(text[:_MOST_SHOWN].decode(errors="backslashreplace"))
    return {"text": shown, "is_cut": len(text) > _MOST_SHOWN, "is_undo": is_undo}


def _run(pk: int) -> Run:
    rows = Run.objects.select_related("database__server", "snapshot", "requested_by")
    return get_object_or_404(rows.defer("snapshot__manifest"), pk=pk, action=Action.ROWS_BACK)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _private(response: HttpResponse) -> HttpResponse:
    """What holds values of rows is kept by no cache."""
    response["Cache-Control"] = "no-store"
    return response
