"""Restores: where snapshots went, and what can still be undone."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from backups import humane
from backups.admin.base import ReadOnlyAdmin, page_url
from backups.choices import STATUS_COLOURS
from backups.models import Restore


@admin.register(Restore)
class RestoreAdmin(ReadOnlyAdmin):
    """The history of restores."""

    list_display = ("what", "state", "asked", "database", "mode", "target", "took")
    list_display_links = ("what",)
    list_filter = (("database", RelatedDropdownFilter), ("mode", ChoicesDropdownFilter))
    search_fields = ("snapshot__snapshot_id__startswith", "target")
    search_help_text = "Snapshot id or target"
    fields = (
        "run_link", "snapshot_link", "database", "mode", "target", "chosen_tables", "reason", "took",
        "safety_link", "kept_in", "swapped", "undone", "dropped",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Restore]:
        """Restores with what their pages show."""
        found = super().get_queryset(request).select_related("run", "snapshot", "database", "safety_snapshot")
        return found.defer("snapshot__manifest", "safety_snapshot__manifest")

    @display(description="Snapshot", ordering="snapshot")
    def what(self, restore: Restore) -> str:
        """Which snapshot."""
        return restore.snapshot.short_id

    @display(description="Status", label=STATUS_COLOURS)
    def state(self, restore: Restore) -> tuple[str, str]:
        """How its run ended."""
        return restore.run.status, restore.run.get_status_display()

    @display(description="Asked", ordering="run__queued_at")
    def asked(self, restore: Restore) -> str:
        """How long ago."""
        return humane.ago(restore.run.queued_at)

    @display(description="Restore took", ordering="restore_seconds")
    def took(self, restore: Restore) -> str:
        """How long the data took to load."""
        return humane.duration(restore.restore_seconds)

    @display(description="Run")
    def run_link(self, restore: Restore) -> str:
        """The run that did it."""
        return humane.link(page_url(restore.run), restore.run)

    @display(description="Snapshot")
    def snapshot_link(self, restore: Restore) -> str:
        """What was restored."""
        return humane.link(page_url(restore.snapshot), restore.snapshot)

    @display(description="Tables")
    def chosen_tables(self, restore: Restore) -> str:
        """Which tables."""
        return ", ".join(restore.tables) or "All"

    @display(description="Safety backup")
    def safety_link(self, restore: Restore) -> str:
        """The backup that was made before."""
        safety = restore.safety_snapshot
        return humane.link(page_url(safety), safety) if safety else humane.EMPTY

    @display(description="Swapped in")
    def swapped(self, restore: Restore) -> str:
        """When the restored tables took the place of the live ones."""
        return humane.both(restore.swapped_at)

    @display(description="Undone")
    def undone(self, restore: Restore) -> str:
        """When the swap was undone."""
        return humane.both(restore.undone_at)

    @display(description="Kept tables dropped")
    def dropped(self, restore: Restore) -> str:
        """When the tables from before were dropped."""
        return humane.both(restore.dropped_at)
