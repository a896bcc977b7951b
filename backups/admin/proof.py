"""The page of the proof report, to be shown, printed and handed out, signed by the worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import InvalidPage, Page, Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import get_language
from django.views.decorators.http import require_POST

from backups.admin import asked
from backups.errors import Problem
from backups.models import Database
from backups.reports import proof, proof_files
from backups.reports.proof_files import Signed
from backups.reports.proof_page import to_show
from backups.reports.proof_rows import Pace
from backups.requests import questions
from backups.text.checked import row_number
from backups.text.sentences import phrase

# All of it together has to be over before the server gives the request up.
_MAKE_SECONDS, _WAIT_SECONDS, _TRIES = 12.0, 15.0, 2
# As many as are read at once, and fit on some sheets.
_DATABASES = 20
_MAY_SEE = permission_required(
    [f"backups.view_{model}" for model in ("database", "run", "snapshot", "verification", "restore")],
    raise_exception=True,
)


@dataclass(frozen=True)
class _Choice:
    """What somebody wants to see."""

    days: proof.Days
    database: Database | None

    def wanted(self, **more: str) -> proof.Wanted:
        """As of now."""
        return proof.Wanted(self.days, timezone.now().replace(microsecond=0), self.database, **more)

    @property
    def query(self) -> str:
        """As an address has it."""
        query = QueryDict(mutable=True)
        query.update({"from": self.days.first.isoformat(), "to": self.days.last.isoformat()})
        if self.database is not None:
            query["database"] = str(self.database.pk)
        return str(query.urlencode())


@_MAY_SEE
def proof_view(request: HttpRequest) -> HttpResponse:
    """The report of the chosen days, the last quarter without any."""
    report, problem = None, ""
    choice = _Choice(proof.last_quarter(), None)
    rows = Database.objects.order_by("name", "pk")
    page: Page[Database] | None = None
    try:
        choice = _chosen(request.GET)
        page = _page(rows if choice.database is None else rows.filter(pk=choice.database.pk), request)
        # The page says nothing of a signature: files have one.
        report = proof.report(
            choice.wanted(), Pace(_MAKE_SECONDS), in_full=[each.pk for each in page.object_list]
        )
    except Problem as found:
        problem = found.sentence()
    shown = {each.pk for each in page.object_list} if page else set()
    context = {
        **admin.site.each_context(request),
        "title": phrase("Proof report"),
        "report": report,
        "shown": to_show(each for each in report["databases"] if each["key"] in shown) if report else [],
        "problem": problem,
        "choice": choice,
        "choices": rows.values_list("pk", "name"),
        "page": page,
        "address": f"{reverse('proof')}?{choice.query}",
        "public_key": proof.public_key(),
        "forms": [("json", "JSON"), ("csv", phrase("Table (CSV)")), ("html", phrase("Page (HTML)"))],
    }
    return TemplateResponse(request, "backups/proof.html", context)


@_MAY_SEE
@require_POST
def file_view(request: HttpRequest) -> HttpResponse:
    """The report as a file, signed by the worker, or without a signature where somebody says so."""
    form = request.POST.get("form", "")
    if form not in proof_files.FORMS:
        form = "json"
    try:
        choice = _chosen(request.POST)
    except Problem as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(reverse("proof"))
    try:
        if "unsigned" in request.POST:
            wanted = choice.wanted(not_signed_because=phrase("It was asked for without a signature."))
            document, body = _made(wanted, form)
            content = proof_files.whole(body, form, None)
        else:
            document, content = _signed(request, choice, form)
    except Problem as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(f"{reverse('proof')}?{choice.query}&unsigned={form}#files")
    response = HttpResponse(content, content_type=proof_files.FORMS[form])
    name = proof_files.name(document, form)
    response["Content-Disposition"] = str(content_disposition_header(True, name))
    response["Cache-Control"] = "no-store"
    return response


def _chosen(said: QueryDict) -> _Choice:
    """What an address or a form says. Raises Problem, Http404."""
    database = None
    if pk := said.get("database", ""):
        rows = Database.objects.select_related("server", "repository")
        database = get_object_or_404(rows, pk=row_number(pk) or 0)
    return _Choice(proof.days_from(said.get("from", ""), said.get("to", "")), database)


def _page(rows: Any, request: HttpRequest) -> Page[Database]:
    pages = Paginator(rows, _DATABASES)
    try:
        return pages.page(request.GET.get("page", 1))
    except InvalidPage:
        return pages.page(1)


def _made(wanted: proof.Wanted, form: str) -> tuple[dict[str, Any], bytes]:
    document = proof.report(wanted, Pace(_MAKE_SECONDS))
    return document, proof_files.body(document, form, get_language() or "en")


def _signed(request: HttpRequest, choice: _Choice, form: str) -> tuple[dict[str, Any], bytes]:
    """The worker makes the same report and signs that; a run that ended meanwhile makes it another one."""
    for _ in range(_TRIES):
        wanted = choice.wanted()
        told = _asked(request, wanted, form)
        document, body = _made(replace(wanted, signed_by=told.public_key), form)
        content = proof_files.whole(body, form, told)
        try:
            proof_files.check(content, told.public_key)
        except Problem:
            continue
        return document, content
    raise Problem(
        phrase("The worker's report differs from the portal's, so it was not handed out."),
        code="report.differs",
        do=phrase(
            "Runs may just have ended: try again. If it stays so, see that portal and worker are of the same "
            "version and have the same settings."
        ),
    )


def _asked(request: HttpRequest, wanted: proof.Wanted, form: str) -> Signed:
    """The worker's signature. Raises Problem where there is none."""
    days = wanted.days
    question = questions.ReportQuestion(
        days.first, days.last, wanted.database, wanted.made_at, form, get_language() or "en"
    )
    row = questions.wait_for(questions.ask(question, asked.person_of(request)), _WAIT_SECONDS)
    told = questions.answer_to(row)
    if told is None:
        raise Problem(
            asked.silence(row) or phrase("The worker has not signed the report in time."),
            code="report.no_answer",
            do=phrase("Try again, or choose a shorter time."),
        )
    return Signed(str(told.get("public_key", "")), str(told.get("signature", "")))
