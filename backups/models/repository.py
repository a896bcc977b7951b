"""Where snapshots lie."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups import validators
from backups.choices import Health
from backups.models.fitted import FittedTextField
from backups.models.kinds import REFERENCE_WIDTH, Leased, RefersToSecrets

_WITH_KEYS = ("s3", "rest", "b2", "azure")


class Repository(RefersToSecrets, Leased):
    """A restic repository and where its secrets are found."""

    is_in_portal_copy = True

    _REFERENCES = ("password_ref", "access_key_ref", "secret_key_ref")

    name = models.CharField(max_length=100, unique=True)
    url = models.CharField(
        _("location"),
        max_length=500,
        validators=[validators.repository_url],
        help_text=_(
            "As restic takes it: /srv/restic, s3:https://host/bucket/path, sftp:user@host:/path. Never "
            "with a password in it."
        ),
    )
    password_ref = models.CharField(
        _("password"),
        max_length=REFERENCE_WIDTH,
        default="env:RESTIC_PASSWORD",
        validators=[validators.secret_reference],
        help_text=_("Where the repository's password is found: env:NAME or file:/path."),
    )
    access_key_ref = models.CharField(
        _("access key id"),
        max_length=REFERENCE_WIDTH,
        blank=True,
        default="env:AWS_ACCESS_KEY_ID",
        validators=[validators.secret_reference],
        help_text=_("For S3: env:NAME or file:/path."),
    )
    secret_key_ref = models.CharField(
        _("secret access key"),
        max_length=REFERENCE_WIDTH,
        blank=True,
        default="env:AWS_SECRET_ACCESS_KEY",
        validators=[validators.secret_reference],
        help_text=_("For S3: env:NAME or file:/path."),
    )
    restic_id = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("restic's own id of it, learnt when it is first opened."),
    )
    check_interval = models.PositiveIntegerField(
        default=6,
        help_text=_("Check the repository's integrity after this many backups; 0 is never."),
    )
    backups_since_check = models.PositiveIntegerField(default=0, editable=False)
    health = models.CharField(max_length=10, choices=Health.every, default=Health.UNKNOWN, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_error = FittedTextField(blank=True, editable=False)
    size_bytes = models.BigIntegerField(null=True, blank=True, editable=False)
    sized_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = _("repositories")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def use_of(self, name: str) -> tuple[str, str]:
        """Keys are shown to the storage at its location; the password encrypts here and goes nowhere.

        So a repository that is moved keeps its password, without which nobody reads it.
        """
        if name == "password_ref":
            return "repository", ""
        return f"storage {name.removesuffix('_ref')}", self.url

    def takes(self, name: str) -> bool:
        """Keys are for some storages alone, and never for a folder."""
        return name == "password_ref" or self.url.partition(":")[0] in _WITH_KEYS

    @property
    def is_damaged(self) -> bool:
        """Whether a check found damage and none of all data was good since: heartbeats are withheld."""
        return self.health == Health.DAMAGED

    @property
    def is_suspect(self) -> bool:
        """Whether a snapshot in it was found bad and no check told more since: nothing is withheld."""
        return self.health == Health.SUSPECT
