"""The buttons that pin a snapshot and unpin it, and who may press them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from backups.admin.base import ReadOnlyAdmin, get_or_none, page_url, redirect, refused
from backups.admin.dialogs import FactsForm, dialog
from backups.errors import Problem
from backups.keeping import pins
from backups.models import Pin, Snapshot
from backups.requests.forget_snapshot import kept_by, without_pins_words
from backups.text import formatting
from backups.text.sentences import phrase


class _ReasonForm(FactsForm):
    reason = forms.CharField(
        label=_("Why?"),
        min_length=pins.REASON_LEAST,
        max_length=pins.REASON_MOST,
        help_text=_("It stays in the record, with your name."),
        widget=UnfoldAdminTextInputWidget,
    )


class PinForm(_ReasonForm):
    """Why a snapshot is to stay, and until when."""

    until = forms.DateField(
        label=_("Until"),
        required=False,
        help_text=_("The last day on which it is kept. Empty: until somebody unpins it."),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Which one it is, and who pinned it before."""
        snapshot = _snapshot(object_id)
        return [(phrase("Made"), formatting.time_with_age(snapshot.time)), *_pins(snapshot)]

    def clean_until(self) -> Any:
        """Refuse a day that is over."""
        until = self.cleaned_data["until"]
        if until is not None and until < timezone.localdate():
            raise forms.ValidationError(phrase("That day is over."))
        return until


class UnpinForm(_ReasonForm):
    """Why it need not stay, with what then becomes of it."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Whose pins end, and whether it then goes."""
        snapshot = _snapshot(object_id)
        then = without_pins_words(snapshot, kept_by(snapshot, timezone.now()))
        return [
            (phrase("Made"), formatting.time_with_age(snapshot.time)),
            *_pins(snapshot),
            (phrase("Then"), then),
        ]


def _snapshot(object_id: str) -> Snapshot:
    related = Snapshot.objects.present().select_related("database", "repository").defer("manifest")
    found = get_or_none(related, object_id)
    if found is None:
        raise Http404
    return found


def _pins(snapshot: Snapshot) -> list[tuple[str, Any]]:
    return [
        (phrase("Pinned by {person}", person=each.made_by), told(each)) for each in pins.standing(snapshot)
    ]


def told(pin: Pin) -> str:
    """A pin's reason, and its last day."""
    if pin.until is None:
        return pin.reason
    return phrase("{reason} (until {until})", reason=pin.reason, until=f"{pin.until:%Y-%m-%d}")


class PinnedFilter(DropdownFilter):
    """Those that somebody pinned."""

    title = "pinned"
    parameter_name = "pinned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Pinned or not."""
        return [("yes", phrase("Pinned")), ("no", phrase("Not pinned"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Snapshot]) -> QuerySet[Snapshot]:
        """The rows for what was chosen."""
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(_is_pinned() if self.value() == "yes" else ~_is_pinned())


def with_pins(snapshots: QuerySet[Snapshot]) -> QuerySet[Snapshot]:
    """These, each with whether a pin holds it."""
    return snapshots.annotate(is_pinned=_is_pinned())


def _is_pinned() -> Exists:
    return Exists(Pin.objects.standing(timezone.now()).filter(snapshot=OuterRef("pk")))


class PinningAdmin(ReadOnlyAdmin):
    """Pages of snapshots with these two buttons."""

    def has_pin_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may pin."""
        return request.user.has_perm("backups.pin_snapshot")

    def has_unpin_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may, and there is a pin to end."""
        snapshot = get_or_none(Snapshot.objects.present().only("pk"), object_id)
        return self.has_pin_permission(request) and snapshot is not None and bool(pins.standing(snapshot))

    @action(
        description=_("Pin"), icon="keep", permissions=["pin"],
        dialog=dialog(
            phrase("Pin this snapshot?"),
            phrase("No retention forgets it until the last day that you give, or until somebody unpins it."),
            phrase("Pin"), form_class=PinForm,
        ),
    )  # fmt: skip
    def pin(self, request: HttpRequest, form: PinForm, object_id: str) -> HttpResponse:
        """Have this snapshot kept."""
        snapshot: Snapshot = self.found(request, object_id)
        person = request.user.get_username()
        wish = pins.Wish(form.cleaned_data["reason"], person, form.cleaned_data["until"])
        try:
            made = pins.pin(snapshot, wish)
        except Problem as problem:
            return refused(request, snapshot, problem)
        self.log_change(request, snapshot, phrase("Pinned: {reason}", reason=told(made)))
        messages.success(request, pins.pinned_words(snapshot, made))
        if late := pins.maybe_too_late(snapshot):
            messages.warning(request, late)
        return redirect(request, page_url(snapshot))

    @action(
        description=_("Unpin"), icon="keep_off", permissions=["unpin"],
        dialog=dialog(
            phrase("Unpin this snapshot?"),
            phrase("All of its pins end. Whether it then goes is said here; until the next forget it can be "
"pinned again."),
            phrase("Unpin"), form_class=UnpinForm,
        ),
    )  # fmt: skip
    def unpin(self, request: HttpRequest, form: UnpinForm, object_id: str) -> HttpResponse:
        """End the pins of this snapshot."""
        snapshot: Snapshot = self.found(request, object_id)
        reason = form.cleaned_data["reason"]
        try:
            ended = pins.unpin(snapshot, by=request.user.get_username(), reason=reason)
        except Problem as problem:  # somebody else was quicker
            return refused(request, snapshot, problem)
        self.log_change(request, snapshot, phrase("Unpinned: {reason}", reason=reason))
        messages.success(request, pins.unpinned_words(snapshot, ended))
        return redirect(request, page_url(snapshot))
