"""What lies in a repository, and which of it counts as a backup."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import BAD_VERDICTS, SuspicionState, Trigger, Verdict
from backups.dumpfile import log_positions, manifests
from backups.models.database import Database
from backups.models.fitted import FittedCharField, FittedJSONField
from backups.models.repository import Repository
from backups.models.run import Run


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    """Snapshots, and which of them count as backups."""

    def present(self) -> SnapshotQuerySet:
        """Those that the repository still holds."""
        return self.filter(forgotten_at=None)

    def verified(self) -> SnapshotQuerySet:
        """Those of which a verification said that they bring back what was backed up."""
        return self.filter(verified_at__isnull=False)

    def newest_first(self) -> SnapshotQuerySet:
        """By the time that they are of alone, as the index has them."""
        return self.order_by("-time")

    def trusted(self) -> SnapshotQuerySet:
        """Without those that hold suspiciously little and that no person said to be right."""
        return self.exclude(suspicion__state__in=[SuspicionState.WAITING, SuspicionState.OVER])

    def made_here(self) -> SnapshotQuerySet:
        """Those that this installation signed when it made them."""
        return self.filter(made_here=True)

    def meant(self) -> SnapshotQuerySet:
        """Those that were made here, and all of a database of which no backup was: others do not decide."""
        ours = Snapshot.objects.made_here().present().filter(database=models.OuterRef("database"))
        backups = ours.exclude(made_by__trigger=Trigger.RESTORE)
        return self.filter(models.Q(made_here=True) | ~models.Exists(backups))

    def not_known_bad(self) -> SnapshotQuerySet:
        """Without those of which the newest verification said that they are not what was backed up."""
        return self.exclude(verdict__in=BAD_VERDICTS)


class Snapshot(models.Model):
    """A snapshot in a repository, and what its manifest said."""

    is_in_portal_copy = True

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="snapshots")
    database = models.ForeignKey(
        Database, null=True, blank=True, on_delete=models.PROTECT, related_name="snapshots"
    )
    made_by = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="made_snapshots"
    )
    snapshot_id = models.CharField(_("snapshot"), max_length=64, db_index=True)
    time = models.DateTimeField(db_index=True)
    host = FittedCharField(max_length=255, blank=True)
    path = FittedCharField(max_length=500)
    tags = FittedJSONField(default=list, blank=True)
    total_bytes_processed = models.BigIntegerField(_("dump size"), null=True, blank=True)
    data_added = models.BigIntegerField(null=True, blank=True)
    data_added_packed = models.BigIntegerField(null=True, blank=True)
    dump_sha256 = models.CharField(_("dump digest"), max_length=64, blank=True)
    manifest = FittedJSONField(null=True, blank=True)
    kept_because = FittedJSONField(
        default=list,
        blank=True,
        help_text=_("The retention rules that keep it, as restic named them."),
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(
        max_length=12,
        choices=Verdict.every,
        blank=True,
        editable=False,
        help_text=_("Of its newest verification; empty without any."),
    )
    signature = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text=_("By which this installation knows that it made the snapshot; of its manifest."),
    )
    made_here = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Whether this portal made it, as its rows or the signature say."),
    )
    forgotten_at = models.DateTimeField(null=True, blank=True)

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        ordering = ["-time", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "snapshot_id"], name="snapshot_once_per_repository")
        ]
        indexes = [
            # All that is asked of a database's newest ones: rows lie behind manifests.
            models.Index(
                fields=["database", "forgotten_at", "-time", "made_here", "verified_at"],
                name="snapshot_current",
            ),
            # Those under other host names than BACKUP_HOST, of which there are few or none.
            models.Index(fields=["forgotten_at", "host", "database"], name="snapshot_host"),
            # All that a proof report asks of each: rows with their manifests are many times as large.
            models.Index(
                fields=["time", "id", "database", "verdict", "made_here", "made_by"], name="snapshot_proof"
            ),
        ]

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

    @property
    def log(self) -> dict[str, Any] | None:
        """Where in the binary log the dump's moment is, as `dumpfile.log_positions` tells it; None of old."""
        return (self.manifest or {}).get("log")

    @property
    def log_told(self) -> str:
        """The same for people."""
        return log_positions.told(self.log) if self.log else ""
