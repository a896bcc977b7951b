"""The first page as it is asked for: as a whole, and every few seconds what of it has changed.

What is asked for again comes with the tag of what the browser has, in `If-None-Match`, and is answered by 304
where that is what there is. A tag has two parts: of all that is shown but how far runs are, and of that. So
while something runs the rest is not worked out anew. For what a tag may leave out, and for how long, see
`marks`. The tag is of one session: as that ends with any of its person's rights, whoever still has it may
still see the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import get_language

from backups import __version__, marks
from backups.admin import dashboard, gate
from backups.text.sentences import phrase

_EVERY_BUSY, _EVERY_IDLE = 2, 15
_PROXIES = ("vedetta.unlisted_proxy", "vedetta.unbelieved_proxy")


class Tag(NamedTuple):
    """Of what a browser has of the page."""

    page: str
    runs: str

    @classmethod
    def sent_with(cls, request: HttpRequest) -> Tag:
        """The one that comes with a request."""
        page, _, runs = request.headers.get("If-None-Match", "").removeprefix("W/").strip('"').partition(".")
        return cls(page, runs)

    def __str__(self) -> str:
        return f'"{self.page}.{self.runs}"'


def callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What unfold asks for the first page."""
    context |= {"title": phrase("Dashboard"), "may_see": request.user.has_perm("backups.view_run")}
    if context["may_see"]:
        # First: what changes while the page is made is news then.
        versions = marks.Versions(with_beats=True)
        tag = _tag(request, versions.version, versions.beats)
        context |= dashboard.state(request, versions)
        context |= {"tab_title": dashboard.tab_title(context), "tag": tag}
    return context


def live_view(request: HttpRequest) -> HttpResponseBase:
    """What of the first page has changed, or that nothing has."""
    request.vedetta_asks = (marks.rows(), marks.beats())  # type: ignore[attr-defined]
    return admin.site.admin_view(_live)(request)


def _live(request: HttpRequest) -> HttpResponse:
    answers = request.vedetta_answers  # type: ignore[attr-defined]
    known = Tag.sent_with(request)
    beats = [beat for kind, beat in answers if kind == marks.BEAT]
    tag = _tag(request, marks.version_of(answers), beats)
    # Who has a tag of this session was asked for this right before.
    if known.page and known == tag:
        return HttpResponseNotModified(headers={"ETag": str(known)})
    if not request.user.has_perm("backups.view_run"):
        return JsonResponse({}, status=403)
    news = _runs(request) if known.page == tag.page else _all(request)
    return JsonResponse(news, headers={"ETag": str(tag)})


def _runs(request: HttpRequest) -> dict[str, Any]:
    """How far runs are."""
    context = dashboard.running(timezone.now())
    html = render_to_string("backups/dashboard_running.html", context, request)
    return {"over": False, "every": _every(context), "parts": {"running": html}}


def _all(request: HttpRequest) -> dict[str, Any]:
    context = dashboard.state(request, marks.Versions(with_beats=True))
    return {
        "over": False,
        "every": _every(context),
        "chip": gate.chip(context["gate"]),
        "title": f"{dashboard.tab_title(context)} | {settings.UNFOLD['SITE_TITLE']}",
        "badges": dashboard.badges(request),
        "charts": [chart["data"] for chart in context.get("charts", ())],
        "html": render_to_string("backups/dashboard.html", context, request),
    }


def _every(context: dict[str, Any]) -> int:
    """After how many seconds it is asked for again."""
    return _EVERY_BUSY if context["active"] else _EVERY_IDLE


def _tag(request: HttpRequest, version: str, beats: Iterable[int]) -> Tag:
    asked = dashboard.Asked.by(request)
    said = (
        __version__, version, _status_folder(), request.session.session_key, get_language(), asked,
        [request.META.get(name) for name in _PROXIES],
    )  # fmt: skip
    return Tag(_digest(said), _digest(sorted(map(int, beats))))


def _status_folder() -> int:
    """Changes with the override, the first database's heartbeat and the list of those that gate.

    Each is put into its place as a whole. Further heartbeats follow runs, which leave marks.
    """
    with suppress(OSError):
        return int(settings.SENTINEL.heartbeat_path.parent.stat().st_mtime_ns)
    return 0


def _digest(said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()[:20]
