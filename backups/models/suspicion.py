"""Backups of which a person is to say whether they are right."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import SuspicionState
from backups.models.database import Database
from backups.models.fitted import FittedCharField, FittedJSONField
from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class Suspicion(models.Model):
    """A backup of a database that had suddenly lost its tables, and what a person said of it.

    Written by `keeping` only. waiting → accepted | over (its tables are back, or a newer one was accepted).
    """

    is_in_portal_copy = True

    snapshot = models.OneToOneField(Snapshot, on_delete=models.CASCADE, related_name="suspicion")
    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="suspicions")
    reasons = FittedJSONField(default=list, help_text=_("A sentence each."))
    state = models.CharField(
        max_length=10, choices=SuspicionState.every, default=SuspicionState.WAITING, db_index=True
    )
    found_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = FittedCharField(max_length=200, blank=True, help_text=_("Who said so, or what ended it."))
    reason = FittedCharField(max_length=300, blank=True, help_text=_("Why it is right, in their words."))

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        permissions = [("accept_backup", "Can say of a suspicious backup that it is right")]

    def __str__(self) -> str:
        return str(self.told)

    @property
    def told(self) -> str:
        """How it stands, and of what, to be put into other texts."""
        return phrase("{state}: {snapshot}", state=self.get_state_display(), snapshot=self.snapshot)
