"""The page that shows what the next forget would remove, and why the rest stays."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone

from backups.admin.base import page_url
from backups.models import Database, Repository
from backups.requests import retention_preview
from backups.text.sentences import phrase

# As many rows of each kind a browser shows well; the command lists all.
_SHOWN = 500
_MAY_SEE = permission_required("backups.view_snapshot", raise_exception=True)


@_MAY_SEE
def repository_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Of all databases that are backed up to a repository."""
    repository = get_object_or_404(Repository, pk=pk)
    found = retention_preview.previews(repository, timezone.now())
    return _page(request, repository, found)


@_MAY_SEE
def database_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Of one database."""
    database = get_object_or_404(Database.objects.select_related("repository", "server"), pk=pk)
    found = retention_preview.previews(database.repository, timezone.now(), databases=[database])
    return _page(request, database, found)


def _page(request: HttpRequest, subject: Model, found: list[retention_preview.Preview]) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": phrase("Retention of {subject}", subject=subject),
        "back": page_url(subject),
        "subject": subject,
        "shown": [
            {
                "preview": each,
                "room": retention_preview.room_words(each.goes),
                "goes": each.goes[:_SHOWN],
                "stays": each.stays[:_SHOWN],
                "more_go": len(each.goes[_SHOWN:]),
                "more_stay": len(each.stays[_SHOWN:]),
            }
            for each in found
        ],
    }
    return TemplateResponse(request, "backups/retention.html", context)
