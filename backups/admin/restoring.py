"""Restores as people start them: choose, see what will happen, type the name out, go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.crypto import salted_hmac
from django.utils.http import content_disposition_header

from backups.admin import asked, restore_moment
from backups.admin.base import page_url
from backups.admin.restore_form import TABLES_BACK, RestoreForm, form_again
from backups.admin.restore_story import of_database, will_be_lost
from backups.choices import ACTIVE, OVERWRITING_MODES, RestoreMode, Trigger
from backups.downloads import asking, wire
from backups.errors import Problem
from backups.models import Database, Question, Restore, Snapshot, Suspicion
from backups.moments.until import Until
from backups.requests import Asker, RestoreRequest, questions
from backups.restoring.plan import Plan, drafted, heard
from backups.snapshots.selection import instead_of, known_bad_words
from backups.text import formatting
from backups.text.sentences import phrase

MAY_RESTORE = permission_required("backups.run_restore", raise_exception=True)
# So long the button that starts waits for the worker: several of these a process can be spared.
_START_SECONDS = 8.0


@dataclass(frozen=True)
class Preview:
    """What a restore would do, or why that is not known: it is asked, was not answered, or cannot be said."""

    plan: Plan | None = None
    row: Question | None = None
    problem: str = ""
    silence: str = ""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return bool(self.plan or self.problem) or self.row is None or questions.is_in_vain(self.row)


@MAY_RESTORE
def restore_view(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Choose how to restore a snapshot, see what will happen, start it."""
    related = ("database__repository", "database__server", "repository")
    snapshot = get_object_or_404(Snapshot.objects.present().select_related(*related), pk=pk)
    if snapshot.database is None:
        messages.error(request, phrase("This snapshot belongs to no database that is set up here."))
        return HttpResponseRedirect(page_url(snapshot))
    database = snapshot.database
    try:
        until = restore_moment.until_in(request)
    except Problem as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(restore_moment.choose_url(database))
    named = request.GET.getlist("table")
    initial = {"mode": TABLES_BACK, "tables": named} if named else {}
    form = RestoreForm(
        request.POST or None, snapshot=snapshot, database=database, initial=initial, until=until
    )
    preview = Preview()
    if request.method == "POST" and form.is_valid():
        if "start" in request.POST and (begun := _begun(request, form.wanted)):
            return _lead_to(request, begun)
        preview = _looked(request, form.wanted)
        if _may_start(request, form, preview):
            return _start(request, form.wanted)
    context = {
        **admin.site.each_context(request),
        **_shown(request, form, preview),
        "title": _title(form),
        "until": until,
        "choose_url": restore_moment.choose_url(database),
        "snapshot": snapshot,
        "suspicion": Suspicion.objects.filter(snapshot=snapshot).first(),
        "instead": instead_of(snapshot) if snapshot.is_known_bad else "",
        "database": database,
        "choices": [field for field in form if field.name not in {"confirm", "shown"}],
        "crumbs": [
            (database, page_url(database)),
            (phrase("Snapshot {snapshot}", snapshot=snapshot.short_id), page_url(snapshot)),
            (phrase("Restore"), ""),
        ],
    }
    return TemplateResponse(request, "backups/restore.html", context)


def _title(form: RestoreForm) -> str:
    if form.until is None:
        return phrase("Restore snapshot {snapshot}", snapshot=form.snapshot.short_id)
    if form.until.moment is None:
        return phrase("Restore {database} {until}", database=form.database, until=form.until.told)
    return phrase("Restore {database} to {until}", database=form.database, until=form.until.told)


