"""What test restores found."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import Verdict
from backups.models.fitted import FittedCharField, FittedJSONField
from backups.models.run import Run
from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class Verification(models.Model):
    """What a full test restore of a snapshot found."""

    is_in_portal_copy = True

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="verification")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="verifications")
    verdict = models.CharField(max_length=12, choices=Verdict.every)
    finished_at = models.DateTimeField(default=timezone.now)
    compared = FittedJSONField(default=list, blank=True)
    not_compared = FittedJSONField(default=list, blank=True)
    differences = FittedJSONField(default=list, blank=True)
    restore_seconds = models.FloatField(null=True, blank=True)
    tables = models.PositiveIntegerField(null=True, blank=True)
    rows = models.BigIntegerField(null=True, blank=True)
    bytes = models.BigIntegerField(null=True, blank=True)
    source_version = FittedCharField(max_length=100, blank=True)
    scratch_version = FittedCharField(max_length=100, blank=True)
    scratch_address = FittedCharField(
        max_length=300, blank=True, help_text=_("Where it was restored: host:port or the path of a socket.")
    )

    class Meta:
        ordering = ["-finished_at", "-pk"]

    def __str__(self) -> str:
        return str(self.told)

    @property
    def told(self) -> str:
        """What it found, and of what, to be put into other texts."""
        return phrase("{verdict}: {snapshot}", verdict=self.get_verdict_display(), snapshot=self.snapshot)
