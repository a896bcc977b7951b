"""What the portal remembers. No I/O here: actions do the work, services write the changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from backups import validators
from backups.choices import (
    BAD_VERDICTS,
    TERMINAL,
    UNSETTLED,
    Action,
    AlertState,
    DefinerPolicy,
    DumpFormat,
    Health,
    Level,
    RestoreMode,
    SslMode,
    Status,
    SuspicionState,
    Swap,
    Trigger,
    Verdict,
)
from backups.dumpfile import manifests
from backups.text import checked


class Leased(models.Model):
    """A thing that one run at a time may hold, until the lease runs out or is given back."""

    lease_run = models.ForeignKey(
        "backups.Run",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


class RefersToSecrets(models.Model):
    """A row that says where its secrets are."""

    _REFERENCES: tuple[str, ...] = ("password_ref",)

    class Meta:
        abstract = True

    def clean(self) -> None:
        """What it newly refers to has to be declared; what it referred to before goes on."""
        super().clean()
        rows = type(self)._default_manager.filter(pk=self.pk)
        known = rows.values(*self._REFERENCES).first() or {}
        wrong = {}
        for name in self._REFERENCES:
            if getattr(self, name) != known.get(name):
                try:
                    validators.declared_reference(getattr(self, name))
                except ValidationError as error:
                    wrong[name] = error
        if wrong:
            raise ValidationError(wrong)

    def references(self) -> list[str]:
        """All that it refers to."""
        return [reference for name in self._REFERENCES if (reference := getattr(self, name))]


class Repository(RefersToSecrets, Leased):
    """A restic repository and where its secrets are found."""

    _REFERENCES = ("password_ref", "access_key_ref", "secret_key_ref")

    name = models.CharField(max_length=100, unique=True)
    url = models.CharField(
        "location",
        max_length=500,
        validators=[validators.repository_url],
        help_text="As restic takes it: /srv/restic, s3:https://host/bucket/path, sftp:user@host:/path. "
        "Never with a password in it.",
    )
    password_ref = models.CharField(
        "password",
        max_length=300,
        default="env:RESTIC_PASSWORD",
        validators=[validators.secret_reference],
        help_text="Where the repository's password is found: env:NAME or file:/path.",
    )
    access_key_ref = models.CharField(
        "access key id",
        max_length=300,
        blank=True,
        default="env:AWS_ACCESS_KEY_ID",
        validators=[validators.secret_reference],
        help_text="For S3: env:NAME or file:/path.",
    )
    secret_key_ref = models.CharField(
        "secret access key",
        max_length=300,
        blank=True,
        default="env:AWS_SECRET_ACCESS_KEY",
        validators=[validators.secret_reference],
        help_text="For S3: env:NAME or file:/path.",
    )
    restic_id = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="restic's own id of it, learnt when it is first opened.",
    )
    check_interval = models.PositiveIntegerField(
        default=6,
        help_text="Check the repository's integrity after this many backups; 0 is never.",
    )
    backups_since_check = models.PositiveIntegerField(default=0, editable=False)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_error = models.TextField(blank=True, editable=False)
    size_bytes = models.BigIntegerField(null=True, blank=True, editable=False)
    sized_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "repositories"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_damaged(self) -> bool:
        """Whether a check found damage and none of all data was good since: heartbeats are withheld."""
        return self.health == Health.DAMAGED

    @property
    def is_suspect(self) -> bool:
        """Whether a snapshot in it was found bad and no check told more since: nothing is withheld."""
        return self.health == Health.SUSPECT


class Database(RefersToSecrets, Leased):
    """A MySQL or MariaDB database that is backed up."""

    _REFERENCES = ("password_ref", "verify_password_ref")

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[validators.plain_name],
        help_text="What the portal, the gate and the commands call it.",
    )
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(
        default=3306, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    user = models.CharField(max_length=128)
    password_ref = models.CharField(
        "password",
        max_length=300,
        default="env:MYSQL_PASSWORD",
        validators=[validators.secret_reference],
        help_text="Where the user's password is found: env:NAME or file:/path. Never the password.",
    )
    database = models.CharField("database on the server", max_length=64, validators=[validators.schema_name])
    ssl_mode = models.CharField("TLS", max_length=20, choices=SslMode.choices, default=SslMode.PREFERRED)
    ssl_ca = models.CharField(
        "TLS authority",
        max_length=300,
        blank=True,
        help_text="Path of the certificate authority's file, for the modes that check it.",
    )
    verify_host = models.CharField(
        "host for test restores",
        max_length=255,
        blank=True,
        help_text="A server of the same kind and release, best one that holds nothing else.",
    )
    verify_port = models.PositiveIntegerField(
        "its port", default=3306, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    verify_user = models.CharField("its user", max_length=128, blank=True)
    verify_password_ref = models.CharField(
        "its password",
        max_length=300,
        blank=True,
        validators=[validators.secret_reference],
        help_text="Where that user's password is found: env:NAME or file:/path. Never the password.",
    )
    verify_ssl_mode = models.CharField(
        "its TLS",
        max_length=20,
        blank=True,
        choices=SslMode.choices,
        help_text="Empty is as for the database.",
    )
    verify_ssl_ca = models.CharField(
        "its TLS authority",
        max_length=300,
        blank=True,
        help_text="Path of the certificate authority's file; empty is as for the database.",
    )
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="databases")
    dump_format = models.CharField(max_length=10, choices=DumpFormat.choices, default=DumpFormat.SQL)
    backup_cron = models.CharField(
        "backup schedule",
        max_length=100,
        default="0 3,15 * * *",
        blank=True,
        validators=[validators.cron],
        help_text="minute hour day month weekday; empty is never.",
    )
    verify_cron = models.CharField(
        "verification schedule",
        max_length=100,
        default="0 5 * * 0",
        blank=True,
        validators=[validators.cron],
        help_text="minute hour day month weekday; empty is never.",
    )
    keep_daily = models.PositiveIntegerField(default=7)
    keep_weekly = models.PositiveIntegerField(default=4)
    keep_monthly = models.PositiveIntegerField(default=6)
    gates_app = models.BooleanField(
        "gates the application",
        default=True,
        help_text="The gate closes when this database's backups are stale.",
    )
    heartbeat_threshold = models.PositiveIntegerField(
        "stale after, seconds",
        null=True,
        blank=True,
        help_text="Empty takes SENTINEL_THRESHOLD_SECONDS.",
    )
    is_primary = models.BooleanField(
        default=False,
        editable=False,
        help_text="Made from the environment: its heartbeat is the file at SENTINEL_HEARTBEAT_PATH.",
    )
    server_flavour = models.CharField(max_length=20, blank=True, editable=False)
    server_version = models.CharField(max_length=100, blank=True, editable=False)
    client_version = models.CharField(max_length=100, blank=True, editable=False)
    preflight_warnings = models.JSONField(default=list, blank=True, editable=False)
    hosts = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="Whether snapshots under another host name than BACKUP_HOST are this installation's.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """What is used as a part of a connection has to be fit for that, too."""
        super().clean_fields(exclude)
        kinds = _OF_A_CONNECTION | (_OF_TEST_RESTORES if self.verify_host else {})
        wrong = {}
        for name, kind in kinds.items():
            if name not in (exclude or ()):
                try:
                    validators.fits(kind, getattr(self, name))
                except ValidationError as error:
                    wrong[name] = error
        if wrong:
            raise ValidationError(wrong)

    def clean(self) -> None:
        """Of a server for test restores all is named, or nothing."""
        super().clean()
        if self.verify_host and not self.verify_password_ref:
            raise ValidationError({"verify_password_ref": "Say where that user's password is found."})
        if not self.verify_host and (self.verify_user or self.verify_password_ref):
            raise ValidationError(
                {"verify_host": "Name the server as well, or leave its user and password empty."}
            )


# What connections are made of, and what is fit for that.
_OF_A_CONNECTION: dict[str, Callable[[Any], object]] = {
    "host": checked.Host,
    "user": checked.User,
    "ssl_ca": checked.Path,
}
_OF_TEST_RESTORES: dict[str, Callable[[Any], object]] = {
    f"verify_{name}": kind for name, kind in _OF_A_CONNECTION.items()
}


class Run(models.Model):
    """One execution of one action with one outcome. Written by `services` only.

    queued → running → succeeded | failed | cancelled | lost; queued → cancelled | failed.
    """

    action = models.CharField(max_length=20, choices=Action.choices)
    database = models.ForeignKey(
        Database, null=True, blank=True, on_delete=models.PROTECT, related_name="runs"
    )
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="runs")
    snapshot = models.ForeignKey(
        "backups.Snapshot",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        help_text="The snapshot that the run made, verified or restored.",
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    options = models.JSONField(default=dict, blank=True, help_text="The action's own parameters.")
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    phase = models.CharField(max_length=50, blank=True)
    phases = models.JSONField(default=list, blank=True, help_text="Each phase's name and start, in order.")
    bytes_done = models.BigIntegerField(default=0)
    bytes_expected = models.BigIntegerField(null=True, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    cancel_requested = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True, help_text="What the action found out.")
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    restic_version = models.CharField(max_length=50, blank=True)
    server_version = models.CharField(max_length=100, blank=True)
    client_version = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["-queued_at", "-pk"]
        indexes = [
            models.Index(fields=["-queued_at", "-id"], name="run_queued"),
            models.Index(fields=["status", "-queued_at", "-id"], name="run_status_queued"),
            models.Index(fields=["database", "-queued_at", "-id"], name="run_database_queued"),
            models.Index(fields=["database", "action", "status", "-finished_at"], name="run_newest"),
            models.Index(fields=["repository", "action", "status"], name="run_repository"),
        ]
        permissions = [
            ("run_backup", "Can start backups"),
            ("run_verify", "Can start verifications"),
            ("run_maintenance", "Can check, forget, prune, repair and unlock repositories"),
            ("run_restore", "Can restore, download, undo a restore and drop kept tables"),
            ("cancel_run", "Can cancel runs"),
            ("override_gate", "Can override the gate"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.pk}"

    @property
    def is_over(self) -> bool:
        """Whether the run has its outcome."""
        return self.status in TERMINAL

    def duration(self, now: datetime | None = None) -> timedelta | None:
        """How long the run took, or has been running by `now`; None before it started."""
        if self.started_at is None:
            return None
        return (self.finished_at or now or timezone.now()) - self.started_at


class RunLine(models.Model):
    """A line of a run's log, appended as it comes."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    text = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    """Snapshots, and which of them count as backups."""

    def trusted(self) -> SnapshotQuerySet:
        """Without those that hold suspiciously little and that no person said to be right."""
        return self.exclude(suspicion__state__in=[SuspicionState.WAITING, SuspicionState.OVER])

    def made_here(self) -> SnapshotQuerySet:
        """Those that this installation signed when it made them."""
        return self.filter(made_here=True)

    def meant(self) -> SnapshotQuerySet:
        """Those that were made here, and all of a database of which no backup was: others do not decide."""
        ours = Snapshot.objects.made_here().filter(database=models.OuterRef("database"), forgotten_at=None)
        backups = ours.exclude(made_by__trigger=Trigger.RESTORE)
        return self.filter(models.Q(made_here=True) | ~models.Exists(backups))

    def not_known_bad(self) -> SnapshotQuerySet:
        """Without those of which the newest verification said that they are not what was backed up."""
        return self.exclude(verdict__in=BAD_VERDICTS)


