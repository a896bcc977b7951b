"""What other machines ask of the portal: `/metrics` and `/healthz`."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.defaults import server_error as default_server_error
from prometheus_client import CONTENT_TYPE_LATEST

import backups
from backups.portal_copy.portal_database import database_problem, room_problem
from backups.reports import metrics as figures


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for Prometheus, to whoever shows METRICS_TOKEN; there is no such page without one."""
    if not settings.METRICS_TOKEN:
        return _plain("not found", 404)
    if not _shows_token(request):
        response = _plain("unauthorized", 401)
        response["WWW-Authenticate"] = "Bearer"
        return response
    return HttpResponse(figures.exposition(), content_type=CONTENT_TYPE_LATEST)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the portal's database answers, is up to date and can be written to, else 503 and why.

    Who shows METRICS_TOKEN is told the version as well, in a header: a visitor would know from it which
    holes to try.
    """
    problem = room_problem() or database_problem()
    response = _plain(problem, 503) if problem else _plain("ok", 200)
    if settings.METRICS_TOKEN and _shows_token(request):
        response["X-Vedetta-Version"] = backups.__version__
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """A page for what went wrong; where it is the portal's database, what to do about it."""
    if problem := database_problem(thoroughly=True):
        return HttpResponse(render_to_string("503.html", {"problem": problem}), status=503)
    return default_server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A page for a form that is of before its reader signed in anew; what a dialog needs is in its header."""
    response = HttpResponse(render_to_string("403_csrf.html", {"back": request.get_full_path()}), status=403)
    response["X-Vedetta-Refused"] = "token"
    return response


def _shows_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    known = settings.METRICS_TOKEN.encode()
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), known)


def _plain(text: str, status: int) -> HttpResponse:
    return HttpResponse(str(text), status=status, content_type="text/plain; charset=utf-8")
