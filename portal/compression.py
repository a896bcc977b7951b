"""Pages and their files are sent smaller to a browser that takes gzip, whatever is in front of the portal.

A file is kept by the browser for good where its address says what is in it, and else for a minute.

Nothing else is: what machines ask for (the gate's words, /healthz, /metrics) stays as it is, and a download
is a stream, which must wait for no more of itself.

How small an answer becomes tells something of what is in it (https://breachattack.com). What is secret in a
page is the token of its forms, which Django writes otherwise each time; and each answer gets a random length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from whitenoise.compress import Compressor
from whitenoise.middleware import WhiteNoiseMiddleware

from portal import static_files

_PAGES = "/admin/"
_FOR_GOOD = f"max-age={WhiteNoiseMiddleware.FOREVER}, public, immutable"


def pages_smaller(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that compresses what is there as a whole."""
    gzip = GZipMiddleware(get_response)

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.streaming or not request.path_info.startswith(_PAGES):
            return response
        return gzip.process_response(request, response)

    return respond


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise, for which a checkout and a wheel have no compressed files that it could send.

    What was asked for once is kept compressed in memory: a megabyte or two, if somebody asks for everything.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        self._compressor = Compressor(quiet=True)
        self._smaller: dict[tuple[str, str], bytes] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The static file of this address, with a digest or without; else what comes after."""
        path, is_current = static_files.told_apart(request.path_info)
        static_file = self.find_file(path) if self.autorefresh else self.files.get(path)
        if static_file is None:
            return self.get_response(request)
        response = self._smaller_of(static_file, request, path)
        if is_current and response.status_code < 400:
            response["Cache-Control"] = _FOR_GOOD
        return response

    def _smaller_of(self, static_file: Any, request: HttpRequest, path: str) -> Any:
        """The file, or what the browser is told instead of it."""
        response = self.serve(static_file, request)
        if not self._compressor.should_compress(path):
            return response
        patch_vary_headers(response, ["Accept-Encoding"])
        # A part of a file is one of the file itself, and HEAD brings none.
        is_whole = request.method == "GET" and response.status_code == 200
        if not is_whole or not re_accepts_gzip.search(request.headers.get("Accept-Encoding", "")):
            return response
        return self._compressed(response, path)

    def _compressed(self, response: Any, path: str) -> Any:
        key = (path, response.get("ETag", ""))
        content = self._smaller.get(key)
        if content is None:
            content = self._smaller[key] = self._compressor.compress_gzip(response.getvalue())
        # The same answer, which still closes its file.
        response.streaming_content = [content]
        response["Content-Encoding"] = "gzip"
        response["Content-Length"] = str(len(content))
        return response
