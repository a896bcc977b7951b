"""Snapshots: what the repositories hold, and for each what is in it and what changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from backups.admin import doubtful
from backups.admin.accepting import AcceptForm, accept_dialog, may_accept, say_so
from backups.admin.base import get_or_none, page_url, proof_label, redirect
from backups.admin.comparing import ComparingAdmin
from backups.admin.dialogs import dialog
from backups.admin.filters import DaysFilter
from backups.admin.pinning import PinnedFilter, PinningAdmin, with_pins
from backups.choices import BAD_VERDICTS, VERDICT_COLOURS, Verdict
from backups.models import Pin, Snapshot, Suspicion
from backups.requests import VerifyRequest
from backups.snapshots import retention
from backups.snapshots.selection import instead_of, known_bad_words
from backups.text import formatting
from backups.text.sentences import joined, phrase, plural

# Sections of a dump that hold a table's structure and its rows.
_TABLE_KINDS = frozenset({"table", "rows"})


class HeldFilter(DropdownFilter):
    """Those that the repository still holds, unless asked otherwise."""

    title = "where"
    parameter_name = "held"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen beside the default."""
        return [("gone", phrase("Forgotten")), ("all", phrase("In the repository and forgotten"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Snapshot]) -> QuerySet[Snapshot]:
        """The rows for what was chosen."""
        if self.value() == "all":
            return queryset
        return queryset.filter(forgotten_at__isnull=self.value() != "gone")


class VerifiedFilter(DropdownFilter):
    """Verified, known to be bad, or neither."""

    title = "verified"
    parameter_name = "verified"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be known of one."""
        return [
            ("yes", phrase("Verified")),
            ("bad", phrase("Known to be bad")),
            ("no", phrase("Not verified")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Snapshot]) -> QuerySet[Snapshot]:
        """The rows for what was chosen."""
        if self.value() == "bad":
            return queryset.filter(verdict__in=BAD_VERDICTS)
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(verified_at__isnull=self.value() == "no")


@admin.register(Snapshot)
class SnapshotAdmin(PinningAdmin, ComparingAdmin):
    """What the repositories hold."""

    list_display = ("name", "made", "of", "verified", "dump_size", "added", "kept")
    list_display_links = ("name",)
    list_filter = (
        HeldFilter,
        VerifiedFilter,
        PinnedFilter,
        ("database", RelatedDropdownFilter),
        ("database__labels", RelatedDropdownFilter),
        ("repository", RelatedDropdownFilter),
        ("time", DaysFilter),
    )
    search_fields = ("snapshot_id__startswith",)
    search_help_text = _("Snapshot id")
    ordering = ("-time", "-pk")
    actions_detail = (
        "accept", "restore", "what_changed", "verify",
        {"title": _("Keep or forget"), "icon": "keep", "items": ["pin", "unpin", "forget"]},
    )  # fmt: skip
    change_form_template = "backups/snapshot.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """Snapshots without their manifests, which may be large."""
        rows = super().get_queryset(request).select_related("database", "repository", "suspicion")
        return with_pins(rows).defer("manifest")

    def get_fieldsets(self, request: HttpRequest, obj: Snapshot | None = None) -> list[Any]:
        """None: the page has a template of its own."""
        return []

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """None for what is not in the repository any more."""
        if get_or_none(Snapshot.objects.present().only("pk"), object_id) is None:
            return []
        return super().get_actions_detail(request, object_id)

    # ------------------------------------------------------------ The list

    @display(description=_("Snapshot"), ordering="snapshot_id")
    def name(self, snapshot: Snapshot) -> str:
        """The short id, as restic prints it, and whether it is pinned."""
        if not snapshot.is_pinned:  # type: ignore[attr-defined]
            return snapshot.short_id
        return format_html("{} {}", snapshot.short_id, formatting.label(phrase("Pinned"), "info"))

    @display(description=_("Made"), ordering="time")
    def made(self, snapshot: Snapshot) -> str:
        """When, and how long ago."""
        return formatting.two_lines(
            formatting.short_time(snapshot.time), formatting.relative_time(snapshot.time)
        )

    @display(description=_("Database"), ordering="database")
    def of(self, snapshot: Snapshot) -> str:
        """Whose dump it is."""
        return str(snapshot.database or formatting.EMPTY)

    @display(description=_("Verified"), ordering="verified_at")
    def verified(self, snapshot: Snapshot) -> str:
        """When it was proved by a restore."""
        return proof_label(snapshot)

    @display(description=_("Dump size"), ordering="total_bytes_processed")
    def dump_size(self, snapshot: Snapshot) -> str:
        """The size of the dump."""
        return formatting.size(snapshot.total_bytes_processed)

    @display(description=_("Added"), ordering="data_added_packed")
    def added(self, snapshot: Snapshot) -> str:
        """What it takes in the repository."""
        return formatting.size(added_bytes(snapshot))

    @display(description=_("Kept as"))
    def kept(self, snapshot: Snapshot) -> str:
        """Which retention rules keep it."""
        return kept_words(snapshot) or formatting.EMPTY

    # ------------------------------------------------------------ The page

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The snapshot's own page."""
        snapshot: Snapshot = kwargs["obj"]
        before = _before(snapshot)
        suspicion = Suspicion.objects.filter(snapshot=snapshot).first()
        context |= {
            "title": phrase("Snapshot {snapshot}", snapshot=snapshot.short_id),
            "subtitle": None,
            "snapshot": snapshot,
            "suspicion": suspicion,
            "compare": doubtful.of_suspicion(request, suspicion),
            "bad": known_bad_words(snapshot),
            "instead": instead_of(snapshot) if snapshot.is_known_bad else "",
            "before": before,
            "added": added_bytes(snapshot),
            "kept": kept_words(snapshot),
            "pins": Pin.objects.standing(timezone.now()).filter(snapshot=snapshot),
            "has_manifest": bool(snapshot.manifest),
            "may_restore": self.has_run_restore_permission(request)
            and snapshot.forgotten_at is None
            and snapshot.database_id is not None,
            "restore_url": reverse("snapshot-restore", args=[snapshot.pk]),
            "tables": tables(snapshot.manifest, before.manifest if before else None),
            "objects": _objects(snapshot.manifest),
            "verifications": [
                (verification, VERDICT_COLOURS[Verdict(verification.verdict)])
                for verification in snapshot.verifications.select_related("run")[:5]
            ],
            "show_history": False,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def has_accept_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may say that this backup is right, and it waits for that."""
        return may_accept(request, AcceptForm.by_field, object_id)

    @action(
        description=_("It is right"), icon="task_alt", variant=ActionVariant.PRIMARY, permissions=["accept"],
        dialog=accept_dialog(AcceptForm),
    )  # fmt: skip
    def accept(self, request: HttpRequest, form: AcceptForm, object_id: str) -> HttpResponse:
        """Accept this suspicious backup."""
        snapshot = self.found(request, object_id)
        return say_so(self, request, snapshot, AcceptForm.by_field, form.cleaned_data["reason"])

    @action(
        description=_("Restore or download"), icon="settings_backup_restore",
        variant=ActionVariant.PRIMARY, permissions=["run_restore"],
    )  # fmt: skip
    def restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the page where a restore is chosen and begun."""
        return redirect(request, reverse("snapshot-restore", args=[self.found(request, object_id).pk]))

    @action(description=_("Forget by hand"), icon="delete", permissions=["run_maintenance"])
    def forget(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the page that says what keeps it, and asks why it is to go."""
        return redirect(request, reverse("snapshot-forget", args=[self.found(request, object_id).pk]))

    @action(
        description=_("Verify"), icon="fact_check", permissions=["run_verify"],
        dialog=dialog(
            phrase("Verify this snapshot?"),
            phrase("It is restored in full into a scratch database and compared byte for byte. The live "
"database is not touched, but its server may have more to do meanwhile."),
            phrase("Verify"),
        ),
    )  # fmt: skip
    def verify(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a verification of this snapshot."""
        snapshot = self.found(request, object_id)
        if snapshot.database is None or snapshot.forgotten_at:
            self.message_user(
                request, phrase("This snapshot cannot be verified: no database is set up for it."), "error"
            )
            return redirect(request, page_url(snapshot))
        return self.start(request, snapshot, VerifyRequest(snapshot.database, snapshot))


@dataclass(frozen=True)
class TableRow:
    """A table in a snapshot beside the snapshot before."""

    name: str
    size: int | None
    before: int | None
    share: float

    @property
    def change(self) -> str:
        """New, gone, grown, shrunk or the same, in words."""
        if self.size is None:
            return phrase("gone")
        if self.before is None:
            return phrase("new")
        if self.size == self.before:
            return phrase("unchanged in size")
        grown = self.size - self.before
        return phrase(
            "{more} by {distance}",
            more=(phrase("grown") if grown > 0 else phrase("shrunk")),
            distance=formatting.size(abs(grown)),
        )

    @property
    def colour(self) -> str:
        """What stands out."""
        return {"gone": "warning", "new": "info"}.get(self.change, "plain")


def tables(manifest: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> list[TableRow]:
    """The tables of a snapshot with those that are gone since the one before, largest first."""
    sizes, earlier = _sizes(manifest), _sizes(before)
    largest = max(sizes.values(), default=0) or 1
    gone = earlier.keys() - sizes.keys()
    rows = [
        TableRow(name, size, earlier.get(name) if earlier else size, size * 100 / largest)
        for name, size in sizes.items()
    ]
    rows += [TableRow(name, None, earlier[name], 0.0) for name in gone if sizes]
    return sorted(rows, key=lambda row: (-(row.size or 0), row.name))


def added_bytes(snapshot: Snapshot) -> int | None:
    """What the snapshot added to the repository, compressed where restic said so."""
    packed = snapshot.data_added_packed
    return snapshot.data_added if packed is None else packed


def kept_words(snapshot: Snapshot) -> str:
    """The retention rules that keep a snapshot, as in "daily, monthly"."""
    return retention.in_short(snapshot.kept_because)


def _sizes(manifest: Mapping[str, Any] | None) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for section in (manifest or {}).get("sections", []):
        if section["kind"] in _TABLE_KINDS:
            sizes[section["name"]] = sizes.get(section["name"], 0) + section["bytes"]
    return sizes


def _objects(manifest: Mapping[str, Any] | None) -> str:
    """How many of what, as in "12 tables, 2 views, 1 trigger"."""
    inventory: Mapping[str, list[str]] = (manifest or {}).get("inventory", {})
    held = [(kind, len(names)) for kind, names in inventory.items() if names]
    return joined(
        (_COUNTED[kind](n) if kind in _COUNTED else f"{n} {kind}" for kind, n in held),
        ", ",
    )


_COUNTED: Mapping[str, Callable[[int], str]] = {
    "table": lambda n: plural("{n} table", "{n} tables", n=n),
    "view": lambda n: plural("{n} view", "{n} views", n=n),
    "sequence": lambda n: plural("{n} sequence", "{n} sequences", n=n),
    "trigger": lambda n: plural("{n} trigger", "{n} triggers", n=n),
    "event": lambda n: plural("{n} event", "{n} events", n=n),
    "procedure": lambda n: plural("{n} procedure", "{n} procedures", n=n),
    "function": lambda n: plural("{n} function", "{n} functions", n=n),
    "package": lambda n: plural("{n} package", "{n} packages", n=n),
    "package body": lambda n: plural("{n} package body", "{n} package bodies", n=n),
}


def _before(snapshot: Snapshot) -> Snapshot | None:
    """The snapshot before this one that has a manifest."""
    if not snapshot.manifest or snapshot.database_id is None:
        return None
    return (
        Snapshot.objects.filter(database=snapshot.database_id, time__lt=snapshot.time, manifest__isnull=False)
        .order_by("-time")
        .first()
    )
