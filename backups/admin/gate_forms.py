"""What is asked on the gate's page: how long it stays open, and where to hold a drill."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backups.errors import Problem
from backups.gate import asking
from backups.text.sentences import plural


class OverrideForm(forms.Form):
    """For how long, and why."""

    hours = forms.TypedChoiceField(
        label=_("For how long"),
        coerce=int,
        choices=[
            *((n, plural("{n} hour", "{n} hours", n=n)) for n in (1, 4, 12)),
            *((24 * n, plural("{n} day", "{n} days", n=n)) for n in (1, 3)),
        ],
        initial=4,
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(
        label=_("Why"),
        min_length=5,
        max_length=200,
        help_text=_("Everybody who signs in reads it, and it stays in the record."),
        widget=UnfoldAdminTextInputWidget,
    )


class DrillForm(forms.Form):
    """Which address is to be closed by the gate."""

    url = forms.CharField(
        label=_("Address of the application"),
        max_length=500,
        help_text=_(
            "As visitors open it, http or https. The worker asks it a few times and keeps nobody out."
        ),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "url", "placeholder": "https://shop.example.com/"}),
    )

    def clean_url(self) -> str:
        """Refuse what a drill could not ask."""
        url = str(self.cleaned_data["url"])
        try:
            asking.checked(url)
        except Problem as problem:
            raise forms.ValidationError(problem.sentence()) from None
        return url
