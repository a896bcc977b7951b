"""The pages for who asked for something that the portal does not do: one sentence, and one button each.

They need no row of the portal's database and no script. CSRF's and the failed portal's are in `monitoring`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.apps import apps
from django.core.exceptions import DisallowedHost
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

# Of what a stranger says, no more is repeated.
_MOST_OF_A_NAME = 100
_OF_ROWS = re.compile(r"/admin/(\w+)/(\w+)/.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for what could not be read, and for a name of the portal's that it was not told."""
    host = ""
    if isinstance(exception, DisallowedHost):
        host = request.META.get("HTTP_HOST", "")[:_MOST_OF_A_NAME]
    return _page("400.html", 400, host=host)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for what the reader's role may not do."""
    return _page("403.html", 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for an address of nothing, with the way to the list that the row would stand in."""
    return _page("404.html", 404, **_list_of(request.path_info))


def _list_of(path: str) -> dict[str, Any]:
    found = _OF_ROWS.match(path)
    if found is None:
        return {}
    try:
        model = apps.get_model(found[1], found[2])
        url = reverse(f"admin:{found[1]}_{found[2]}_changelist")
    except (LookupError, NoReverseMatch):
        return {}
    return {"list_url": url, "list_name": model._meta.verbose_name_plural}


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """A page for who gave too many wrong passwords, with how many minutes are left."""
    tries = AccessAttempt.objects.filter(
        username=get_client_username(request, credentials), ip_address=getattr(request, "axes_ip_address", "")
    )
    newest = tries.aggregate(at=Max("attempt_time"))["at"]
    lasts = get_cool_off(request) or timedelta()
    left = lasts if newest is None else newest + lasts - timezone.now()
    minutes = max(1, -(-left // timedelta(minutes=1)))
    return _page("429.html", 429, minutes=minutes)


def _page(template: str, status: int, **context: Any) -> HttpResponse:
    return HttpResponse(render_to_string(template, context), status=status)
