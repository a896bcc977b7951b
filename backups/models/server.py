"""Where databases live, and as whom they are backed up there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups import validators
from backups.choices import SslMode
from backups.models.fitted import FittedCharField
from backups.models.kinds import REFERENCE_WIDTH, RefersToSecrets
from backups.text import checked


class Server(RefersToSecrets):
    """A MySQL or MariaDB server, and the user who backs up its databases.

    Two rows may have one address, as where two users share the work: to runs that is one server still.
    """

    is_in_portal_copy = True

    name = models.CharField(
        max_length=255,
        unique=True,
        validators=[validators.plain_name],
        help_text=_("What the portal calls it."),
    )
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(
        default=3306, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    user = models.CharField(max_length=128)
    password_ref = models.CharField(
        _("password"),
        max_length=REFERENCE_WIDTH,
        default="env:MYSQL_PASSWORD",
        validators=[validators.secret_reference],
        help_text=_("Where the user's password is found: env:NAME or file:/path. Never the password."),
    )
    ssl_mode = models.CharField(_("TLS"), max_length=20, choices=SslMode.every, default=SslMode.PREFERRED)
    ssl_ca = models.CharField(
        _("TLS authority"),
        max_length=300,
        blank=True,
        help_text=_("Path of the certificate authority's file, for the modes that check it."),
    )
    flavour = models.CharField(max_length=20, blank=True, editable=False)
    version = FittedCharField(max_length=100, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        return f"{self.host}:{self.port}"

    def use_of(self, name: str) -> tuple[str, str]:
        """To log in at its address, with the TLS that keeps others from reading along."""
        return "database server", f"{self.address} {self.ssl_mode} {self.ssl_ca}"

    @property
    def is_of_environment(self) -> bool:
        """Whether the first database is on it, so that it is as the environment says."""
        return self.pk is not None and self.databases.filter(is_primary=True).exists()

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """What is used as a part of a connection has to be fit for that, too."""
        super().clean_fields(exclude)
        refuse_unfit(self, OF_A_CONNECTION, exclude)


# What connections are made of, and what is fit for that.
OF_A_CONNECTION: dict[str, Callable[[Any], object]] = {
    "host": checked.Host,
    "user": checked.User,
    "ssl_ca": checked.Path,
}


def refuse_unfit(
    row: models.Model, kinds: dict[str, Callable[[Any], object]], exclude: Collection[str] | None
) -> None:
    """Raise ValidationError unless these fields of a row are fit for a connection."""
    wrong = {}
    for name, kind in kinds.items():
        if name not in (exclude or ()):
            try:
                validators.fits(kind, getattr(row, name))
            except ValidationError as error:
                wrong[name] = error
    if wrong:
        raise ValidationError(wrong)
