"""What every process that holds secrets does first, and what every page forbids the browser."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import suppress

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Nothing that was written into a page runs: scripts are files of the portal, and none evaluates text.
# Only styles may stand in a page, which unfold, its charts and its scroll bars write there.
_CONTENT = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
# What a browser would otherwise let a page ask for, or use unasked, and no page of the portal does.
# Names are of https://github.com/w3c/webappsec-permissions-policy/blob/main/features.md; browsers
# that do not know one leave it out.
_TAKEN = (
    "accelerometer", "autoplay", "bluetooth", "browsing-topics", "camera", "clipboard-read",
    "compute-pressure", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid",
    "idle-detection", "keyboard-map", "local-fonts", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "screen-wake-lock", "serial", "storage-access", "usb", "window-management",
    "xr-spatial-tracking",
)  # fmt: skip
_NOT_MODIFIED = 304
_PERMISSIONS = ", ".join(f"{name}=()" for name in _TAKEN)


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


def tell_browsers(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that sends both policies with every answer that brings anything.

    It stands before all others, because some of those answer themselves: with static files, redirects
    and refusals.
    """

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code == _NOT_MODIFIED:
            # What the browser has keeps its own. Every few seconds they would be most of the answer.
            return response
        response.headers.setdefault("Content-Security-Policy", _CONTENT)
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS)
        return response

    return respond
