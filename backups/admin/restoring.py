"""Restores as people start them: choose, see what will happen, type the name out, go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from backups.actions.download import sql_stream
from backups.admin.base import page_url, proof_label, run_url
from backups.choices import OVERWRITING_MODES, DefinerPolicy, RestoreMode, Trigger
from backups.errors import Problem
from backups.models import Database, Restore, Snapshot, Suspicion
from backups.requests import Asker, RestoreRequest
from backups.restoring.plan import Plan
from backups.snapshots.selection import instead_of, known_bad_words, safety_copies, snapshot_at
from backups.text import formatting
from backups.text.sentences import phrase
from backups.validators import target_name

_MAY_RESTORE = permission_required("backups.run_restore", raise_exception=True)
_MODES = [
    (RestoreMode.NEW, phrase("Into a new database: nothing that exists is touched")),
    (
        RestoreMode.REPLACE,
        (
            phrase(
                "Replace the live database: loaded and checked beside it, then swapped in at once; the "
                "tables of now are kept, so that it can be undone"
            )
        ),
    ),
    (
        RestoreMode.IN_PLACE,
        (
            phrase(
                "Straight into the live database: for servers where no database can be created; the way "
                "back is the backup made before"
            )
        ),
    ),
    (RestoreMode.FILE, phrase("Download the SQL to this computer")),
]


def _only_with(*modes: RestoreMode) -> dict[str, str]:
    """Has a field shown only with these modes; without JavaScript it stays, and counts with them only."""
    return {"data-only-with": " ".join(["mode", *sorted(modes)])}


class RestoreForm(forms.Form):
    """Where a snapshot should go, and what of it."""

    mode = forms.ChoiceField(
        label=_("Where to"), choices=_MODES, initial=RestoreMode.NEW, widget=UnfoldAdminRadioSelectWidget
    )
    target = forms.CharField(
        label=_("Name of the new database"), required=False, max_length=64, validators=[target_name],
        widget=UnfoldAdminTextInputWidget(attrs=_only_with(RestoreMode.NEW)),
    )  # fmt: skip
    tables = forms.MultipleChoiceField(
        label=_("Only these tables"), required=False, widget=UnfoldAdminSelectMultipleWidget,
        help_text=_("None chosen is all of them."),
    )  # fmt: skip
    definers = forms.ChoiceField(
        label=_("Users that views, triggers and routines run as"), choices=DefinerPolicy.choices,
        initial=DefinerPolicy.KEEP,
        widget=UnfoldAdminSelectWidget(attrs=_only_with(RestoreMode.NEW, *OVERWRITING_MODES)),
    )  # fmt: skip
    without_safety = forms.BooleanField(
        label=_("There is nothing left to save: make no backup before"), required=False,
        widget=UnfoldBooleanSwitchWidget(attrs=_only_with(*OVERWRITING_MODES)),
    )  # fmt: skip
    known_bad = forms.BooleanField(
        label=_("Restore it although it is known to be bad"), required=False,
        widget=UnfoldBooleanSwitchWidget,
    )  # fmt: skip
    reason = forms.CharField(
        label=_("Why"), max_length=300, widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept with the restore and in the admin log."),
    )  # fmt: skip
    confirm = forms.CharField(required=False, widget=UnfoldAdminTextInputWidget)
    shown = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, snapshot: Snapshot, database: Database, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.database = database
        self.snapshot = snapshot
        if not snapshot.is_known_bad:
            del self.fields["known_bad"]
        held = (snapshot.manifest or {}).get("inventory", {}).get("table", [])
        self.fields["tables"].choices = [(name, name) for name in held]  # type: ignore[attr-defined]
        self.fields["target"].initial = f"{database.database[:50]}_restored"
        self.to_type = self._to_type(self.data.get("mode", ""))
        self.fields["confirm"].label = phrase("Type {to_type} to go on", to_type=self.to_type)

    def _to_type(self, mode: str) -> str:
        """What has to be typed out before it begins; empty where nothing has to."""
        if mode in OVERWRITING_MODES:
            one = self.snapshot.source == self.database.database
            across = phrase(
                "{source} over {database}", source=self.snapshot.source, database=self.database.database
            )
            return self.database.database if one else across
        is_doubtful = self.snapshot.is_known_bad or not self.snapshot.made_here
        return self.snapshot.short_id if is_doubtful else ""

    def clean(self) -> dict[str, Any]:
        """A new database needs a name, and one that is not the live one's."""
        cleaned = super().clean() or {}
        if cleaned.get("known_bad") is False:
            raise ValidationError(
                {"known_bad": phrase("Switch this on to go on, or choose another snapshot.")}
            )
        if cleaned.get("mode") == RestoreMode.NEW:
            if "target" in self.errors:
                return cleaned  # what is wrong with the name is said
            if not cleaned.get("target"):
                raise ValidationError({"target": phrase("Give the new database a name.")})
            if cleaned["target"] == self.database.database:
                raise ValidationError({"target": phrase("That is the live database: choose another name.")})
        return cleaned

    @property
    def chosen_mode(self) -> RestoreMode:
        """The mode."""
        return RestoreMode(self.cleaned_data["mode"])

    @property
    def chosen_target(self) -> str:
        """The database that will be written to, or a word for the download."""
        if self.chosen_mode == RestoreMode.FILE:
            return "download"
        if self.chosen_mode == RestoreMode.NEW:
            return str(self.cleaned_data["target"])
        return self.database.database

    @property
    def wanted(self) -> RestoreRequest:
        """What is asked for."""
        both = (self.snapshot.source, self.database.database)
        return RestoreRequest(
            self.database,
            self.snapshot,
            self.chosen_mode,
            self.chosen_target,
            tables=tuple(self.cleaned_data["tables"]),
            definers=DefinerPolicy(self.cleaned_data["definers"]),
            without_safety=self.cleaned_data["without_safety"] and self.overwrites,
            known_bad=self.cleaned_data.get("known_bad", False),
            reason=self.cleaned_data["reason"],
            # Whoever puts another database's snapshot in this one's place has typed both.
            across=both if self.overwrites and both[0] != both[1] else None,
        )

    @property
    def overwrites(self) -> bool:
        """Whether what is there now will be gone from its place."""
        return self.chosen_mode in OVERWRITING_MODES

    def was_shown(self, fingerprints: Sequence[str]) -> bool:
        """Whether it is one of these that the page showed, when it was told to start."""
        if any(constant_time_compare(self.cleaned_data["shown"], each) for each in fingerprints):
            return True
        self.add_error(
            None,
            phrase(
                "Nothing was started, because this is not what was shown before. Below is what will "
                "happen now: look at it, then start."
            ),
        )
        return False

    def remember(self, fingerprint: str) -> None:
        """Have the page know what it shows."""
        assert isinstance(self.data, QueryDict)  # noqa: S101  as the request brought it
        data = self.data.copy()
        data["shown"] = fingerprint
        self.data = data

    def is_confirmed(self) -> bool:
        """Whether the live database's name was typed out where it has to be."""
        if self.cleaned_data["confirm"] == self.to_type or not self.to_type:
            return True
        what = (
            phrase("the database's name")
            if self.to_type == self.database.database
            else phrase("what is to be typed")
        )
        self.add_error("confirm", phrase("This is not {what}. Nothing was started.", what=what))
        return False


