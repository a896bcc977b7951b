"""Where a link leads that sets a password: somebody is invited, or forgot theirs.

The link's secret part stands behind a #, so that no browser sends it to any server or log: the page's
script puts it into the form, or its reader pastes the link there.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from backups.admin.people_forms import LinkForm, PasswordForm
from backups.errors import Problem
from backups.people import links, roles
from backups.text.sentences import phrase

_BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters()
@csrf_protect
@never_cache
def welcome_view(request: HttpRequest) -> HttpResponse:
    """First the link, then a password twice; after that they are signed in."""
    if request.user.is_authenticated:
        return _page(request, signed_in_as=request.user.get_username())
    if request.method != "POST":
        return _page(request, link_form=LinkForm())
    link_form = LinkForm(request.POST)
    if not link_form.is_valid():
        return _page(request, link_form=link_form)
    link = link_form.cleaned_data["link"]
    try:
        person = links.person_of(link)
        form = PasswordForm(person, request.POST if "new_password1" in request.POST else None)
        if not form.is_valid():
            return _page(request, link=link, person=person, form=form, held=roles.held_by(person))
        person = links.use(link, form.cleaned_data["new_password1"])
    except Problem as problem:
        return _page(request, problem=problem.sentence())
    return _signed_in(request, person)


def _signed_in(request: HttpRequest, person: User) -> HttpResponse:
    with translation.override("en"):
        text = phrase("Chose a password by the link.")
        LogEntry.objects.log_actions(person.pk, [person], CHANGE, text, single_object=True)
    login(request, person, backend=_BACKEND)
    held = roles.held_by(person)
    messages.success(
        request, phrase("Your password is set. You are {role}: {may}", role=held.called, may=held.may)
    )
    return HttpResponseRedirect(reverse("admin:index"))


def _page(request: HttpRequest, **context: Any) -> HttpResponse:
    shown = {**admin.site.each_context(request), "title": phrase("Choose a password"), **context}
    return TemplateResponse(request, "backups/welcome.html", shown)
