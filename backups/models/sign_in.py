"""Where people are signed in."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.text.sentences import phrase


class SignIn(models.Model):
    """A session as its owner knows it: since when, from where, with which browser. Written by `people` only.

    It outlives its session until its owner signs in again, so that it is known when they were here last.
    """

    # Of the moment.
    is_in_portal_copy = False

    key = models.CharField(
        max_length=40, unique=True, help_text=_("What the session's row is kept by, which opens nothing.")
    )
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    since = models.DateTimeField(
        null=True, blank=True, help_text=_("None of a session that an earlier version began.")
    )
    seen_at = models.DateTimeField()
    address = models.CharField(max_length=60, blank=True)
    browser = models.CharField(max_length=300, blank=True, help_text=_("As it calls itself."))

    class Meta:
        ordering = ["-seen_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return phrase("Session of {person}", person=self.person)
