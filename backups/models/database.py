"""What is backed up."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups import validators
from backups.choices import DumpFormat, SslMode, StandDownKind
from backups.models.fitted import FittedCharField, FittedJSONField
from backups.models.kinds import REFERENCE_WIDTH, Leased, RefersToSecrets
from backups.models.label import Label
from backups.models.repository import Repository
from backups.models.server import OF_A_CONNECTION, Server, refuse_unfit
from backups.models.stand_down import StandDown
from backups.text.addresses import same_address
from backups.text.sentences import phrase


class DatabaseQuerySet(models.QuerySet["Database"]):
    """Databases, and which of them are still meant to be backed up."""

    def in_service(self) -> DatabaseQuerySet:
        """Those that nobody retired."""
        retired = StandDown.objects.filter(
            database=models.OuterRef("pk"), kind=StandDownKind.RETIREMENT, ended_at=None
        )
        return self.filter(~models.Exists(retired))


class Database(RefersToSecrets, Leased):
    """A MySQL or MariaDB database that is backed up."""

    is_in_portal_copy = True

    _REFERENCES = ("verify_password_ref",)

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[validators.plain_name],
        help_text=_("What the portal, the gate and the commands call it."),
    )
    server = models.ForeignKey(
        Server,
        on_delete=models.PROTECT,
        related_name="databases",
        help_text=_("Where it lies, and as whom it is backed up there; several databases may be on one."),
    )
    database = models.CharField(
        _("database on the server"), max_length=64, validators=[validators.schema_name]
    )
    verify_host = models.CharField(
        _("host for test restores"),
        max_length=255,
        blank=True,
        help_text=_("A server of the same kind and release, best one that holds nothing else."),
    )
    verify_port = models.PositiveIntegerField(
        _("its port"), default=3306, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    verify_user = models.CharField(_("its user"), max_length=128, blank=True)
    verify_password_ref = models.CharField(
        _("its password"),
        max_length=REFERENCE_WIDTH,
        blank=True,
        validators=[validators.secret_reference],
        help_text=_("Where that user's password is found: env:NAME or file:/path. Never the password."),
    )
    verify_ssl_mode = models.CharField(
        _("its TLS"),
        max_length=20,
        blank=True,
        choices=SslMode.every,
        help_text=_("Empty is as for the database."),
    )
    verify_ssl_ca = models.CharField(
        _("its TLS authority"),
        max_length=300,
        blank=True,
        help_text=_("Path of the certificate authority's file; empty is as for the database."),
    )
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="databases")
    dump_format = models.CharField(max_length=10, choices=DumpFormat.every, default=DumpFormat.SQL)
    backup_cron = models.CharField(
        _("backup schedule"),
        max_length=100,
        default="0 3,15 * * *",
        blank=True,
        validators=[validators.cron],
        help_text=_("minute hour day month weekday; empty is never."),
    )
    verify_cron = models.CharField(
        _("verification schedule"),
        max_length=100,
        default="0 5 * * 0",
        blank=True,
        validators=[validators.cron],
        help_text=_("minute hour day month weekday; empty is never."),
    )
    keep_daily = models.PositiveIntegerField(default=7)
    keep_weekly = models.PositiveIntegerField(default=4)
    keep_monthly = models.PositiveIntegerField(default=6)
    gates_app = models.BooleanField(
        _("gates the application"),
        default=True,
        help_text=_("The gate closes when this database's backups are stale."),
    )
    heartbeat_threshold = models.PositiveIntegerField(
        _("stale after, seconds"),
        null=True,
        blank=True,
        help_text=_("Empty takes SENTINEL_THRESHOLD_SECONDS."),
    )
    labels = models.ManyToManyField(
        Label,
        verbose_name=_("labels"),
        blank=True,
        related_name="databases",
        help_text=_("Words that group databases."),
    )
    is_primary = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Made from the environment: its heartbeat is the file at SENTINEL_HEARTBEAT_PATH."),
    )
    client_version = FittedCharField(max_length=100, blank=True, editable=False)
    preflight_warnings = FittedJSONField(default=list, blank=True, editable=False)
    hosts = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Whether snapshots under another host name than BACKUP_HOST are this installation's."),
    )

    objects = DatabaseQuerySet.as_manager()

    # Its table still has columns of the version before, for one release: see the migration 0012_server.
    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def test_restores_at(self) -> tuple[str, int]:
        """Host and port of the server that test restores go to, and proofs by replay."""
        if self.verify_host:
            return self.verify_host, self.verify_port
        if settings.VERIFY_MYSQL_HOST:
            return settings.VERIFY_MYSQL_HOST, settings.VERIFY_MYSQL_PORT
        return self.server.host, self.server.port

    @property
    def replays_beside_live(self) -> bool:
        """Whether a proof by replay would be made beside the live database, on a MariaDB, unasked.

        As far as rows tell: before anybody looked at a server it is not known what it is.
        """
        if self.server.flavour != "MariaDB" or settings.REPLAY_ON_LIVE:
            return False
        return same_address(self.test_restores_at, (self.server.host, self.server.port))

    def use_of(self, name: str) -> tuple[str, str]:
        """To log in at the server for test restores, with the TLS that keeps others from reading along."""
        address = f"{self.verify_host}:{self.verify_port}"
        return "server for test restores", f"{address} {self.verify_ssl_mode} {self.verify_ssl_ca}"

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """What is used as a part of a connection has to be fit for that, too."""
        super().clean_fields(exclude)
        if self.verify_host:
            refuse_unfit(self, _OF_TEST_RESTORES, exclude)

    def clean(self) -> None:
        """Of a server for test restores all is named, or nothing."""
        super().clean()
        if self.verify_host and not self.verify_password_ref:
            raise ValidationError({"verify_password_ref": phrase("Say where that user's password is found.")})
        if not self.verify_host and (self.verify_user or self.verify_password_ref):
            raise ValidationError(
                {"verify_host": phrase("Name the server as well, or leave its user and password empty.")}
            )


_OF_TEST_RESTORES = {f"verify_{name}": kind for name, kind in OF_A_CONNECTION.items()}
