"""The button with which a person says of a suspicious backup that it is right."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from backups.actions.accept import accept
from backups.admin.base import ReadOnlyAdmin, page_url, redirect
from backups.admin.dialogs import FactsForm, dialog
from backups.choices import SuspicionState
from backups.errors import Problem
from backups.models import Suspicion
from backups.text import formatting
from backups.text.sentences import phrase


class AcceptForm(FactsForm):
    """Why it is right, with what made it suspicious above."""

    # How the page's row leads to the suspicion.
    by_field = "snapshot"
    reason = forms.CharField(
        label=_("Why is it right?"),
        min_length=5,
        max_length=300,
        help_text=_("It stays in the record, with your name."),
        widget=UnfoldAdminTextInputWidget,
    )

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """What is suspicious, and of when."""
        found = waiting(self.by_field, object_id)
        if found is None:
            raise Http404
        return [
            (phrase("Database"), found.database),
            (phrase("Made"), formatting.time_with_age(found.snapshot.time)),
            (phrase("Suspicious because"), " ".join(found.reasons)),
        ]


class AcceptRunForm(AcceptForm):
    """The same on a run's page."""

    by_field = "snapshot__made_by"


def waiting(by_field: str, object_id: Any) -> Suspicion | None:
    """The suspicion of a page's row that waits for a person."""
    rows = Suspicion.objects.filter(state=SuspicionState.WAITING).select_related("snapshot", "database")
    try:
        return rows.filter(**{by_field: object_id}).first()
    except (ValueError, TypeError):
        return None


def may_accept(request: HttpRequest, by_field: str, object_id: Any) -> bool:
    """Whether this person may say so, and there is something to say."""
    return request.user.has_perm("backups.accept_backup") and waiting(by_field, object_id) is not None


def accept_dialog(form_class: type[AcceptForm]) -> dict[str, Any]:
    """The dialog before it."""
    return dialog(
        phrase("Is this backup right?"),
        phrase(
            "Say so only if the tables were meant to go. The heartbeat then moves on to this backup, "
            "the gate opens by it, and old snapshots are forgotten by the rules again. If the tables "
            "are missing by mistake, restore an earlier snapshot instead."
        ),
        phrase("It is right"),
        form_class=form_class,
    )


def say_so(page: ReadOnlyAdmin, request: HttpRequest, row: Any, by_field: str, reason: str) -> HttpResponse:
    """Accept the row's backup, put who and why into the admin log, and lead back to the row."""
    found = waiting(by_field, row.pk)
    if found is None:  # somebody else was quicker
        messages.warning(request, phrase("It does not wait for anybody any more."))
        return redirect(request, page_url(row))
    # Before, so that what a full disk stops half-way is on record as well.
    page.log_change(request, row, phrase("Accepted as right: {reason}", reason=reason))
    try:
        messages.success(request, accept(found, by=request.user.get_username(), reason=reason))
    except Problem as problem:
        messages.error(request, problem.sentence())
    return redirect(request, page_url(row))
