"""Restores: where snapshots went, and what can still be undone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from backups.admin import asked
from backups.admin.base import ReadOnlyAdmin, get_or_none, page_url, redirect, refused, run_url
from backups.admin.dialogs import FactsForm, dialog
from backups.choices import STATUS_COLOURS, Status, Trigger
from backups.errors import Problem
from backups.models import Restore
from backups.requests import Asker, DefineRequest, DropKeptRequest, UndoRequest
from backups.requests.questions import KeptSizeQuestion, ask_unless_just_asked
from backups.restoring import kept_states
from backups.snapshots.retention import SAFETY_KEPT
from backups.text import formatting
from backups.text.sentences import phrase


class ReasonForm(FactsForm):
    """Why it is done, for the admin log."""

    reason = forms.CharField(label=_("Why"), max_length=300, widget=UnfoldAdminTextInputWidget)

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """What is kept, and where."""
        restore = get_or_none(Restore.objects.all(), object_id)
        if restore is None or restore.swapped_at is None:
            raise Http404
        return [
            (phrase("Database"), restore.target),
            (
                phrase("Tables as they were"),
                phrase(
                    "in {kept_in}, since {swapped_at}",
                    kept_in=restore.kept_in,
                    swapped_at=formatting.clock(restore.swapped_at),
                ),
            ),
            (phrase("What that is"), kept_states.State(restore, "", None).what),
        ]


class UndoForm(ReasonForm):
    """As above, with the newer restores that are passed over."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Also which restores lie upon it."""
        restore = Restore.objects.select_related("database__server").get(pk=object_id)
        lying = kept_states.laid(restore.database, restore.target)
        newer = [str(one.run_id) for one in lying if one.pk > restore.pk]
        passed = [(phrase("Newer restores that go with it"), ", ".join(newer))] if newer else []
        return [*super().facts(object_id), *passed]


class AgainForm(FactsForm):
    """What was left out, and why."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Each definition with the server's reason."""
        restore = get_or_none(Restore.objects.all(), object_id)
        if restore is None:
            raise Http404
        return [(f"{one['kind']} {one['name']}", one["why"]) for one in restore.definitions_left]


class DropForm(ReasonForm):
    """As above, with the space that a drop frees."""

    def get_before_template_context(
        self, request: HttpRequest, object_id: int | str | None = None
    ) -> dict[str, Any]:
        """Also what the worker says, which may not answer."""
        known = self.facts(str(object_id))
        question = KeptSizeQuestion(Restore.objects.get(pk=str(object_id)))
        freed = asked.answered(ask_unless_just_asked(question, asked.person_of(request)))
        return {"facts": [*known, (phrase("Space that this frees"), freed)]}


