"""The admin log as a page: who did what, when."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import BigIntegerField, Case, Model, Q, QuerySet, Value, When
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from backups.admin.base import ReadOnlyAdmin
from backups.admin.filters import DaysFilter
from backups.models import Database, Restore, Run, Snapshot, Verification
from backups.text import formatting

# What is done to one of these is done about its database.
_ABOUT: dict[type[Model], str] = {
    Run: "database", Snapshot: "database", Restore: "database", Verification: "run__database",
}  # fmt: skip


class DatabaseFilter(DropdownFilter):
    """What was done to a database, or to a run, a snapshot or a restore of it."""

    title = _("Database")
    parameter_name = "database"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """All of them."""
        return [(str(each.pk), each.name) for each in Database.objects.only("name").order_by("name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
        """The rows for what was chosen; a text that is no database's limits nothing."""
        chosen = self.value() or ""
        if not (chosen.isascii() and chosen.isdigit() and len(chosen) < 18):
            return queryset
        kinds = ContentType.objects.get_for_models(Database, *_ABOUT)
        # Of rows of others it may be any text, which no server is asked to read as a number.
        number = Case(
            When(content_type__in=kinds.values(), then=Cast("object_id", BigIntegerField())), default=None
        )
        wanted = Q(content_type=kinds[Database], number=int(chosen))
        for model, where in _ABOUT.items():
            rows = model._default_manager.filter(**{where: int(chosen)}).order_by().values("pk")
            wanted |= Q(content_type=kinds[model], number__in=rows)
        return queryset.annotate(number=number).filter(wanted)


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin):
    """What people did in the portal."""

    list_display = ("when", "who", "what", "of")
    list_display_links = None
    list_filter = (("user", RelatedDropdownFilter), DatabaseFilter, ("action_time", DaysFilter))
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message")
    search_help_text = _("Name or message")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        """Entries, each with whether its reader may go to people's pages."""
        may_see = request.user.has_perm("backups.manage_people")
        return super().get_queryset(request).annotate(sees_people=Value(may_see))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All who restore see it, and who may override the gate."""
        return request.user.has_perm("backups.run_restore") or request.user.has_perm("backups.override_gate")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The same."""
        return self.has_view_permission(request)

    @display(description=_("When"), ordering="action_time")
    def when(self, entry: LogEntry) -> str:
        """How long ago."""
        return formatting.time_with_age(entry.action_time)

    @display(description=_("Who"), ordering="user__username")
    def who(self, entry: LogEntry) -> str:
        """As what they sign in."""
        return entry.user.get_username()

    @display(description=_("What"))
    def what(self, entry: LogEntry) -> str:
        """What was done, in words, on as many lines as it takes."""
        words = entry.get_change_message() or entry.get_action_flag_display()
        return format_html('<span class="v-told">{}</span>', words)

    @display(description=_("To"))
    def of(self, entry: Any) -> str:
        """What it was done to, with a link where it is still there and its reader may see it."""
        content_type = entry.content_type
        if content_type and content_type.model_class() is User and not entry.sees_people:
            return str(entry.object_repr)
        try:
            url = entry.get_admin_url()
        except NoReverseMatch:
            url = None
        if entry.is_deletion() or not (url and entry.object_id):
            return str(entry.object_repr)
        return formatting.link(url, entry.object_repr)
