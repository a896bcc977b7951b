"""The gate over HTTP. It fails closed: whatever goes wrong is answered 503, never 200.

A database that nobody knows is 503 `missing`, not 404: nginx turns a 404 of its auth_request
into a 500, and a gate that is asked for the wrong name should simply be closed.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import OPEN, Observation, Verdict, Word, decide
from sentinel.observe import observe, verdict

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]
ALLOWED_METHODS = "GET, HEAD"


def fails_closed(view: View) -> View:
    """GET and HEAD only, nothing stored on the way, and 503 `invalid` for any exception.

    Exempt from CSRF checks so that a POST hears 405, not 403, where the portal serves the gate.
    """

    @csrf_exempt
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            response = plain("method not allowed", 405)
            response["Allow"] = ALLOWED_METHODS
            return response
        try:
            response = view(request, *args, **kwargs)
        except Exception:
            logger.exception("The gate failed and answers 503.")
            response = plain(*unjudged())
        return without_body(response) if request.method == "HEAD" else response

    return wrapped


def answer(database: str | None = None, drill: str = "") -> tuple[str, int, dict[str, str]]:
    """Body, status code and headers of the gate's answer. Never raises: it fails closed.

    `drill` is the word that the request carries: where it is that of a drill, the answer is `stale`.
    """
    try:
        limits, now = gate_settings(), datetime.now(UTC)
        if drill and heartbeat.is_drilled(limits.heartbeat_path, drill, now):
            word = Word.STALE.value
            return word, 503, text_headers(word) | {"X-Backup-Status": word}
        found = verdict(limits, now, database)
    except Exception:
        logger.exception("The gate failed and answers 503.")
        return unjudged()
    headers = text_headers(found.word) | {"X-Backup-Status": found.word.value}
    if found.age_seconds is not None:
        headers["X-Backup-Age"] = str(found.age_seconds)
    return found.word.value, 200 if found.open else 503, headers


@fails_closed
def ok(request: HttpRequest, database: str | None = None) -> HttpResponse:
    """200 or 503 and one word, for all databases that gate or for the one named."""
    return plain(*answer(database, request.headers.get(heartbeat.DRILL_HEADER, "")))


@fails_closed
def status(request: HttpRequest) -> HttpResponse:
    """The details as JSON, always 200: it tells about the gate, `/sentinel/ok` is the gate."""
    now = datetime.now(UTC)
    limits = gate_settings()
    observation = for_visitors(observe(limits, now))
    found = decide(observation, limits, now)
    response = JsonResponse(details(observation, found, limits, now))
    response["X-Backup-Status"] = found.word.value
    response["Cache-Control"] = "no-store"
    return response


def for_visitors(observation: Observation) -> Observation:
    """Without who keeps the gate open and what they wrote: a name is one to guess passwords of."""
    override = observation.override
    return replace(observation, override=override and replace(override, by="", reason=""))


def details(
    observation: Observation, found: Verdict, limits: GateSettings, now: datetime
) -> dict[str, object]:
    """What `/sentinel/status` tells: times in UTC, ages in seconds; no paths, secrets or people."""
    return {
        "open": found.open,
        "status": found.word,
        "reason": found.reason,
        "age_seconds": found.age_seconds,
        "database": found.database,
        "decided_by": found.decided_by,
        "now": iso(now),
        "first_boot": iso(observation.first_boot.time),
        "thresholds": {
            "threshold_seconds": limits.threshold_seconds,
            "boot_grace_seconds": limits.boot_grace_seconds,
            "verified_threshold_seconds": limits.verified_threshold_seconds,
            "log_threshold_seconds": limits.log_threshold_seconds,
        },
        "override": observation.override and {"until": iso(observation.override.until)},
        "databases": [
            {
                "name": one.name,
                "open": one.word in OPEN,
                "status": one.word,
                "reason": one.reason,
                "last_ok": iso(files.heartbeat.time),
                "age_seconds": one.age_seconds,
                "last_verified": iso(files.verified.time),
                "verified_age_seconds": one.verified_age_seconds,
                "is_logged": files.is_logged,
                "last_logged": iso(files.logged.time),
                "log_age_seconds": one.log_age_seconds,
                "decided_by": one.decided_by,
                "threshold_seconds": limits.threshold_seconds
                if files.threshold_seconds is None
                else files.threshold_seconds,
            }
            for one, files in zip(found.databases, observation.databases, strict=False)
        ],
    }


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Any other address of the stand-alone process."""
    return plain("not found", 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """What the stand-alone process says when even Django failed."""
    return plain(*unjudged())


def unjudged() -> tuple[str, int, dict[str, str]]:
    """The answer where no verdict could be reached."""
    word = Word.INVALID.value
    return word, 503, text_headers(word) | {"X-Backup-Status": word}


def text_headers(body: str) -> dict[str, str]:
    """Of a plain-text answer that nobody may store."""
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }


def plain(body: str, code: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """A plain-text answer."""
    return HttpResponse(body, status=code, headers=headers or text_headers(body))


def without_body(response: HttpResponse) -> HttpResponse:
    """The answer to HEAD: GET's headers, its length included, and no body."""
    response.setdefault("Content-Length", str(len(response.content)))
    response.content = b""
    return response


def iso(time: datetime | None) -> str | None:
    """A time as the status files hold it."""
    return heartbeat.stamp_text(time) if time else None


def gate_settings() -> GateSettings:
    """What the environment said at the start, in the portal as in the stand-alone process."""
    limits: GateSettings = settings.SENTINEL
    return limits
