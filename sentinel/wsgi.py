"""The gate as a process of its own: `gunicorn sentinel.wsgi`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

import django
from django.core.cache import close_caches
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries

from sentinel.observe import note_start
from sentinel.views import answer, gate_settings

GUNICORN_DO_NOT_RESPAWN = 3  # gunicorn.arbiter.Arbiter.WORKER_BOOT_ERROR
ASKED_BY_NGINX = frozenset({"/sentinel/ok", "/ok"})


class GateApplication:
    """Django, and a short way for the question that nginx asks for every visitor.

    The answer is the view's own; only request, resolver and response objects are saved, which
    cost more than the decision.
    """

    def __init__(self) -> None:
        self.django = WSGIHandler()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or environ.get("PATH_INFO") not in ASKED_BY_NGINX:
            return self.django(environ, start_response)
        body, code, headers = answer(drill=environ.get("HTTP_X_VEDETTA_DRILL", ""))
        start_response(f"{code} {HTTPStatus(code).phrase}", list(headers.items()))
        return [body.encode()]


def start() -> GateApplication:
    """Make the application and note the first boot.

    Raises SystemExit, after one sentence on standard error, when the environment is wrong. Its
    status makes gunicorn give up also where it does not preload, instead of trying for ever.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "sentinel.settings"  # never the portal's
    try:
        django.setup(set_prefix=False)
        # The boot grace counts from here, not from the first question.
        note_start(gate_settings().heartbeat_path, datetime.now(UTC))
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        raise SystemExit(GUNICORN_DO_NOT_RESPAWN) from None
    disconnect_what_is_not_used()
    return GateApplication()


def disconnect_what_is_not_used() -> None:
    """Spare each request Django's tidying of databases and caches, of which there are none."""
    request_started.disconnect(reset_queries)
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    request_finished.disconnect(close_caches)


application = start()
