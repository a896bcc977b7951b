"""The forms of people's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.utils.translation import gettext_lazy as _
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextInputWidget

from backups.people import roles


class RoleForm(forms.Form):
    """One of the roles that are not above one's own. The page shows each with what it may do."""

    role = forms.ChoiceField(
        label=_("Role"), widget=forms.RadioSelect, error_messages={"required": _("Choose a role.")}
    )

    def __init__(self, *args: Any, highest: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered = [each for each in roles.CHOICES if roles.rank_of_role(each.name) <= highest]
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101
        field.choices = [(each.name, each.name) for each in self.offered]

    @property
    def chosen(self) -> str:
        """The role that is ticked."""
        return str(self["role"].value() or "")


class InviteForm(RoleForm):
    """Who is invited, and as what."""

    name = forms.CharField(
        label=_("Name"),
        max_length=150,
        help_text=_("They sign in with it, and the record names them by it."),
        error_messages={"required": _("Give a name.")},
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class PasswordForm(SetPasswordForm):
    """A password twice, which Django's validators look at."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("new_password1", "new_password2"):
            self.fields[name].widget.attrs["class"] = " ".join(INPUT_CLASSES)
        self.fields["new_password1"].label = _("Password")
        self.fields["new_password2"].label = _("The same once more")
        self.fields["new_password2"].help_text = ""


class LinkForm(forms.Form):
    """A link, put into the page by its script or pasted."""

    link = forms.CharField(
        label=_("Your link"),
        max_length=1000,
        error_messages={"required": _("Paste the whole link.")},
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
