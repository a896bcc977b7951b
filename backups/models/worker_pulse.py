"""Whether workers are there."""

from __future__ import annotations

from django.db import models


class WorkerPulse(models.Model):
    """When each of the queue's clusters was last seen alive."""

    # Of the moment.
    is_in_portal_copy = False

    cluster = models.CharField(max_length=50, unique=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["cluster"]

    def __str__(self) -> str:
        return self.cluster
