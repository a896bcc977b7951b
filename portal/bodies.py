"""Forms are looked at once they are here as a whole, and are no larger than any form of the portal's.

gunicorn and Django take a form whose end never came for a shorter one, and so half of a name for a name.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from backups.text.sentences import phrase

# nginx lets no more through either (client_max_body_size).
MOST_BYTES = 1_000_000
# Python reads no number of thousands of digits.
_MOST_DIGITS = 18


def whole_or_refused(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that reads what a request brings before anything is made of it."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        length = str(request.META.get("CONTENT_LENGTH") or 0)
        if not length.isdecimal() or len(length) > _MOST_DIGITS or int(length) > MOST_BYTES:
            return _refused(
                request,
                413,
                phrase("No more than {bytes} bytes are taken at once. Nothing was done.", bytes=MOST_BYTES),
            )
        if int(length) and not _is_whole(request, int(length)):
            return _refused(
                request, 400, phrase("Not all of it arrived, so nothing was done. Send it again.")
            )
        return get_response(request)

    return respond


def _is_whole(request: HttpRequest, length: int) -> bool:
    try:
        return len(request.body) == length
    except UnreadablePostError:
        return False


def _refused(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """A page where people send forms; a line of text for all else."""
    if request.path_info.startswith("/admin/"):
        return HttpResponse(render_to_string("400.html", {"sentence": sentence}), status=status)
    return HttpResponse(str(sentence), status=status, content_type="text/plain; charset=utf-8")
