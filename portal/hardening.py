"""What every process that holds secrets does first, and what every page forbids the browser."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import suppress

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# unfold's pages need inline scripts and Alpine's eval; what is left still keeps a page from loading,
# framing, posting to or telling anything elsewhere.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def keep_private() -> None:
    """Keep this process's files from others, and its memory, with that of all it starts, off the disk."""
    # The portal's database is nobody else's business; the gate's files set their own mode.
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # One byte and not none: Linux hands a core to a program that asks for it whatever the limit is,
    # but not with this one (core(5) says where cores may go; the kernel's coredump.c has the one).
    least = 1 if most else 0
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that sends the policy with every page."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        return response

    return respond
