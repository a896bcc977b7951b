"""The form of a channel: what its service wants to know, of what it tells, and when it is left in peace.

What is typed leaves this process sealed. Of secrets nothing comes back, so whoever changes where a message
goes types them again: else they could be sent to another server.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from backups.choices import EVENTS_AT_FIRST, EVENTS_TO_CHOOSE
from backups.errors import Problem
from backups.models import Channel, Database
from backups.notifications import sealing, services
from backups.text.sentences import phrase

PREFIX = "service_"
# In `shown`, which of the secrets there are.
_SET = "secrets"
_LONGEST = 1000


class ChannelForm(forms.ModelForm):
    """A channel of one kind; `form_for` adds what that kind wants to know."""

    kind: ClassVar[str]

    events = forms.MultipleChoiceField(
        label=_("Of what it tells"),
        choices=[(each.value, each.label) for each in EVENTS_TO_CHOOSE],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    databases = forms.ModelMultipleChoiceField(
        label=_("Of which databases"),
        queryset=Database.objects.order_by("name"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=Channel._meta.get_field("databases").help_text,
    )
    for_portal = forms.BooleanField(
        label=_("The portal may use it when the worker is silent"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_(
            "A worker that died cannot say so. With this, the web process says it by this channel. Its "
            "secrets are then sealed for the web process as well: whoever takes over the web process, or "
            "gets the portal's database and SECRET_KEY, can read them. Without it, only the worker can."
        ),
    )

    class Meta:
        model = Channel
        fields = ("name", "is_enabled", "events", "databases", "remind_hours", "quiet_from", "quiet_until")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = self.kind
        known = self.instance.shown if isinstance(self.instance.shown, dict) else {}
        self._known: dict[str, Any] = known if self.instance.pk else {}
        if self.instance.pk:
            self.initial["events"] = self.instance.wanted
            self.initial["for_portal"] = bool(self.instance.sealed_for_portal)
        else:
            self.initial.setdefault("events", list(EVENTS_AT_FIRST))
        for each in services.SERVICES[self.kind].asked:
            is_set = each.name in self._known.get(_SET, [])
            self.fields[PREFIX + each.name].required = each.required and not is_set
            if not each.secret and each.name in self._known:
                self.initial[PREFIX + each.name] = self._known[each.name]
            if is_set:
                field = self.fields[PREFIX + each.name]
                field.widget.attrs["placeholder"] = str(phrase("Set. Leave it empty to keep it."))
        # What is to be stored, once it was found to be right: the box, and what of it may be shown.
        self.sealed: str = ""
        self.told: dict[str, Any] = {}
        self._sealed_for_portal = ""

    # ------------------------------------------------------------ What the service wants to know

    def clean(self) -> dict[str, Any]:
        """Seal what was typed, or keep what is there."""
        cleaned: dict[str, Any] = super().clean() or {}
        self._clean_quiet(cleaned)
        if self._is_kept():
            if cleaned.get("for_portal") and not self.instance.sealed_for_portal:
                self.add_error("for_portal", self._again())
            self._sealed_for_portal = self.instance.sealed_for_portal if cleaned.get("for_portal") else ""
            return cleaned
        values = self._typed(cleaned)
        if not any(name.startswith(PREFIX) for name in self.errors):
            self._seal(values, bool(cleaned.get("for_portal")))
        return cleaned

    def _is_kept(self) -> bool:
        """Whether all that the service wants to know is as it was."""
        return bool(self._known) and not any(name.startswith(PREFIX) for name in self.changed_data)

    def _typed(self, cleaned: dict[str, Any]) -> dict[str, str]:
        asked = services.SERVICES[self.kind].asked
        values = {each.name: str(cleaned.get(PREFIX + each.name) or "").strip() for each in asked}
        needs_any = any(each.secret and each.required for each in asked)
        for each in asked:
            value = values[each.name]
            was_set = each.name in self._known.get(_SET, [])
            if value:
                if wrong := each.check(value):
                    self.add_error(PREFIX + each.name, wrong)
            elif was_set and (each.required or (not needs_any and values.get("user"))):
                self.add_error(PREFIX + each.name, self._again())
        return values

    def _again(self) -> str:
        return phrase(
            "Type the secrets of this channel again: what is stored can be read by the worker alone, and "
            "goes nowhere else."
        )

    def _seal(self, values: dict[str, str], for_portal: bool) -> None:
        secrets = [
            each.name for each in services.SERVICES[self.kind].asked if each.secret and values[each.name]
        ]
        try:
            self.sealed = sealing.for_worker(self.kind, values)
            self._sealed_for_portal = sealing.for_portal(self.kind, values) if for_portal else ""
        except Problem as problem:
            self.add_error(None, problem.sentence())
            return
        self.told = {**services.shown(self.kind, values), _SET: secrets}

    def _clean_quiet(self, cleaned: dict[str, Any]) -> None:
        begin, end = cleaned.get("quiet_from"), cleaned.get("quiet_until")
        if (begin is None) != (end is None):
            if not {"quiet_from", "quiet_until"} & set(self.errors):
                missing = "quiet_until" if end is None else "quiet_from"
                self.add_error(missing, phrase("Quiet hours need a beginning and an end."))
        elif begin is not None and begin == end:
            self.add_error("quiet_until", phrase("They begin and end at the same time."))

    def service_errors(self) -> list[str]:
        """What is wrong with what the service wants to know: a test asks for nothing else."""
        wrong = [
            phrase("{field}: {error}", field=self.fields[name].label, error=error)
            for name in self.errors if name.startswith(PREFIX)
            for error in self.errors[name]
        ]  # fmt: skip
        return [*wrong, *(str(each) for each in self.non_field_errors())]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # the stubs do not know it
        if self.sealed:
            self.instance.sealed, self.instance.shown = self.sealed, self.told
        self.instance.sealed_for_portal = self._sealed_for_portal


def _field(asked: services.Asked) -> forms.Field:
    """A field for one thing that a service wants to know, in the reader's language."""
    attrs = {"placeholder": asked.example, "autocomplete": "off"}
    options: dict[str, Any] = {
        "label": str(asked.label), "help_text": str(asked.help), "required": False,
        "initial": asked.initial,
    }  # fmt: skip
    if asked.choices:
        choices = [(value, str(words)) for value, words in asked.choices]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **options)
    if asked.secret:
        attrs["autocomplete"] = "new-password"
        widget: forms.Widget = UnfoldAdminPasswordWidget(attrs=attrs)
    else:
        widget = UnfoldAdminTextInputWidget(attrs=attrs)
    return forms.CharField(max_length=_LONGEST, strip=True, widget=widget, **options)


def form_for(kind: str) -> type[ChannelForm]:
    """The form of a channel of a kind."""
    asked = {PREFIX + each.name: _field(each) for each in services.SERVICES[kind].asked}
    return type("ChannelForm", (ChannelForm,), {**asked, "kind": kind})
