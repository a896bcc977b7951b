"""Repositories: where backups lie, their health, and what tends them."""

from __future__ import annotations

import shlex
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldBooleanSwitchWidget

from backups.admin import repository_page
from backups.admin.base import QuickList, first_reason, may_start, redirect
from backups.admin.dialogs import CheckForm, dialog
from backups.admin.secret_fields import SecretsForm, Typed
from backups.admin.trying import SecretsAdmin
from backups.choices import Action
from backups.configuration import bootstrap, environment
from backups.models import Repository
from backups.reports import standing
from backups.repositories import places
from backups.requests import (
    CheckRequest,
    ForgetRequest,
    InitRequest,
    PruneRequest,
    RepairIndexRequest,
    RepairSnapshotsRequest,
    RepositoryRequest,
    SnapshotsRequest,
    StatsRequest,
    UnlockRequest,
)
from backups.requests.set_up_questions import RepositoryQuestion
from backups.text import formatting
from backups.text.sentences import phrase, plural
from backups.verdict.findings import worst

_MORE = (
    "initialise", "preview_retention", "forget", "prune", "stats", "unlock", "repair_index",
    "repair_snapshots",
)  # fmt: skip

# Of the sets of fields, those that a person fills in, after the first.
_TYPED = 1


class RepositoryForm(SecretsForm):
    """One place is one row, and snapshots go to another place only where a person says that they did."""

    password_typed = Typed(
        _("Password"),
        _(
            "Keep it elsewhere as well: without it nobody reads the backups. VEDETTA_KEY does not help "
            "then, because a copy of the portal lies in the repository itself."
        ),
    )
    access_key_typed = Typed(_("Access key id"))
    secret_key_typed = Typed(_("Secret access key"))
    moved = forms.BooleanField(
        label=_("It moved"), required=False, widget=UnfoldBooleanSwitchWidget,
        help_text=_("The same repository, with its snapshots, lies at the changed location now."),
    )  # fmt: skip

    def clean(self) -> dict[str, Any] | None:
        """Refuse a location that another row has, and one that changed without a word on the snapshots."""
        cleaned = super().clean()
        url = self.cleaned_data.get("url", "")
        known = self.initial.get("url", "")
        if url and not places.is_same(url, known):
            if (other := places.row_at(url, beside=self.instance)) is not None:
                self.add_error("url", _taken(other))
            elif _holds(self.instance) and not self.cleaned_data.get("moved"):
                self.add_error("url", _unsaid(self.instance, known))
        return cleaned


def _holds(repository: Repository) -> bool:
    return repository.pk is not None and repository.snapshots.exists()


def _taken(other: Repository) -> str:
    return phrase(
        "The portal knows that place already, as {other} ({url}). Choose {other} for the databases "
        "that should be backed up there, or name another place. If {other} is lost and a new "
        "repository should begin there: `manage.py repository init --new --repository {other_2}`.",
        other=other,
        url=other.url,
        other_2=shlex.quote(other.name),
    )


def _to_do(repository: Repository) -> str:
    """What a changed location leaves to do, where the environment says another one."""
    first = repository.databases.filter(is_primary=True).first()
    differs = environment.other_repository(first) if first is not None else None
    if differs is None:
        return ""
    return phrase(
        "Set RESTIC_REPOSITORY to {url} as well, and say `manage.py bootstrap`; or correct the "
        "location here. Until both say the same, backups go where the portal says.",
        url=repository.url,
    )


def _unsaid(repository: Repository, known: str) -> str:
    count = plural("{n} snapshot", "{n} snapshots", n=repository.snapshots.present().count())
    return phrase(
        "The portal knows {repository} with {count} at {known}. If that repository lies at the new "
        "location now, tick “It moved”. If you mean another repository, leave this row as it is. Add "
        "the other one as a new row and give it to the databases: what lies at {known} stays listed. "
        "If it was a slip, set the location back.",
        repository=repository,
        count=count,
        known=known,
    )


