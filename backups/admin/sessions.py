"""Where somebody is signed in, as they see it themselves: listed, and ended but for the one they are in."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import translation

from backups.models import SignIn
from backups.people import browsers, sign_ins
from backups.text import formatting
from backups.text.sentences import phrase, plural


def own_view(request: HttpRequest) -> HttpResponse:
    """One's own sessions; sent, it ends one of them, or all others."""
    person = cast(User, request.user)
    if request.method == "POST":
        return _ended(request, person)
    context = {
        **admin.site.each_context(request),
        "title": phrase("My sessions"),
        "sessions": listed(request, person),
        "action": reverse("own-sessions"),
    }
    response = TemplateResponse(request, "backups/own_sessions.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _ended(request: HttpRequest, person: User) -> HttpResponse:
    key, current = request.POST.get("key", ""), current_key(request)
    is_all = "all" in request.POST
    ended = sign_ins.end_all(person, but=current) if is_all else int(sign_ins.end(person, key))
    if not ended:
        messages.info(request, phrase("That session was over already."))
        return HttpResponseRedirect(reverse("own-sessions"))
    with translation.override("en"):
        text = plural("Ended {n} session.", "Ended {n} sessions.", n=ended)
        LogEntry.objects.log_actions(person.pk, [person], CHANGE, text, single_object=True)
    if key == current and not is_all:
        logout(request)
        return HttpResponseRedirect(reverse("admin:login"))
    messages.success(request, plural("{n} session ended.", "{n} sessions ended.", n=ended))
    return HttpResponseRedirect(reverse("own-sessions"))


def current_key(request: HttpRequest) -> str:
    """What the session of this request is known by."""
    return str(cast(Any, request.session).kept_as)


def listed(request: HttpRequest, person: User) -> list[dict[str, Any]]:
    """The open sessions of somebody, for a page; that of this request is marked."""
    current = current_key(request)
    return [_told(each, current) for each in sign_ins.of(person)]


def _told(sign_in: SignIn, current: str) -> dict[str, Any]:
    return {
        "key": sign_in.key,
        "since": sign_in.since,
        "seen_at": sign_in.seen_at,
        "address": sign_in.address or formatting.EMPTY,
        "browser": browsers.in_words(sign_in.browser),
        "is_current": sign_in.key == current,
    }