@admin.register(Restore)
class RestoreAdmin(ReadOnlyAdmin):
    """The history of restores."""

    list_display = ("number", "what", "state", "asked", "database", "mode", "target", "took")
    list_display_links = ("number", "what")
    list_filter = (
        ("database", RelatedDropdownFilter),
        ("database__labels", RelatedDropdownFilter),
        ("mode", ChoicesDropdownFilter),
    )
    search_fields = ("snapshot__snapshot_id__startswith", "target")
    search_help_text = _("Snapshot id or target")
    fields = (
        "ended", "run_link", "snapshot_link", "database_link", "mode", "where", "chosen_tables", "reason",
        "took", "safety_link", "kept", "swapped", "undone", "dropped", "left_out", "ways_back",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("undo", "try_again", "drop_kept")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Restore]:
        """Restores with what their pages show."""
        found = (
            super()
            .get_queryset(request)
            .select_related("run__database", "snapshot", "database__server", "safety_snapshot", "undo_of")
        )
        of_undone = [f"undo_of__{name}" for name in kept_states.LARGE]
        return found.defer("snapshot__manifest", "safety_snapshot__manifest", *kept_states.LARGE, *of_undone)

    @display(description=_("Restore"), ordering="run")
    def number(self, restore: Restore) -> str:
        """Its run's number, by which `undo_restore` knows it."""
        return str(restore.run_id)

    @display(description=_("Status"))
    def ended(self, restore: Restore) -> str:
        """How its run stands, and why it failed."""
        run = restore.run
        shown = formatting.label(run.get_status_display(), STATUS_COLOURS[Status(run.status)])
        return format_html("{} {}", shown, run.error) if run.error else shown

    @display(description=_("Database"))
    def database_link(self, restore: Restore) -> str:
        """Whose restore it is."""
        return formatting.link(page_url(restore.database), restore.database)

    @display(description=_("Target"))
    def where(self, restore: Restore) -> str:
        """The database or folder that it wrote to."""
        return restore.target

    @display(description=_("Old tables"))
    def kept(self, restore: Restore) -> str:
        """Where they are, or what became of them."""
        return kept_words(restore)

    @display(description=_("Snapshot"), ordering="snapshot")
    def what(self, restore: Restore) -> str:
        """Which snapshot."""
        return restore.snapshot.short_id

    @display(description=_("Status"), label=STATUS_COLOURS)
    def state(self, restore: Restore) -> tuple[str, str]:
        """How its run ended."""
        return restore.run.status, restore.run.get_status_display()

    @display(description=_("Asked"), ordering="run__queued_at")
    def asked(self, restore: Restore) -> str:
        """How long ago."""
        return formatting.relative_time(restore.run.queued_at)

    @display(description=_("Restore took"), ordering="restore_seconds")
    def took(self, restore: Restore) -> str:
        """How long the data took to load."""
        return formatting.duration(restore.restore_seconds)

    @display(description=_("Run"))
    def run_link(self, restore: Restore) -> str:
        """The run that did it."""
        return formatting.link(page_url(restore.run), restore.run)

    @display(description=_("Snapshot"))
    def snapshot_link(self, restore: Restore) -> str:
        """What was restored."""
        return formatting.link(page_url(restore.snapshot), restore.snapshot)

    @display(description=_("Tables"))
    def chosen_tables(self, restore: Restore) -> str:
        """Which tables."""
        return ", ".join(restore.tables) or phrase("All")

    @display(description=_("Safety backup"))
    def safety_link(self, restore: Restore) -> str:
        """The backup that was made before."""
        safety = restore.safety_snapshot
        if safety is None:
            return formatting.EMPTY
        if safety.forgotten_at is not None:
            until = phrase(", which was forgotten since")
        else:
            ended = restore.run.finished_at
            until = (
                phrase(", kept at least until {ended}", ended=formatting.exact(ended + SAFETY_KEPT))
                if ended
                else ""
            )
        return format_html("{}{}", formatting.link(page_url(safety), safety), until)

    @display(description=_("Swapped in"))
    def swapped(self, restore: Restore) -> str:
        """When the restored tables took the place of the live ones."""
        return formatting.time_with_age(restore.swapped_at)

    @display(description=_("Undone"))
    def undone(self, restore: Restore) -> str:
        """When the swap was undone."""
        return formatting.time_with_age(restore.undone_at)

    @display(description=_("Kept tables dropped"))
    def dropped(self, restore: Restore) -> str:
        """When the tables from before were dropped."""
        return formatting.time_with_age(restore.dropped_at)

    @display(description=_("Could not be made"))
    def left_out(self, restore: Restore) -> str:
        """Views, triggers, routines and events that are missing, why, and as which statements."""
        if not restore.definitions_left:
            return formatting.EMPTY
        return format_html_join(
            "",
            "<details><summary>{} {}: {}</summary><pre>{}</pre></details>",
            [
                (one["kind"], one["name"], f"{one['why']} {one.get('do', '')}".strip(), one["text"])
                for one in restore.definitions_left
            ],
        )

    @display(description=_("What can be brought back"))
    def ways_back(self, restore: Restore) -> str:
        """The states that the target can be brought back to, newest first, each with its way and end."""
        found = kept_states.listed(restore.database, restore.target)
        if not found:
            return formatting.EMPTY
        return format_html(
            "<ul>{}</ul>",
            format_html_join(
                "",
                "<li>{}: {}, {}</li>",
                [(formatting.link(page_url(one.restore), one.what), one.way, one.end) for one in found],
            ),
        )

    # ------------------------------------------------------------ What can be done

    def has_undo_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may, and this restore can, be undone."""
        return self.has_run_restore_permission(request) and _kept(object_id, "can_be_undone")

    def has_drop_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may drop, and this restore keeps, the tables of before."""
        return self.has_run_restore_permission(request) and _kept(object_id, "keeps_tables")

    def has_again_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may make, and this restore left out, definitions."""
        restore = get_or_none(Restore.objects.select_related("database__server", "run"), object_id)
        may = restore is not None and kept_states.may_define_again(restore)
        return self.has_run_restore_permission(request) and may

    @action(
        description=_("Try these again"), icon="replay", variant=ActionVariant.PRIMARY, permissions=["again"],
        dialog=dialog(
            phrase("Make what was left out?"),
            phrase("These views, triggers, routines and events could not be made. They are made now, so "
"far as the server takes them; what somebody made by hand meanwhile stays as it is, and "
"no table is touched."),
            phrase("Try these again"), form_class=AgainForm,
        ),
    )  # fmt: skip
    def try_again(self, request: HttpRequest, form: AgainForm, object_id: str) -> HttpResponse:
        """Make what was left out."""
        restore = self.found(request, object_id)
        return self.start(request, restore, DefineRequest(restore))

    @action(
        description=_("Undo"), icon="undo", variant=ActionVariant.PRIMARY, permissions=["undo"],
        dialog=dialog(
            phrase("Undo this restore?"),
            phrase("The kept tables take the place of the present ones, in one step. The present tables are "
"kept in their turn, so that this can be undone as well."),
            phrase("Undo the restore"), form_class=UndoForm,
        ),
    )  # fmt: skip
    def undo(self, request: HttpRequest, form: UndoForm, object_id: str) -> HttpResponse:
        """Swap the kept tables back."""
        restore = self.found(request, object_id)
        assert request.user.is_authenticated  # noqa: S101  admin_view lets nobody else in
        try:
            wanted = UndoRequest(restore, form.cleaned_data["reason"])
            run = wanted.submit(Asker(Trigger.ADMIN, request.user))
        except Problem as problem:
            return refused(request, restore, problem)
        reason = form.cleaned_data["reason"]
        self.log_change(request, restore, phrase("Undo, {run}: {reason}", run=run, reason=reason))
        return redirect(request, run_url(run))

    @action(
        description=_("Drop kept tables"), icon="delete", variant=ActionVariant.DANGER, permissions=["drop"],
        dialog=dialog(
            phrase("Drop the tables that this restore kept?"),
            phrase("The tables as they were before the restore are deleted for good. After this the "
"restore cannot be undone; what they held is then only in snapshots."),
            phrase("Drop them"), form_class=DropForm, danger=True,
        ),
    )  # fmt: skip
    def drop_kept(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Give the kept tables up."""
        restore = self.found(request, object_id)
        wanted = DropKeptRequest(restore)
        try:
            wanted.check()
        except Problem as problem:
            return refused(request, restore, problem)
        self.log_change(
            request, restore, phrase("Drop of kept tables: {reason}", reason=form.cleaned_data["reason"])
        )
        return self.start(request, restore, wanted)


def kept_words(restore: Restore) -> str:
    """Where the tables of before are, or what became of them."""
    if not restore.kept_in:
        return formatting.EMPTY
    if not restore.is_settled:
        return phrase("The swap is under way: tables may be in {kept_in} already.", kept_in=restore.kept_in)
    if restore.dropped_at is not None:
        return phrase("Dropped: only snapshots hold what was there before.")
    if restore.undone_at is not None:
        return phrase("Back in {target}: this was undone.", target=restore.target)
    if restore.swapped_at is None:
        over = phrase("{target} was not swapped, so nothing of it is kept apart.", target=restore.target)
        return over if restore.run.is_over else phrase("None yet: nothing is swapped so far.")
    return phrase(
        "In {kept_in}, until somebody drops them; nothing drops them by itself.", kept_in=restore.kept_in
    )


def _kept(object_id: Any, which: str) -> bool:
    restore = get_or_none(Restore.objects.all(), object_id)
    return restore is not None and bool(getattr(restore, which))
