"""The installation's key, as far as everybody may know it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class PublicKey(models.Model):
    """The public halves of the installation's key: one row, of the key of now. No copy carries it."""

    # Which key is ours, no copy may say.
    is_in_portal_copy = False

    signing = models.CharField(max_length=44, help_text=_("Ed25519, in base64."))
    sealing = models.CharField(max_length=44, help_text=_("X25519, in base64."))
    noted_at = models.DateTimeField(default=timezone.now)
    copied_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When a person said that the key is kept elsewhere, too.")
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.signing
