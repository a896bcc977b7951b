"""The page on which one snapshot is forgotten by hand: what keeps it, the reason, its id typed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from backups.admin import asked
from backups.admin.base import run_url
from backups.choices import Trigger
from backups.errors import Problem
from backups.keeping.pins import REASON_LEAST, REASON_MOST
from backups.models import Snapshot
from backups.requests import Asker, ForgetSnapshotRequest
from backups.requests.forget_snapshot import KeptBy, kept_by
from backups.text.sentences import phrase


class ForgetForm(forms.Form):
    """Why it is to go, and the id, typed; where something holds it, also that this is known."""

    reason = forms.CharField(
        label=_("Why is it to go?"),
        min_length=REASON_LEAST,
        max_length=REASON_MOST,
        help_text=_("It stays in the record, with your name."),
        widget=UnfoldAdminTextInputWidget,
    )
    typed = forms.CharField(
        label=_("Its id"),
        max_length=64,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    although_held = forms.BooleanField(
        label=_("Forget it although it is held"),
        required=False,
        help_text=_("What holds it stands above."),
        widget=UnfoldBooleanSwitchWidget,
    )

    def __init__(self, *args: Any, kept: KeptBy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not kept.holds:
            del self.fields["although_held"]
        self.fields["typed"].help_text = (
            phrase("Type the whole id, all 64 digits.")
            if kept.is_last
            else phrase("Type its first eight digits.")
        )


@permission_required("backups.run_maintenance", raise_exception=True)
def forget_view(request: HttpRequest, pk: int) -> HttpResponse:
    """See what keeps a snapshot, then have it forgotten."""
    related = ("database__repository", "database__server", "repository")
    rows = Snapshot.objects.present().select_related(*related).defer("manifest")
    snapshot = get_object_or_404(rows, pk=pk)
    kept = kept_by(snapshot, timezone.now())
    form = ForgetForm(request.POST or None, kept=kept)
    begun = _begun(request, snapshot, form) if request.method == "POST" and form.is_valid() else None
    if begun is not None:
        return begun
    context = {
        **admin.site.each_context(request),
        "title": phrase("Forget snapshot {snapshot}", snapshot=snapshot.short_id),
        "snapshot": snapshot,
        "kept": kept,
        "form": form,
    }
    return TemplateResponse(request, "backups/forget.html", context)


def _begun(request: HttpRequest, snapshot: Snapshot, form: ForgetForm) -> HttpResponse | None:
    """Lead to the run that forgets it; None where it is refused, which the form then says."""
    person, said = asked.person_of(request), form.cleaned_data
    wanted = ForgetSnapshotRequest(
        snapshot,
        said["reason"].strip(),
        person.get_username(),
        said["typed"].strip().lower(),
        although_held=said.get("although_held", False),
    )
    try:
        run = wanted.submit(Asker(Trigger.ADMIN, person))
    except Problem as problem:
        form.add_error(None, problem.sentence())
        return None
    LogEntry.objects.log_actions(
        person.pk,
        [snapshot],
        CHANGE,
        change_message=phrase("To be forgotten by {run}: {reason}", run=run, reason=wanted.reason),
        single_object=True,
    )
    return HttpResponseRedirect(run_url(run))
