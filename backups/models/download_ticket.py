"""What a person may download, once and at once."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class DownloadTicket(models.Model):
    """Leave for one person to download one snapshot's SQL. Written by `downloads` only."""

    # Of the moment.
    is_in_portal_copy = False

    digest = models.CharField(max_length=64, unique=True, help_text=_("Of the token, which is kept nowhere."))
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="+")
    tables = models.JSONField(default=list, help_text=_("Empty is all of them."))
    until = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return phrase("{snapshot} for {person}", snapshot=self.snapshot, person=self.person)
