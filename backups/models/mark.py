"""Whether anything was written since somebody looked."""

from __future__ import annotations

from django.db import models


class Mark(models.Model):
    """Another number after each write to a table. Written and read by `marks` only."""

    # Of the moment.
    is_in_portal_copy = False

    name = models.CharField(max_length=64, unique=True)
    value = models.BigIntegerField()

    class Meta:
        ordering = ["pk"]
        # No page shows them.
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
