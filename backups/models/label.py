"""Labels, by which people group databases."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups import validators


class Label(models.Model):
    """A word that several databases share, as in production or shop. Nothing else depends on it."""

    is_in_portal_copy = True

    name = models.CharField(
        max_length=60,
        unique=True,
        validators=[validators.plain_name],
        help_text=_("A word that groups databases, as in: production."),
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