@MAY_RESTORE
def preview_view(request: HttpRequest, pk: int) -> JsonResponse:
    """What the page of a restore shows now of what will happen."""
    row = questions.asked_by(asked.person_of(request), pk)
    if row is None or row.kind != questions.PreviewQuestion.kind:
        raise Http404
    try:
        question = questions.read(row)
    except Problem as problem:
        preview, context = Preview(row=row, problem=problem.sentence()), {}
    else:
        assert isinstance(question, questions.PreviewQuestion)  # noqa: S101  as its kind says
        preview = _preview_of(row, question.request)
        context = _shown(request, form_again(question.request), preview)
    html = render_to_string("backups/restore_plan.html", {"preview": preview, **context}, request)
    return JsonResponse({"over": preview.is_over, "html": html})


def _looked(request: HttpRequest, wanted: RestoreRequest) -> Preview:
    """What the worker says of it, asked anew or, to see whether it has answered, as before.

    Where it is to be started it is asked anew and waited for: the server may have changed since it was shown.
    """
    if _is_streamed(wanted):
        return Preview(drafted(wanted.database, wanted.snapshot, mode=wanted.mode, target=wanted.target))
    person, question = asked.person_of(request), questions.PreviewQuestion(wanted)
    row = questions.asked_by(person, request.POST.get("asked", "")) if _looks_again(request) else None
    if row is None or row.asked != question.asked():
        row = questions.ask(question, person)
    if "start" in request.POST:
        row = questions.wait_for(row, _START_SECONDS)
    return _preview_of(row, wanted)


def _looks_again(request: HttpRequest) -> bool:
    return request.POST.get("look") == "again"


def _preview_of(row: Question, wanted: RestoreRequest) -> Preview:
    try:
        told = questions.answer_to(row)
        plan = None if told is None else heard(wanted.snapshot, wanted.mode, wanted.target, told)
    except Problem as problem:
        return Preview(row=row, problem=problem.sentence())
    return Preview(plan, row, silence="" if plan else asked.silence(row))


def _may_start(request: HttpRequest, form: RestoreForm, preview: Preview) -> bool:
    """Whether it is to start, is what was shown, and nothing stands in its way; the form says why not."""
    if "start" not in request.POST:
        return False
    if preview.plan is None:
        form.add_error(None, phrase("Nothing was started: what it would do now could not be looked at."))
        return False
    seen = form.was_shown(_fingerprints(request, preview.plan, form))
    return seen and not preview.plan.obstacles and form.is_confirmed()


def _shown(request: HttpRequest, form: RestoreForm, preview: Preview) -> dict[str, Any]:
    """What the part of the page is made of that tells what will happen; the form remembers that it does."""
    plan = preview.plan
    if plan is not None:
        try:
            of_log = restore_moment.facts(plan)
        except Problem as problem:
            plan, of_log, preview = None, [], Preview(row=preview.row, problem=problem.sentence())
    if plan is not None:
        form.remember(_fingerprints(request, plan, form)[0])
    return {
        "form": form,
        "preview": preview,
        "plan": plan,
        "facts": [*plan_facts(plan, form.until), *of_log] if plan else [],
        **(_at_stake(form, plan) if plan and plan.mode in OVERWRITING_MODES else {}),
        "bad": known_bad_words(form.snapshot),
        "may_go_on": plan is not None and not plan.obstacles,
    }


def _at_stake(form: RestoreForm, plan: Plan) -> dict[str, Any]:
    """What is done before anything is overwritten, what will be gone, and where it stays."""
    is_saved, is_kept = not form.cleaned_data["without_safety"], plan.mode == RestoreMode.REPLACE
    what = plan.target
    if names := form.cleaned_data["tables"]:
        what = of_database(names, plan.target)
    if is_saved:
        first = phrase(
            "A backup of {target} as it is now. If it fails, nothing is restored.", target=plan.target
        )
    else:
        first = phrase("No backup is made first, because you said that there is nothing left to save.")
    where = {
        (True, True): phrase("It stays in that backup, and in the present tables, which are kept."),
        (True, False): phrase("It stays in that backup alone."),
        (False, True): phrase("It stays in the present tables, which are kept, and nowhere else."),
        (False, False): phrase("It is gone for good: nothing keeps it."),
    }
    return {
        "first": first,
        "lost": will_be_lost(what, restore_moment.data_until(plan, form.until), timezone.now()),
        "where_it_stays": where[is_saved, is_kept],
    }


