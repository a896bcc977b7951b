"""What the portal knows of a person's account beside Django's own row."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.text.sentences import phrase


class Account(models.Model):
    """How a person comes by their password. Written by `people` only."""

    is_in_portal_copy = True

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="account")
    must_change_password = models.BooleanField(
        default=False, help_text=_("Somebody else set it, and knows it.")
    )
    # Only the newest link counts; it is worked out from this time, and kept nowhere.
    link_made_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("When the link was made that sets a password; none once it is used."),
    )

    class Meta:
        default_permissions = ()
        permissions = [("manage_people", "Can invite people, give them roles and end their sessions")]

    def __str__(self) -> str:
        return phrase("Account of {person}", person=self.person)
