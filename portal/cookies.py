"""Cookies that are this portal's alone, whatever else is served under the same host name.

Browsers send a cookie to all of a host's ports, and to all its addresses below the cookie's path. So
the portal's have a name that no other application has, nor another portal, and its pages' own path.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse


def cookie_name(kind: str, secret_key: str, database: Mapping[str, Any]) -> str:
    """A name that differs from portal to portal: by its key, and by where its sessions are kept."""
    place = " ".join(str(database.get(part, "")) for part in ("ENGINE", "HOST", "PORT", "NAME"))
    installation = hmac.digest(secret_key.encode(), f"cookies of {place}".encode(), "sha256").hex()[:8]
    return f"vedetta_{kind}_{installation}"


def on_the_portals_pages_only(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that gives the cookies the path of the pages, also behind a proxy's /vedetta/.

    It stands before those that set them.
    """

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME):
            if name in response.cookies:
                response.cookies[name]["path"] = reverse("admin:index")
        return response

    return respond
