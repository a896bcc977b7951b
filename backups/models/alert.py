"""What people are told, and whether they could be."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import AlertEvent, AlertState
from backups.models.database import Database
from backups.models.fitted import FittedCharField, FittedTextField
from backups.text.sentences import phrase, told_again


class Alert(models.Model):
    """How a subject stands that people are told about, and whether they could be told.

    One row a subject and one message a change. Written by `notify` only.
    """

    is_in_portal_copy = True

    subject = models.CharField(max_length=200, unique=True, help_text=_("As in: backup of orders_tracker."))
    database = models.ForeignKey(Database, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=AlertState.every, default=AlertState.GOOD)
    since = models.DateTimeField(default=timezone.now)
    title = FittedCharField(max_length=300, blank=True)
    text = FittedTextField(blank=True)
    parts = models.JSONField(
        default=dict, blank=True, help_text=_("What its texts are made of, to be told in another language.")
    )
    event = models.CharField(
        max_length=20, blank=True, choices=AlertEvent.every, help_text=_("What went wrong last.")
    )
    is_pending = models.BooleanField(default=False, help_text=_("Somebody is still to be told."))
    reached = models.JSONField(
        default=list, blank=True, help_text=_("Digests of the addresses that were told.")
    )
    tried_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    error = FittedTextField(blank=True, help_text=_("Why somebody could not be told."))

    class Meta:
        ordering = ["subject"]

    def __str__(self) -> str:
        return str(self.told)

    def in_words(self, name: str) -> str:
        """One of its texts, by the field's name, in the reader's language where its parts are known."""
        stored = self.parts.get(name) if isinstance(self.parts, dict) else None
        return told_again(getattr(self, name), stored)

    @property
    def told(self) -> str:
        """Its subject and how that stands, to be put into other texts."""
        return phrase("{subject}: {state}", subject=self.in_words("subject"), state=self.get_state_display())
