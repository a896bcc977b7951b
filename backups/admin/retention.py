"""The page that shows what the next forget would remove, and why the rest stays."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone

from backups.admin.base import page_url
from backups.models import Database, Repository
from backups.requests import retention_preview
from backups.text.sentences import phrase

# As many rows of each kind a browser shows well, of one database or of each of several; the command
# lists all.
_SHOWN, _SHOWN_OF_EACH = 500, 100
# Each is planned for the page, which is to be there within seconds.
_DATABASES = 20
_MAY_SEE = permission_required("backups.view_snapshot", raise_exception=True)


@_MAY_SEE
def repository_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Of all databases that are backed up to a repository."""
    repository = get_object_or_404(Repository, pk=pk)
    pages = Paginator(repository.databases.order_by("pk"), _DATABASES)
    try:
        page = pages.page(request.GET.get("page", 1))
    except InvalidPage:
        page = pages.page(1)
    found = retention_preview.previews(repository, timezone.now(), databases=list(page.object_list))
    return _page(request, repository, found, page)


@_MAY_SEE
def database_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Of one database."""
    database = get_object_or_404(Database.objects.select_related("repository", "server"), pk=pk)
    found = retention_preview.previews(database.repository, timezone.now(), databases=[database])
    return _page(request, database, found)


def _page(
    request: HttpRequest,
    subject: Model,
    found: list[retention_preview.Preview],
    page: Page[Database] | None = None,
) -> HttpResponse:
    most = _SHOWN if len(found) <= 1 else _SHOWN_OF_EACH
    context = {
        **admin.site.each_context(request),
        "title": phrase("Retention of {subject}", subject=subject),
        "back": page_url(subject),
        "subject": subject,
        "page": page,
        "notes": retention_preview.repository_notes(subject) if isinstance(subject, Repository) else [],
        "shown": [
            {
                "preview": each,
                "room": retention_preview.room_words(each.goes),
                "goes": each.goes[:most],
                "stays": each.stays[:most],
                "more_go": len(each.goes[most:]),
                "more_stay": len(each.stays[most:]),
            }
            for each in found
        ],
    }
    return TemplateResponse(request, "backups/retention.html", context)
