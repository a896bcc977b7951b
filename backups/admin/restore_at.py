"""The page on which a person says to when: the newest backup not after it, or that moment itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from backups.admin import restore_moment
from backups.admin.base import page_url, proof_label
from backups.admin.moments_tab import transactions_url
from backups.admin.restore_moment import MomentForm
from backups.admin.restoring import MAY_RESTORE, restore_url
from backups.errors import Problem
from backups.models import Database, LogArchive
from backups.moments.until import local
from backups.reports import stored_logs
from backups.snapshots.selection import safety_copies, snapshot_at
from backups.text.sentences import phrase


class TimeForm(forms.Form):
    """A moment to go back to."""

    time = forms.SplitDateTimeField(label=_("As it was at"), widget=UnfoldAdminSplitDateTimeWidget)


@MAY_RESTORE
def restore_at_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose a moment; leads on to the newest snapshot not after it, or to that moment itself."""
    database = get_object_or_404(Database, pk=pk)
    form = TimeForm(request.GET if "time_0" in request.GET else None, initial={"time": timezone.now()})
    if form.is_bound and form.is_valid():
        try:
            snapshot = snapshot_at(database, form.cleaned_data["time"])
        except Problem as problem:
            form.add_error("time", problem.sentence())
        else:
            return HttpResponseRedirect(restore_url(snapshot))
    moment = MomentForm(request.GET if restore_moment.is_asked(request) else None)
    if moment.is_bound and (there := restore_moment.led_on(request, database, moment)):
        return there
    held = database.snapshots.present()
    context = {
        **admin.site.each_context(request),
        "title": phrase("Restore {database} as it was", database=database),
        "database": database,
        "form": form,
        **_of_log(database, moment),
        "newest": [
            (snapshot, proof_label(snapshot))
            for snapshot in held.select_related("suspicion").defer("manifest")[:10]
        ],
        "saved": safety_copies(held),
        "zone": settings.TIME_ZONE,
        "now": timezone.localtime(),
        "crumbs": [(database, page_url(database)), (phrase("Restore as it was at"), "")],
    }
    return TemplateResponse(request, "backups/restore_at.html", context)


def _of_log(database: Database, form: MomentForm) -> dict[str, Any]:
    """What the stored log offers; nothing where there is none, and nothing was asked of it."""
    if not form.is_bound and not LogArchive.objects.filter(database=database).exists():
        return {}
    stored = stored_logs.look(database)
    if stored.windows:
        form.initial = {"moment": local(stored.windows[-1].whole[1])}
    return {
        "moment_form": form,
        "sentence": stored.sentence(),
        "transactions": transactions_url(database),
    }
