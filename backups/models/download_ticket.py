"""What a person may download, once and at once."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models.run import Run
from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class DownloadTicket(models.Model):
    """Leave for one person to download one snapshot's SQL, or to ask once what one run keeps of rows.

    Written by `downloads` only. What is asked of a run goes over the socket: it may hold somebody's data.
    """

    # Of the moment.
    is_in_portal_copy = False

    digest = models.CharField(max_length=64, unique=True, help_text=_("Of the token, which is kept nowhere."))
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    snapshot = models.ForeignKey(Snapshot, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    tables = models.JSONField(default=list, help_text=_("Empty is all of them."))
    until = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()

    def __str__(self) -> str:
        what = self.snapshot or phrase("rows of {run}", run=self.run)
        return phrase("{snapshot} for {person}", snapshot=what, person=self.person)
