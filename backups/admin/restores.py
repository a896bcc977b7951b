"""Restores: where snapshots went, and what can still be undone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from backups.admin import asked, restore_moment, restore_story
from backups.admin.base import ReadOnlyAdmin, get_or_none, page_url, redirect, refused
from backups.admin.dialogs import FactsForm, dialog
from backups.admin.file_of_moment import kept_file
from backups.admin.rows_given_back import given_back
from backups.choices import STATUS_COLOURS, RestoreMode, Status, Trigger
from backups.errors import Problem, shortened
from backups.models import Restore
from backups.requests import Asker, DefineRequest, DropKeptRequest, UndoRequest
from backups.requests.questions import KeptSizeQuestion, ask_unless_just_asked
from backups.restoring import kept_states
from backups.text import formatting
from backups.text.sentences import joined, phrase

# So much of a reason, and of the names of tables, stands in a line of the list.
_LINE, _NAMES = 90, 40


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
    """As above, with what goes with it; the live database's name is typed as before any replacement."""

    confirm = forms.CharField(required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        restore = get_or_none(Restore.objects.only("target"), self.object_id)
        self.to_type = restore.target if restore else ""
        self.fields["confirm"].label = phrase("Type {to_type} to go on", to_type=self.to_type)

    def clean_confirm(self) -> str:
        """The name, typed as it is."""
        typed = str(self.cleaned_data["confirm"])
        if typed != self.to_type or not typed:
            what = phrase("the database's name")
            raise ValidationError(phrase("This is not {what}. Nothing was started.", what=what))
        return typed

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Also what was written since, and which restores lie upon it."""
        restore = Restore.objects.select_related("database__server").get(pk=object_id)
        facts = super().facts(object_id)
        since = restore.swapped_at or timezone.now()
        facts.append((
            phrase("What goes"),
            phrase(
                "What was written since {since} ({duration}); it is kept in its turn",
                since=formatting.clock(since),
                duration=formatting.approximate_duration(timezone.now() - since),
            ),
        ))  # fmt: skip
        lying = kept_states.laid(restore.database, restore.target)
        newer = [str(one.run_id) for one in lying if one.pk > restore.pk]
        passed = [(phrase("Newer restores that go with it"), ", ".join(newer))] if newer else []
        return [*facts, *passed]


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

    list_display = ("state", "what", "where", "who", "why", "asked", "took", "way_back")
    list_display_links = ("state", "what")
    list_filter = (
        ("database", RelatedDropdownFilter),
        ("database__labels", RelatedDropdownFilter),
        ("mode", ChoicesDropdownFilter),
    )
    search_fields = ("snapshot__snapshot_id__startswith", "target", "reason", "run__requested_by__username")
    search_help_text = _("Snapshot id, target, reason or person")
    actions_detail = ("undo", "try_again", "drop_kept")
    change_form_template = "backups/restore_story.html"
    list_before_template = "backups/restores_kept.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Restore]:
        """Restores with what their pages show."""
        found = (
            super()
            .get_queryset(request)
            .select_related(
                "run__database", "run__requested_by", "snapshot", "database__server", "safety_snapshot",
                "undo_of",
            )
        )  # fmt: skip
        of_undone = [f"undo_of__{name}" for name in kept_states.LARGE]
        return found.defer("snapshot__manifest", "safety_snapshot__manifest", *kept_states.LARGE, *of_undone)

    def get_fieldsets(self, request: HttpRequest, obj: Restore | None = None) -> list[Any]:
        """None: the page has a template of its own."""
        return []

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """None above the page: its buttons stand beside what they are about, and come with it."""
        return []

    def get_urls(self) -> list[URLPattern]:
        """The page's own address: what changed since."""
        live = path("<int:pk>/live/", self.admin_site.admin_view(self.live_view), name="backups_restore_live")
        return [live, *super().get_urls()]

    # ------------------------------------------------------------ The list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with the space that all kept tables take, and rows that were given back."""
        kept = {"kept_in_all": restore_story.kept_in_all(), **given_back(request)}
        return super().changelist_view(request, {**kept, **(extra_context or {})})

    @display(description=_("Status"), ordering="run__status")
    def state(self, restore: Restore) -> str:
        """How its run stands."""
        return formatting.label(restore.run.get_status_display(), STATUS_COLOURS[Status(restore.run.status)])

    @display(description=_("What"), ordering="run")
    def what(self, restore: Restore) -> str:
        """Its run's number, by which `undo_restore` knows it, and what came back."""
        tables = restore_story.tables_words(restore) if restore.tables else phrase("all tables")
        until = restore_moment.up_to(restore)
        return formatting.two_lines(
            phrase("Restore {number}", number=restore.run_id)
            if restore.mode != RestoreMode.UNDO
            else restore.told,
            joined([restore.snapshot, *([until] if until else []), shortened(tables, _NAMES)], ", "),
        )

    @display(description=_("Where to"), ordering="target")
    def where(self, restore: Restore) -> str:
        """The database or folder that it wrote to, and in which way."""
        return formatting.two_lines(restore.target, restore.get_mode_display())

    @display(description=_("Asked"), ordering="run__queued_at")
    def asked(self, restore: Restore) -> str:
        """When, and how long ago."""
        queued_at = restore.run.queued_at
        return formatting.two_lines(formatting.short_time(queued_at), formatting.relative_time(queued_at))

    @display(description=_("Asked by"), ordering="run__requested_by")
    def who(self, restore: Restore) -> str:
        """Who asked for it, and by which way."""
        run = restore.run
        way = run.get_trigger_display()
        return formatting.two_lines(run.requested_by or way, way if run.requested_by else "")

    @display(description=_("Why"))
    def why(self, restore: Restore) -> str:
        """The reason that was given, shortened; all of it is on its page."""
        return shortened(restore.reason, _LINE) or formatting.EMPTY

    @display(description=_("Restore took"), ordering="restore_seconds")
    def took(self, restore: Restore) -> str:
        """How long the data took to load."""
        return formatting.duration(restore.restore_seconds)

    @display(description=_("Old tables"))
    def way_back(self, restore: Restore) -> str:
        """Whether they are kept, and the space that they take."""
        return restore_story.kept_in_short(restore)

    # ------------------------------------------------------------ The page

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The restore's own page."""
        restore: Restore = kwargs["obj"]
        context |= {
            **self._story(request, restore), "title": str(restore), "subtitle": None, "show_history": False
        }  # fmt: skip
        return super().render_change_form(request, context, *args, **kwargs)

    def live_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """What the page shows now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        restore = get_or_none(self.get_queryset(request), pk)
        if restore is None:
            raise Http404
        run = restore.run
        return JsonResponse(
            {
                "over": run.is_over,
                "title": str(phrase("{status}: {run}", status=run.get_status_display(), run=restore)),
                "html": render_to_string(
                    "backups/restore_state.html", self._story(request, restore), request
                ),
            }
        )

    def _story(self, request: HttpRequest, restore: Restore) -> dict[str, Any]:
        """What is told of it, and what this person may do about it."""
        return {
            **restore_story.page_context(restore),
            "may_undo": self.has_undo_permission(request, restore.pk),
            "may_drop": self.has_drop_permission(request, restore.pk),
            "may_try_again": self.has_again_permission(request, restore.pk),
            "may_cancel": request.user.has_perm("backups.cancel_run"),
            "may_restore": self.has_run_restore_permission(request),
            "kept_file": kept_file(restore),
        }

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
        description=_("Undo"), icon="undo", variant=ActionVariant.DANGER, permissions=["undo"],
        dialog=dialog(
            phrase("Undo this restore?"),
            phrase("The kept tables take the place of the present ones, in one step. The present tables are "
"kept in their turn, so that this can be undone as well."),
            phrase("Undo the restore"), form_class=UndoForm, danger=True,
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
        return redirect(request, page_url(run.restore))

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


def _kept(object_id: Any, which: str) -> bool:
    restore = get_or_none(Restore.objects.all(), object_id)
    return restore is not None and bool(getattr(restore, which))
