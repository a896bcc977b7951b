"""Labels: by which databases are grouped, and lists are filtered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from backups.admin.base import VedettaAdmin
from backups.models import Label
from backups.text import formatting


@admin.register(Label)
class LabelAdmin(VedettaAdmin):
    """Words that several databases share; one that is deleted leaves these as they are."""

    list_display = ("name", "on")
    search_fields = ("name",)
    fields = ("name",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Label]:
        """Labels with their databases."""
        return super().get_queryset(request).prefetch_related("databases")

    @display(description=_("Databases"))
    def on(self, label: Label) -> str:
        """Which databases have it, leading to their list."""
        names = ", ".join(map(str, label.databases.all()))
        url = reverse("admin:backups_database_changelist")
        return formatting.link(f"{url}?labels__id__exact={label.pk}", names) if names else formatting.EMPTY

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """A form of one field; few want to add another at once."""
        context["show_save_and_add_another"] = False
        return super().render_change_form(request, context, *args, **kwargs)
