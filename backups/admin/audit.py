"""The admin log as a page: who did what, when."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from backups.admin.base import ReadOnlyAdmin
from backups.admin.filters import DaysFilter
from backups.text import formatting


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin):
    """What people did in the portal."""

    list_display = ("when", "user", "what", "of")
    list_display_links = None
    list_filter = (("user", RelatedDropdownFilter), ("action_time", DaysFilter))
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message")
    search_help_text = _("Name or message")
    ordering = ("-pk",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Administrators see it, as they may override the gate."""
        return request.user.has_perm("backups.override_gate")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The same."""
        return self.has_view_permission(request)

    @display(description=_("When"), ordering="action_time")
    def when(self, entry: LogEntry) -> str:
        """How long ago."""
        return formatting.time_with_age(entry.action_time)

    @display(description=_("What"))
    def what(self, entry: LogEntry) -> str:
        """What was done, in words."""
        return entry.get_change_message() or entry.get_action_flag_display()

    @display(description=_("To"))
    def of(self, entry: LogEntry) -> str:
        """What it was done to, with a link where it is still there."""
        try:
            url = entry.get_admin_url()
        except NoReverseMatch:
            url = None
        return formatting.link(url, entry.object_repr) if url and entry.object_id else entry.object_repr
