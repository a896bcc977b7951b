"""In which language the portal's pages are: the one chosen on a page, else the browser's, else English.

What other machines ask for is in English, whoever asks: a monitor compares its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers

# Below the address that the portal is served at; a proxy's prefix is no part of it.
_FOR_MACHINES = re.compile(r"/(?:sentinel/|static/|ok$|healthz$|metrics$)")


def of_the_reader(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that speaks the reader's language, also where a request is refused before any page."""
    of_django = LocaleMiddleware(get_response)

    def respond(request: HttpRequest) -> HttpResponseBase:
        if _FOR_MACHINES.match(request.path_info):
            with translation.override("en"):
                return get_response(request)
        response = cast(HttpResponseBase, of_django(request))
        # The chosen language comes in a cookie.
        patch_vary_headers(response, ("Cookie",))
        return response

    return respond