class TimeForm(forms.Form):
    """A moment to go back to."""

    time = forms.SplitDateTimeField(label=_("As it was at"), widget=UnfoldAdminSplitDateTimeWidget)


@_MAY_RESTORE
def restore_view(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Choose how to restore a snapshot, see what will happen, start it."""
    snapshot = get_object_or_404(
        Snapshot.objects.select_related("database__repository", "repository"), pk=pk, forgotten_at=None
    )
    if snapshot.database is None:
        messages.error(request, phrase("This snapshot belongs to no database that is set up here."))
        return HttpResponseRedirect(page_url(snapshot))
    database = snapshot.database
    form = RestoreForm(request.POST or None, snapshot=snapshot, database=database)
    plan: Plan | None = None
    if request.method == "POST" and form.is_valid():
        wanted = form.wanted
        plan = wanted.preview()
        fingerprints = _fingerprints(request, database, plan, form)
        seen = "start" in request.POST and form.was_shown(fingerprints)
        if seen and not plan.obstacles and form.is_confirmed():
            return _start(request, wanted)
        form.remember(fingerprints[0])
    context = {
        **admin.site.each_context(request),
        "title": phrase("Restore snapshot {snapshot}", snapshot=snapshot.short_id),
        "snapshot": snapshot,
        "bad": known_bad_words(snapshot),
        "suspicion": Suspicion.objects.filter(snapshot=snapshot).first(),
        "instead": instead_of(snapshot) if snapshot.is_known_bad else "",
        "database": database,
        "form": form,
        "choices": [field for field in form if field.name not in {"confirm", "shown"}],
        "plan": plan,
        "facts": plan_facts(plan) if plan else [],
        "may_go_on": plan is not None and not plan.obstacles,
    }
    return TemplateResponse(request, "backups/restore.html", context)


@_MAY_RESTORE
def restore_at_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose a moment; leads on to the newest snapshot not after it."""
    database = get_object_or_404(Database, pk=pk)
    form = TimeForm(request.GET if "time_0" in request.GET else None, initial={"time": timezone.now()})
    if form.is_bound and form.is_valid():
        try:
            snapshot = snapshot_at(database, form.cleaned_data["time"])
        except Problem as problem:
            form.add_error("time", problem.sentence())
        else:
            return HttpResponseRedirect(restore_url(snapshot))
    held = database.snapshots.filter(forgotten_at=None)
    context = {
        **admin.site.each_context(request),
        "title": phrase("Restore {database} as it was", database=database),
        "database": database,
        "form": form,
        "newest": [
            (snapshot, proof_label(snapshot))
            for snapshot in held.select_related("suspicion").defer("manifest")[:10]
        ],
        "saved": safety_copies(held),
    }
    return TemplateResponse(request, "backups/restore_at.html", context)


def restore_url(snapshot: Snapshot) -> str:
    """Where a snapshot's restore is begun."""
    return reverse("snapshot-restore", args=[snapshot.pk])


def _start(request: HttpRequest, wanted: RestoreRequest) -> HttpResponseBase:
    snapshot = wanted.snapshot
    if wanted.mode == RestoreMode.FILE:
        return _download(request, wanted)
    assert request.user.is_authenticated  # noqa: S101  the view lets nobody else in
    try:
        run = wanted.submit(Asker(Trigger.ADMIN, request.user))
    except Problem as problem:
        messages.error(request, problem.sentence())
        return HttpResponseRedirect(restore_url(snapshot))
    note(request, snapshot, f"{wanted.mode.label} ({wanted.target}), {run}: {wanted.reason}")
    return HttpResponseRedirect(run_url(run))


def _download(request: HttpRequest, wanted: RestoreRequest) -> HttpResponseBase:
    snapshot = wanted.snapshot
    try:
        name, content = sql_stream(snapshot, wanted.tables)
    except Problem as problem:
        messages.error(request, phrase("Nothing was downloaded. {sentence}", sentence=problem.sentence()))
        return HttpResponseRedirect(restore_url(snapshot))
    note(request, snapshot, f"Downloaded {name}: {wanted.reason}")
    response = StreamingHttpResponse(content, content_type="application/sql")
    response["Content-Disposition"] = str(content_disposition_header(True, name))
    response["Cache-Control"] = "no-store"
    return response


def note(request: HttpRequest, obj: Snapshot | Database | Any, text: str) -> None:
    """Put who did what and why into Django's admin log."""
    assert request.user.pk is not None  # noqa: S101  the view lets nobody else in
    LogEntry.objects.log_actions(request.user.pk, [obj], CHANGE, text, single_object=True)


def plan_facts(plan: Plan) -> list[tuple[str, Any]]:
    """Label and value of what a plan says, for people."""
    took = (
        formatting.approximate_duration(plan.seconds)
        if plan.seconds
        else phrase("not known yet, this is the first")
    )
    if plan.mode == RestoreMode.FILE:
        return [
            (phrase("Target"), phrase("a file on this computer")),
            (phrase("Size"), formatting.size(plan.bytes)),
        ]
    known = [
        (phrase("Target"), plan.target),
        (phrase("Data up to"), formatting.time_with_age(plan.data_until)),
        (phrase("Expected duration"), took),
    ]
    if not (plan.replaced or plan.vanishing or plan.new):
        return known  # nobody could look, be it at the server or at what the snapshot holds
    if plan.mode == RestoreMode.NEW:
        # Tables of the same names are in no danger: such a target is an obstacle.
        return known if plan.replaced else [*known, (phrase("Tables that are new"), _names(plan.new))]
    return [
        *known,
        (phrase("Tables replaced"), _names(plan.replaced)),
        (phrase("Tables that will vanish"), _names(plan.vanishing)),
        (phrase("Tables that are new"), _names(plan.new)),
        *([(phrase("Tables that stay as they are"), _names(plan.staying))] if plan.staying else []),
    ]


def _names(names: list[str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:12])
    return f"{len(names)}: {shown}{' …' if len(names) > 12 else ''}"


def _fingerprints(request: HttpRequest, database: Database, plan: Plan, form: RestoreForm) -> list[str]:
    """What was chosen and what it will do, signed: of this hour, and of the one before.

    The same choices on a changed server differ, and so they do for somebody else, and once a restore of
    this database was begun: what one was shown is for them, soon, and once.
    """
    chosen = [form.cleaned_data["definers"], form.cleaned_data["without_safety"] and form.overwrites]
    tables = sorted(form.cleaned_data["tables"])
    what = [plan.snapshot.pk, plan.mode, plan.target, plan.replaced, plan.vanishing, plan.new, plan.warnings]
    what.append(plan.staying)
    newest = Restore.objects.filter(database=database).order_by("-pk").values_list("pk", flat=True).first()
    hour = int(timezone.now().timestamp()) // 3600
    return [
        salted_hmac(
            "backups.restore", json.dumps([what, tables, chosen, request.user.pk, newest, each])
        ).hexdigest()
        for each in (hour, hour - 1)
    ]