class Snapshot(models.Model):
    """A snapshot in a repository, and what its manifest said."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="snapshots")
    database = models.ForeignKey(
        Database, null=True, blank=True, on_delete=models.PROTECT, related_name="snapshots"
    )
    made_by = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="made_snapshots"
    )
    snapshot_id = models.CharField("snapshot", max_length=64, db_index=True)
    time = models.DateTimeField(db_index=True)
    host = models.CharField(max_length=255, blank=True)
    path = models.CharField(max_length=500)
    tags = models.JSONField(default=list, blank=True)
    total_bytes_processed = models.BigIntegerField("dump size", null=True, blank=True)
    data_added = models.BigIntegerField(null=True, blank=True)
    data_added_packed = models.BigIntegerField(null=True, blank=True)
    dump_sha256 = models.CharField("dump digest", max_length=64, blank=True)
    manifest = models.JSONField(null=True, blank=True)
    kept_because = models.JSONField(
        default=list,
        blank=True,
        help_text="The retention rules that keep it, as restic named them.",
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(
        max_length=12,
        choices=Verdict.choices,
        blank=True,
        editable=False,
        help_text="Of its newest verification; empty without any.",
    )
    signature = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text="By which this installation knows that it made the snapshot; of its manifest.",
    )
    made_here = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether this portal made it, as its rows or the signature say.",
    )
    forgotten_at = models.DateTimeField(null=True, blank=True)

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        ordering = ["-time", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "snapshot_id"], name="snapshot_once_per_repository")
        ]
        indexes = [models.Index(fields=["database", "forgotten_at", "-time"], name="snapshot_newest")]

    def __str__(self) -> str:
        return self.short_id

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **more: Any
    ) -> Self:
        """A manifest without the form of one, which a row of a stranger's may hold, is as none."""
        snapshot = super().from_db(db, field_names, values, **more)
        if "manifest" in field_names and not manifests.has_form(snapshot.manifest):
            snapshot.manifest = None
        return snapshot

    @property
    def local_time(self) -> datetime:
        """When it was made, in TIME_ZONE."""
        return timezone.localtime(self.time)

    @property
    def short_id(self) -> str:
        """The first eight digits, as restic prints them."""
        return self.snapshot_id[:8]

    @property
    def is_known_bad(self) -> bool:
        """Whether its newest verification found that it does not bring back what was backed up."""
        return self.verdict in BAD_VERDICTS

    @property
    def source(self) -> str:
        """The name on its server of the database that was dumped, empty where nothing tells it."""
        if self.manifest and "database" in self.manifest:
            return str(self.manifest["database"])
        # The one character that a file's name cannot have.
        return self.file_stem.replace("%2F", "/")

    @property
    def file_stem(self) -> str:
        """The dump's file without folder and ending: the same in either format."""
        return re.sub(r"\.sql(\.gz)?$", "", self.path.rpartition("/")[2])

    @property
    def not_in_backup(self) -> list[dict[str, str]]:
        """What the database held and no dump carries: `table` (empty for the database itself), `why`."""
        return list((self.manifest or {}).get("not_in_backup", []))


