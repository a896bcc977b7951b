"""Verifications: what each full test restore found."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from backups.admin import doubtful
from backups.admin.base import ReadOnlyAdmin
from backups.admin.filters import DaysFilter
from backups.choices import BAD_VERDICTS, VERDICT_COLOURS, Verdict
from backups.models import Database, Verification
from backups.text import formatting
from backups.text.sentences import number, phrase


def badge(request: HttpRequest) -> str:
    """Of how many databases the newest verification failed, for the sidebar of every page."""
    if not request.user.has_perm("backups.view_verification"):
        return ""
    # The first page has judged all of them.
    if (known := getattr(request, "vedetta_bad_proofs", None)) is not None:
        return str(known or "")
    mine = Verification.objects.filter(snapshot__database=OuterRef("pk")).order_by("-finished_at", "-pk")
    newest = Database.objects.in_service().annotate(newest_verdict=Subquery(mine.values("verdict")[:1]))
    return str(newest.filter(newest_verdict__in=BAD_VERDICTS).count() or "")


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """Proofs that a snapshot can be restored."""

    list_display = ("what", "found", "done", "of", "restore_took", "tables", "row_count", "restored")
    list_display_links = ("what",)
    list_filter = (
        ("verdict", ChoicesDropdownFilter),
        ("run__database", RelatedDropdownFilter),
        ("run__database__labels", RelatedDropdownFilter),
        ("finished_at", DaysFilter),
    )
    search_fields = ("snapshot__snapshot_id__startswith",)
    search_help_text = _("Snapshot id")
    ordering = ("-finished_at", "-pk")
    change_form_template = "backups/verification.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Verification]:
        """Verifications with what their pages show."""
        found = super().get_queryset(request).select_related("snapshot", "run__database")
        return found.defer("snapshot__manifest")

    def get_fieldsets(self, request: HttpRequest, obj: Verification | None = None) -> list[Any]:
        """None: the page has a template of its own."""
        return []

    @display(description=_("Snapshot"), ordering="snapshot")
    def what(self, verification: Verification) -> str:
        """Which snapshot."""
        return verification.snapshot.short_id

    @display(description=_("Verdict"), label=VERDICT_COLOURS, ordering="verdict")
    def found(self, verification: Verification) -> tuple[str, str]:
        """The verdict as a coloured label."""
        return verification.verdict, verification.get_verdict_display()

    @display(description=_("Done"), ordering="finished_at")
    def done(self, verification: Verification) -> str:
        """How long ago."""
        return formatting.relative_time(verification.finished_at)

    @display(description=_("Database"), ordering="run__database")
    def of(self, verification: Verification) -> str:
        """Whose dump it is."""
        return str(verification.run.database or formatting.EMPTY)

    @display(description=_("Restore took"), ordering="restore_seconds")
    def restore_took(self, verification: Verification) -> str:
        """The measured recovery time."""
        return formatting.duration(verification.restore_seconds)

    @display(description=_("Rows"), ordering="rows")
    def row_count(self, verification: Verification) -> str:
        """How many rows were restored."""
        return formatting.EMPTY if verification.rows is None else number(verification.rows)

    @display(description=_("Size"), ordering="bytes")
    def restored(self, verification: Verification) -> str:
        """How many bytes were compared."""
        return formatting.size(verification.bytes)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The verification's own page."""
        verification: Verification = kwargs["obj"]
        context |= {
            "title": phrase("Verification of {snapshot}", snapshot=verification.snapshot.short_id),
            "subtitle": None,
            "verification": verification,
            "compare": doubtful.of_verification(request, verification),
            "colour": VERDICT_COLOURS[Verdict(verification.verdict)],
            "show_history": False,
        }
        return super().render_change_form(request, context, *args, **kwargs)