def _is_streamed(wanted: RestoreRequest) -> bool:
    """Whether it is the backup's own file, which needs no run: of a moment one has to be made."""
    return wanted.mode == RestoreMode.FILE and wanted.until is None


def restore_url(snapshot: Snapshot) -> str:
    """Where a snapshot's restore is begun."""
    return reverse("snapshot-restore", args=[snapshot.pk])


def _start(request: HttpRequest, wanted: RestoreRequest) -> HttpResponseBase:
    snapshot = wanted.snapshot
    if _is_streamed(wanted):
        return _download(request, wanted)
    assert request.user.is_authenticated  # noqa: S101  the view lets nobody else in
    try:
        run = wanted.submit(Asker(Trigger.ADMIN, request.user))
    except Problem as problem:
        messages.error(request, problem.sentence())
        begun = _begun(request, wanted)
        return HttpResponseRedirect(page_url(begun) if begun else restore_url(snapshot))
    until = f" {wanted.until.told}" if wanted.until else ""
    note(request, snapshot, f"{wanted.mode.label} ({wanted.target}){until}, {run}: {wanted.reason}")
    return HttpResponseRedirect(page_url(run.restore))


def _begun(request: HttpRequest, wanted: RestoreRequest) -> Restore | None:
    """The same restore, begun by the same person and not over: of a second click, or from the back button."""
    found = Restore.objects.filter(
        run__requested_by=asked.person_of(request), run__status__in=ACTIVE, database=wanted.database,
        snapshot=wanted.snapshot, mode=wanted.mode, target=wanted.target,
    )  # fmt: skip
    return next((each for each in found if _is_same(each, wanted)), None)


def _is_same(begun: Restore, wanted: RestoreRequest) -> bool:
    try:
        return tuple(begun.tables) == wanted.tables and Until.from_row(begun.until) == wanted.until
    except (KeyError, Problem, TypeError, ValueError):
        return False


def _lead_to(request: HttpRequest, begun: Restore) -> HttpResponse:
    messages.warning(
        request,
        phrase("Not started a second time: this restore was started already, and is under way. Here it is."),
    )
    return HttpResponseRedirect(page_url(begun))


def _download(request: HttpRequest, wanted: RestoreRequest) -> HttpResponseBase:
    snapshot = wanted.snapshot
    assert request.user.is_authenticated  # noqa: S101  the view lets nobody else in
    try:
        refuse_http_1_0(request, f"`manage.py restore --snapshot {snapshot.short_id} --output DIR`")
        content = asking.begin(request.user, snapshot, wanted.tables, is_gone=has_left(request))
    except asking.NoWorker as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(restore_url(snapshot))
    except Problem as problem:
        messages.error(request, phrase("Nothing was downloaded. {sentence}", sentence=problem.sentence()))
        return HttpResponseRedirect(restore_url(snapshot))
    return noted_and_streamed(request, snapshot, content, f": {wanted.reason}")


def noted_and_streamed(
    request: HttpRequest, of: Snapshot | Restore, content: asking.Download, ends: str
) -> HttpResponseBase:
    """A download as an answer, which stands in the audit first; what cannot be noted is not given out."""
    try:
        note(request, of, f"Downloaded {content.name}{ends}")
    except BaseException:
        content.close()
        raise
    response = StreamingHttpResponse(content, content_type="application/sql")
    response["Content-Disposition"] = str(content_disposition_header(True, content.name))
    response["Cache-Control"] = "no-store"
    return response