class _StandingList(QuickList):
    """Each row with what was found of it, in one look for all."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows, each with its findings."""
        super().get_results(request)
        overall = standing.read().overall
        self.result_list = list(self.result_list)
        for row in self.result_list:
            row.findings = overall.of_repository(row.name)


@admin.register(Repository)
class RepositoryAdmin(SecretsAdmin):
    """Where the backups lie."""

    form = RepositoryForm
    tried_fields = (
        "url", "password_typed", "password_ref", "access_key_typed", "access_key_ref", "secret_key_typed",
        "secret_key_ref",
    )  # fmt: skip

    list_display = ("state", "name", "url", "why", "checked", "holds", "check_interval")
    list_display_links = ("name",)
    search_fields = ("name", "url")
    actions = None
    actions_detail = ("bring_list", "check_now", {"title": _("More"), "icon": "build", "items": list(_MORE)})
    change_form_template = "backups/repository.html"
    fieldsets = (
        (None, {"fields": ("name", "url", "check_interval")}),
        (_("Secrets"), {"fields": ("password_ref", ("access_key_ref", "secret_key_ref"))}),
    )
    hinted = dict.fromkeys(("password_ref", "access_key_ref", "secret_key_ref"), "hint_secret")

    def get_fieldsets(self, request: HttpRequest, obj: Repository | None = None) -> Any:
        """With a word on what the environment decides, where it does."""
        (name, options), *others = super().get_fieldsets(request, obj)
        if obj is None:
            # Nothing is known of it yet.
            return [(name, options), *others[:_TYPED]]
        if _holds(obj) and self.has_change_permission(request, obj):
            options = {**options, "fields": ("name", "url", "moved", "check_interval")}
        if obj.databases.filter(is_primary=True).exists():
            options = {**options, "description": bootstrap.decided_words(Repository)}
        return [(name, options), *others]

    def question(self, row: Repository, database: str) -> RepositoryQuestion:
        """What lies at its location, and whether the password opens it."""
        references = (row.password_ref, row.access_key_ref, row.secret_key_ref)
        return RepositoryQuestion(row.url, *references, row=row.pk)

    def response_add(self, request: HttpRequest, obj: Repository, post_url_continue: Any = None) -> Any:
        """Where to go on; a repository that was tried and is new is made at once, for who asked for that."""
        return self._initialised(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Repository) -> Any:
        """As of one that was added."""
        return self._initialised(request, obj) or super().response_change(request, obj)

    def _initialised(self, request: HttpRequest, obj: Repository) -> HttpResponse | None:
        if "_initialise" in request.POST and may_start(request, Action.INIT):
            return self.start(request, obj, InitRequest(obj))
        return None

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save; a location that was a slip, and at which nothing lies, says nothing of the right one."""
        is_elsewhere = "url" in form.changed_data
        if is_elsewhere and not _holds(obj):
            obj.restic_id = ""
        super().save_model(request, obj, form, change)
        if is_elsewhere and (words := _to_do(obj)):
            messages.warning(request, words)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list whose rows know how they stand."""
        return _StandingList

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The repository's own page; the form is its last tab."""
        repository = kwargs.get("obj")
        if repository is not None:
            may_edit = self.has_change_permission(request, repository)
            context |= repository_page.context(request, repository, may_edit=may_edit)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("State"))
    def state(self, repository: Any) -> str:
        """The worst of all that is known of it."""
        return formatting.label(*repository_page.state_words(repository, worst(repository.findings)))

    @display(description=_("Why"))
    def why(self, repository: Any) -> str:
        """The reason, where it is not well."""
        return first_reason(repository.findings)

    @display(description=_("Checked"), ordering="checked_at")
    def checked(self, repository: Repository) -> str:
        """How long ago."""
        return formatting.relative_time(repository.checked_at)

    @display(description=_("Size"), ordering="size_bytes")
    def holds(self, repository: Repository) -> str:
        """How much it holds."""
        return formatting.size(repository.size_bytes)

    @action(
        description=_("Read snapshots"), icon="sync", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Read the list of snapshots?"),
            phrase("The portal's list is made to say what the repository holds. Nothing in the repository "
"changes."),
            phrase("Read snapshots"),
        ),
    )  # fmt: skip
    def bring_list(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start reading the repository's snapshots."""
        return self._tend(request, object_id, SnapshotsRequest)

    @action(
        description=_("Check now"), icon="health_and_safety", variant=ActionVariant.PRIMARY,
        permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Check the repository?"),
            phrase("Looks for damage and changes nothing. Backups wait until it is done. If it finds "
"damage, heartbeats are withheld and the gate closes in time, until a check of all data "
"is good."),
            phrase("Check now"), form_class=CheckForm,
        ),
    )  # fmt: skip
    def check_now(self, request: HttpRequest, form: CheckForm, object_id: str) -> HttpResponse:
        """Start an integrity check."""
        repository = self.found(request, object_id)
        return self.start(request, repository, CheckRequest(repository, read_data_subset=form.subset))

    @action(
        description=_("Initialise"), icon="create_new_folder", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Initialise the repository?"),
            phrase("If nothing is at its location yet, a new repository is made there with its password. One "
"that is there already is left as it is."),
            phrase("Initialise"),
        ),
    )  # fmt: skip
    def initialise(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Make the repository."""
        return self._tend(request, object_id, InitRequest)

    @action(description=_("Retention"), icon="preview", permissions=["view"])
    def preview_retention(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the page that shows what the next forget would remove, and why the rest stays."""
        return redirect(request, reverse("repository-retention", args=[self.found(request, object_id).pk]))

    @action(
        description=_("Forget by the rules"), icon="auto_delete", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Forget old snapshots?"),
            phrase("Snapshots that no retention rule keeps are removed for good, as every night. The "
"newest and the newest verified snapshot of each database always stay. Safety snapshots, "
"and those that a failed restore wanted, stay for 30 days."),
            phrase("Forget"), danger=True,
        ),
    )  # fmt: skip
    def forget(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a forget."""
        return self._tend(request, object_id, ForgetRequest)

    @action(
        description=_("Prune"), icon="mop", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Prune the repository?"),
            phrase("Frees the space of snapshots that were forgotten. Snapshots that are there stay as "
"they are. Backups wait until it is done."),
            phrase("Prune"),
        ),
    )  # fmt: skip
    def prune(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a prune."""
        return self._tend(request, object_id, PruneRequest)

    @action(
        description=_("Measure size"), icon="monitoring", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Measure the repository?"), phrase("Reads how much it holds. Nothing changes."),
            phrase("Measure size"),
        ),
    )  # fmt: skip
    def stats(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start measuring."""
        return self._tend(request, object_id, StatsRequest)

    @action(
        description=_("Remove stale locks"), icon="lock_open", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Remove stale locks?"),
            phrase("Removes locks that dead programs left behind. Locks of programs that still run stay."),
            phrase("Remove stale locks"),
        ),
    )  # fmt: skip
    def unlock(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start an unlock."""
        return self._tend(request, object_id, UnlockRequest)

    @action(
        description=_("Repair index"), icon="construction", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Repair the index?"),
            phrase("Builds the repository's index anew from the data that is there. Do this first when a "
"check found damage, then check all data again."),
            phrase("Repair index"),
        ),
    )  # fmt: skip
    def repair_index(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a repair of the index."""
        return self._tend(request, object_id, RepairIndexRequest)

    @action(
        description=_("Repair snapshots"), icon="healing", permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Repair the snapshots?"),
            phrase("Snapshots whose data is damaged are replaced by what can still be read of them, and "
"the damaged ones are forgotten: a damaged dump may be lost for good. Repair the index "
"and check all data first."),
            phrase("Repair snapshots"), danger=True,
        ),
    )  # fmt: skip
    def repair_snapshots(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a repair of damaged snapshots."""
        return self._tend(request, object_id, RepairSnapshotsRequest)

    def _tend(self, request: HttpRequest, object_id: str, form: type[RepositoryRequest]) -> HttpResponse:
        repository = self.found(request, object_id)
        return self.start(request, repository, form(repository))
