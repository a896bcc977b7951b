"""How the web process was started last."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.text.sentences import phrase


class PortalStart(models.Model):
    """What the web process found in its environment when it was last started. There is one row."""

    # Of the moment.
    is_in_portal_copy = False

    started_at = models.DateTimeField()
    secrets = models.JSONField(
        default=list, blank=True, help_text=_("Names of variables with secrets that it does not need.")
    )

    def __str__(self) -> str:
        return phrase("Start of {started_at}", started_at=f"{self.started_at:%Y-%m-%d %H:%M:%S}")