def refuse_http_1_0(request: HttpRequest, command: str) -> None:
    """Raise Problem where the answer would end when the connection does, whether it is whole or not.

    `command` does the same on the server.
    """
    if request.META.get("SERVER_PROTOCOL") not in {"HTTP/0.9", "HTTP/1.0"}:
        return
    raise Problem(
        phrase(
            "Something in front of the portal asks it over HTTP/1.0, in which a broken download cannot be "
            "told from a whole one."
        ),
        code="downloads.old_http",
        do=phrase(
            "In nginx, add {line} beside proxy_pass. Or run {command} on the server.",
            line="`proxy_http_version 1.1;`",
            command=command,
        ),
    )


def has_left(request: HttpRequest) -> Callable[[], bool]:
    """Whether the browser, or the proxy before us, has closed the connection; False where nobody knows."""
    connection = request.META.get("gunicorn.socket")
    return (lambda: wire.hung_up(connection)) if connection else lambda: False


def note(request: HttpRequest, obj: Snapshot | Database | Any, text: str) -> None:
    """Put who did what and why into Django's admin log."""
    assert request.user.pk is not None  # noqa: S101  the view lets nobody else in
    with translation.override("en"):
        LogEntry.objects.log_actions(request.user.pk, [obj], CHANGE, text, single_object=True)


def plan_facts(plan: Plan, until: Until | None = None) -> list[tuple[str, Any]]:
    """Label and value of what a plan says, for people."""
    took = (
        formatting.approximate_duration(plan.seconds)
        if plan.seconds
        else phrase("not known yet, this is the first")
    )
    if plan.mode == RestoreMode.FILE:
        return [
            (
                phrase("Target"),
                phrase("a file to be downloaded") if until else phrase("a file on this computer"),
            ),
            (phrase("Size"), formatting.size(plan.bytes)),
            *([(phrase("Data up to"), until.told), (phrase("Expected duration"), took)] if until else []),
        ]
    known = [
        (phrase("Target"), plan.target),
        (phrase("Data up to"), until.told if until else formatting.time_with_age(plan.data_until)),
        (phrase("Expected duration"), took),
    ]
    if not (plan.replaced or plan.vanishing or plan.new):
        return known  # nobody could look, be it at the server or at what the snapshot holds
    if plan.mode == RestoreMode.NEW:
        # Tables of the same names are in no danger: such a target is an obstacle.
        return known if plan.replaced else [*known, (phrase("Tables that are new"), _names(plan.new))]
    return [
        *known,
        (phrase("Tables replaced"), _names(plan.replaced)),
        (phrase("Tables that will vanish"), _names(plan.vanishing)),
        (phrase("Tables that are new"), _names(plan.new)),
        *([(phrase("Tables that stay as they are"), _names(plan.staying))] if plan.staying else []),
    ]


def _names(names: list[str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:12])
    return f"{len(names)}: {shown}{' …' if len(names) > 12 else ''}"


def _fingerprints(request: HttpRequest, plan: Plan, form: RestoreForm) -> list[str]:
    """What was chosen and what it will do, signed: of this hour, and of the one before.

    The same choices on a changed server differ, and so they do for somebody else, and once a restore of
    this database was begun: what one was shown is for them, soon, and once.
    """
    chosen = [form.cleaned_data["definers"], form.cleaned_data["without_safety"] and form.overwrites]
    tables = sorted(form.cleaned_data["tables"])
    what = [plan.snapshot.pk, plan.mode, plan.target, plan.replaced, plan.vanishing, plan.new, plan.warnings]
    what += [plan.staying, plan.refers]
    what += [form.until.stored() if form.until else None, restore_moment.place_of(plan)]
    newest = (
        Restore.objects.filter(database=form.database).order_by("-pk").values_list("pk", flat=True).first()
    )
    hour = int(timezone.now().timestamp()) // 3600
    return [
        salted_hmac(
            "backups.restore", json.dumps([what, tables, chosen, request.user.pk, newest, each])
        ).hexdigest()
        for each in (hour, hour - 1)
    ]