class PublicKey(models.Model):
    """The public halves of the installation's key: one row, of the key of now. No copy carries it."""

    signing = models.CharField(max_length=44, help_text="Ed25519, in base64.")
    sealing = models.CharField(max_length=44, help_text="X25519, in base64.")
    noted_at = models.DateTimeField(default=timezone.now)
    copied_at = models.DateTimeField(
        null=True, blank=True, help_text="When a person said that the key is kept elsewhere, too."
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.signing


class Suspicion(models.Model):
    """A backup of a database that had suddenly lost its tables, and what a person said of it.

    Written by `services` only. waiting → accepted | over (its tables are back, or a newer one was accepted).
    """

    snapshot = models.OneToOneField(Snapshot, on_delete=models.CASCADE, related_name="suspicion")
    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="suspicions")
    reasons = models.JSONField(default=list, help_text="A sentence each.")
    state = models.CharField(
        max_length=10, choices=SuspicionState.choices, default=SuspicionState.WAITING, db_index=True
    )
    found_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=200, blank=True, help_text="Who said so, or what ended it.")
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is right, in their words.")

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        permissions = [("accept_backup", "Can say of a suspicious backup that it is right")]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.snapshot}"


class Verification(models.Model):
    """What a full test restore of a snapshot found."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="verification")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="verifications")
    verdict = models.CharField(max_length=12, choices=Verdict.choices)
    finished_at = models.DateTimeField(default=timezone.now)
    compared = models.JSONField(default=list, blank=True)
    not_compared = models.JSONField(default=list, blank=True)
    differences = models.JSONField(default=list, blank=True)
    restore_seconds = models.FloatField(null=True, blank=True)
    tables = models.PositiveIntegerField(null=True, blank=True)
    rows = models.BigIntegerField(null=True, blank=True)
    bytes = models.BigIntegerField(null=True, blank=True)
    source_version = models.CharField(max_length=100, blank=True)
    scratch_version = models.CharField(max_length=100, blank=True)
    scratch_address = models.CharField(
        max_length=300, blank=True, help_text="Where it was restored: host:port or the path of a socket."
    )

    class Meta:
        ordering = ["-finished_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()}: {self.snapshot}"


class Restore(models.Model):
    """Where a snapshot was restored to, and what can be undone."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="restore")
    database = models.ForeignKey(Database, on_delete=models.PROTECT, related_name="restores")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="restores")
    mode = models.CharField(max_length=10, choices=RestoreMode.choices)
    target = models.CharField(max_length=500, help_text="Database on the server, or a folder.")
    tables = models.JSONField(default=list, blank=True, help_text="Empty is all of them.")
    definers = models.CharField(max_length=20, choices=DefinerPolicy.choices, default=DefinerPolicy.KEEP)
    reason = models.CharField(max_length=300, blank=True)
    without_safety = models.BooleanField(
        default=False, help_text="There was nothing left to save, so no backup was made before."
    )
    safety_snapshot = models.ForeignKey(
        Snapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    undo_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="undos"
    )
    incoming = models.CharField(
        max_length=64, blank=True, help_text="Database from which the tables are swapped in."
    )
    kept_in = models.CharField(
        max_length=64, blank=True, help_text="Database that keeps the tables as they were before."
    )
    swap = models.CharField(max_length=12, choices=Swap.choices, blank=True, default=Swap.NONE)
    definitions_before = models.BinaryField(
        null=True, blank=True, help_text="Views, triggers, routines and events before, compressed."
    )
    definitions_after = models.BinaryField(
        null=True, blank=True, help_text="Views, triggers, routines and events after, compressed."
    )
    tables_after = models.BinaryField(
        null=True, blank=True, help_text="How the tables that come in are defined, compressed."
    )
    definitions_left = models.JSONField(
        default=list,
        blank=True,
        help_text="Definitions that could not be made: kind, name, table, why, text.",
    )
    swapped_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    dropped_at = models.DateTimeField(null=True, blank=True)
    restore_seconds = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["database", "target"], name="restore_target")]

    def __str__(self) -> str:
        if self.mode == RestoreMode.UNDO:
            return f"Undo of restore {self.undo_of.run_id}" if self.undo_of else f"Undo {self.run_id}"
        return f"Restore {self.run_id}: {self.snapshot} → {self.target}"

    @property
    def what(self) -> str:
        """What of the snapshot was to come back, as the begin of a sentence."""
        if self.tables:
            return f"Of snapshot {self.snapshot.short_id} only {', '.join(self.tables)}"
        return f"Snapshot {self.snapshot.short_id}"

    def of_same_target(self) -> models.QuerySet[Restore]:
        """All restores that go to the same database of the same server, this one too."""
        there = Restore.objects.filter(
            database__host=self.database.host, database__port=self.database.port, target=self.target
        )
        return there.exclude(mode=RestoreMode.FILE)

    @property
    def can_be_undone(self) -> bool:
        """Whether the tables of before are still kept, and no swap of the target is half-way."""
        return self.keeps_tables and not self.of_same_target().filter(swap__in=UNSETTLED).exists()

    @property
    def is_settled(self) -> bool:
        """Whether no swap is under way, so that its shadow database may go."""
        return self.swap not in UNSETTLED

    @property
    def keeps_tables(self) -> bool:
        """Whether there are kept tables that could be dropped, or brought back."""
        return (
            bool(self.kept_in)
            and self.swapped_at is not None
            and self.undone_at is None
            and self.dropped_at is None
        )

    @property
    def overwrote(self) -> bool:
        """Whether the target is, or in part may be, no longer what it was before."""
        if self.mode == RestoreMode.IN_PLACE:
            # Its last phase: one that died there has written a part.
            return self.run.status == Status.SUCCEEDED or self.run.phase == "load"
        return self.swapped_at is not None


class WorkerPulse(models.Model):
    """When each of the queue's clusters was last seen alive."""

    cluster = models.CharField(max_length=50, unique=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["cluster"]

    def __str__(self) -> str:
        return self.cluster


class Alert(models.Model):
    """How a subject stands that people are told about, and whether they could be told.

    One row a subject and one message a change. Written by `notify` only.
    """

    subject = models.CharField(max_length=200, unique=True, help_text="As in: backup of orders_tracker.")
    database = models.ForeignKey(Database, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=AlertState.choices, default=AlertState.GOOD)
    since = models.DateTimeField(default=timezone.now)
    title = models.CharField(max_length=300, blank=True)
    text = models.TextField(blank=True)
    is_pending = models.BooleanField(default=False, help_text="Somebody is still to be told.")
    reached = models.JSONField(default=list, blank=True, help_text="Digests of the addresses that were told.")
    tried_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Why somebody could not be told.")

    class Meta:
        ordering = ["subject"]

    def __str__(self) -> str:
        return f"{self.subject}: {self.get_state_display()}"
