"""What a page wants to know of a server, or of the worker's own surroundings."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.models.fitted import FittedJSONField


class Question(models.Model):
    """One question of one person to the worker, and its answer. It starts nothing and is no run.

    Written by `requests.questions` only.
    """

    # Of the moment.
    is_in_portal_copy = False

    kind = models.CharField(max_length=30)
    asked = models.JSONField(default=dict, help_text=_("What the kind needs to know."))
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    taken_at = models.DateTimeField(null=True, blank=True, help_text=_("When a worker began with it."))
    answer = FittedJSONField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        # No page lists them: whoever asked reads the answer, and nobody else.
        default_permissions = ()

    def __str__(self) -> str:
        return f"Question {self.pk}"
