"""What pages ask the worker: how they wait for its answer, show it, and say that nobody answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from backups.errors import Problem
from backups.models import Question, WorkerPulse
from backups.reports import standing
from backups.requests import questions
from backups.requests.channel_test import ChannelTestQuestion
from backups.runs import queue
from backups.text import formatting
from backups.text.sentences import phrase

_TITLES = {
    questions.TestMessageQuestion.kind: phrase("Test notification"),
    ChannelTestQuestion.kind: phrase("Test notification"),
}
# Where whoever asked came from.
_BACK = {
    questions.TestMessageQuestion.kind: ("admin:backups_alert_changelist", phrase("Back to the alerts")),
    ChannelTestQuestion.kind: ("admin:backups_channel_changelist", phrase("Back to the channels")),
}


def person_of(request: HttpRequest) -> User:
    """Who asks. Raises PermissionDenied for nobody."""
    if isinstance(request.user, AnonymousUser):
        raise PermissionDenied
    return request.user


def silence(row: Question) -> str:
    """That the worker does not answer, what is safe and what to do; empty while it may still do so."""
    unheard = questions.is_unheard(row)
    if row.answer is not None or (_was_just_seen() and not unheard):
        return ""
    # That it was not heard of for minutes is known at once, and says more.
    known = " ".join(each.sentence for each in standing.read().overall.findings if each.key == "worker")
    if not known and not unheard:
        return ""
    to_do = known or phrase(
        "See that it runs, and that it is of the same version as the portal, then ask again."
    )
    return phrase("The worker does not answer. Nothing was touched. {to_do}", to_do=to_do)


def _was_just_seen() -> bool:
    since = timezone.now() - queue.PULSE_LOST
    return WorkerPulse.objects.filter(cluster=settings.RESTORES_CLUSTER, seen_at__gt=since).exists()


def answered(row: Question) -> SafeString:
    """A question's answer for within a line; while there is none, it looks for it by itself."""
    context = {"url": reverse("question", args=[row.pk]), **_context(row)}
    return mark_safe(render_to_string("backups/asked.html", context))  # noqa: S308  made by a template


def question_view(request: HttpRequest, pk: int) -> HttpResponse:
    """A page with the answer to a question, for whoever asked it; to a part of a page, that part."""
    row = _asked(request, pk)
    if request.headers.get("HX-Request"):
        return HttpResponse(answered(row))
    back, back_words = _BACK.get(row.kind, ("", ""))
    context = {
        **admin.site.each_context(request),
        "title": _TITLES.get(row.kind, phrase("Question to the worker")),
        "row": row,
        "back": reverse(back) if back else "",
        "back_words": back_words,
        **_context(row),
    }
    return TemplateResponse(request, "backups/asked_page.html", context)


def live_view(request: HttpRequest, pk: int) -> JsonResponse:
    """What that page shows now."""
    context = _context(_asked(request, pk))
    return JsonResponse(
        {"over": not context["waits"], "html": render_to_string("backups/asked_state.html", context)}
    )


def _asked(request: HttpRequest, pk: int) -> Question:
    row = questions.asked_by(person_of(request), pk)
    if row is None:
        raise Http404
    return row


def _context(row: Question) -> dict[str, Any]:
    try:
        told = questions.answer_to(row)
        good, words = _in_words(row.kind, told) if told is not None else ("", "")
    except Problem as problem:
        return {"problem": problem.sentence(), "waits": False}
    waits = told is None and not questions.is_in_vain(row)
    return {"problem": silence(row), "good": good, "words": words, "waits": waits}


def _in_words(kind: str, told: Mapping[str, Any]) -> tuple[str, str]:
    """An answer in words: what is good, and what is neither good nor bad. Raises Problem."""
    try:
        if kind == questions.SecretQuestion.kind:
            return (
                (phrase("Found."), "") if told["is_found"] else ("", phrase("Not set; needed for S3 only."))
            )
        if kind == questions.KeptSizeQuestion.kind:
            return "", formatting.size(int(told["bytes"]))
        return str(told["sentence"]), ""
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise questions.unknown_answer() from error
