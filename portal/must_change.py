"""Whoever signed in with a password that somebody else set changes it before any other page opens."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from backups.people import changes
from backups.text.sentences import phrase
from portal.passwords import CHANGE
from portal.sessions import MUST_CHANGE

_PAGES = "/admin/"
# Beside the change itself: leaving, and reading it in another language.
_OPEN = (CHANGE, "/admin/logout/", "/admin/language/", "/admin/jsi18n/")


def no_page_but_the_change(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that leads such people to the change. It asks nothing for the gate."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(_PAGES) or not _must(request):
            return get_response(request)
        if request.path_info not in _OPEN:
            return _led_to_the_change(request)
        if request.path_info == CHANGE and request.method == "POST":
            return _changed(request, get_response)
        return get_response(request)

    return respond


def _must(request: HttpRequest) -> bool:
    return bool(request.session.get(MUST_CHANGE)) and request.user.is_authenticated


def _led_to_the_change(request: HttpRequest) -> HttpResponse:
    url = reverse("admin:password_change")
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def _changed(
    request: HttpRequest, get_response: Callable[[HttpRequest], HttpResponseBase]
) -> HttpResponseBase:
    person = request.user.pk
    assert person is not None  # noqa: S101  they are signed in
    old, new = request.POST.get("old_password"), request.POST.get("new_password1")
    if new and new == old:
        messages.error(request, phrase("That is the password that somebody else knows. Choose another one."))
        return _led_to_the_change(request)
    response = get_response(request)
    if response.status_code == 302:
        changes.has_changed(person)
        del request.session[MUST_CHANGE]
    return response
