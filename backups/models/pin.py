"""Snapshots that a person said are to stay."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class PinQuerySet(models.QuerySet["Pin"]):
    """Pins, and which of them hold."""

    def standing(self, now: datetime) -> PinQuerySet:
        """Those that nobody ended, up to the end of their last day in TIME_ZONE."""
        today = timezone.localdate(now)
        return self.filter(models.Q(until=None) | models.Q(until__gte=today), ended_at=None)


class Pin(models.Model):
    """A person's word that a snapshot stays, whatever the policy says. Written by `keeping` only.

    It is ended and not deleted, so that who kept what, and why, is known afterwards.
    """

    is_in_portal_copy = True

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="pins")
    reason = models.CharField(max_length=300, help_text=_("Why it is to stay, in their words."))
    until = models.DateField(
        null=True, blank=True, help_text=_("The last day on which it is kept; empty is for ever.")
    )
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.CharField(max_length=200, help_text=_("Who said so."))
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    end_reason = models.CharField(max_length=300, blank=True, help_text=_("Why it need not stay."))

    objects = PinQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        permissions = [("pin_snapshot", "Can pin snapshots, so that they are kept, and unpin them")]
        indexes = [models.Index(fields=["ended_at", "until"], name="pin_standing")]

    def __str__(self) -> str:
        return str(self.told)

    @property
    def told(self) -> str:
        """Which snapshot it keeps, and why, to be put into other texts."""
        return phrase("{snapshot}: {reason}", snapshot=self.snapshot, reason=self.reason)
