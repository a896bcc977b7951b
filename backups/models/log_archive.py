"""The binary log of one database, as it is stored in its repository."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import ArchiveState, ReplayVerdict
from backups.models.database import Database
from backups.models.fitted import FittedCharField, FittedJSONField
from backups.models.repository import Repository
from backups.models.run import Run
from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class LogArchiveQuerySet(models.QuerySet["LogArchive"]):
    """Archives of logs, and which of them somebody wants."""

    def wanted(self) -> LogArchiveQuerySet:
        """Those that are switched on, of databases in service."""
        return self.exclude(state=ArchiveState.OFF).filter(database__in=Database.objects.in_service())


class LogArchive(models.Model):
    """Whether a database's log is archived, of which server, and up to where. Written by `shipping` only."""

    is_in_portal_copy = True

    database = models.OneToOneField(Database, on_delete=models.CASCADE, related_name="log_archive")
    state = models.CharField(max_length=12, choices=ArchiveState.every, default=ArchiveState.OFF)
    keep_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Days for which any moment can be had; empty is LOG_KEEP_DAYS.")
    )
    switched_at = models.DateTimeField(default=timezone.now)
    switched_by = models.CharField(max_length=200, blank=True)
    server_uuid = FittedCharField(
        max_length=100, blank=True, help_text=_("Of the server whose log is followed: its UUID or its id.")
    )
    address = FittedCharField(max_length=300, blank=True, help_text=_("Host and port of that server."))
    file = FittedCharField(max_length=255, blank=True, help_text=_("File of the log that is read next."))
    file_made = models.BigIntegerField(
        null=True, blank=True, help_text=_("When the server began that file, in seconds, as it says itself.")
    )
    position = models.BigIntegerField(null=True, blank=True)
    gtids = FittedJSONField(null=True, blank=True, help_text=_("All that was logged before that position."))
    stored_until = models.DateTimeField(
        null=True, blank=True, help_text=_("By our clock: all that was committed before it is stored.")
    )
    problem = FittedCharField(
        max_length=1000, blank=True, help_text=_("Why the last look at the log came to nothing.")
    )
    problem_code = models.CharField(max_length=100, blank=True)
    problem_since = models.DateTimeField(null=True, blank=True)
    # Which process follows it, so that two of them store no piece twice.
    lease_by = models.CharField(max_length=300, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = LogArchiveQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.database)

    @property
    def is_on(self) -> bool:
        """Whether somebody wants it."""
        return self.state != ArchiveState.OFF

    @property
    def told_until(self) -> datetime:
        """Up to when the gate is told that it is stored: of one of which nothing is yet, since when it is on.

        What was stored before it was switched off and on again does not count. When it was switched counts no
        more once it is followed: a wrong clock may have said that.
        """
        if self.stored_until is None:
            return self.switched_at
        return (
            self.stored_until
            if self.state == ArchiveState.FOLLOWING
            else max(self.stored_until, self.switched_at)
        )


class LogPiece(models.Model):
    """A part of a database's log: one snapshot, that holds its transactions alone."""

    is_in_portal_copy = True

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="log_pieces")
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+")
    snapshot_id = models.CharField(max_length=64)
    server_uuid = FittedCharField(max_length=100)
    file = FittedCharField(max_length=255)
    file_made = models.BigIntegerField()
    start = models.BigIntegerField(help_text=_("Position in the server's file of the first byte looked at."))
    end = models.BigIntegerField(help_text=_("Position after the last one."))
    first_moment = models.DateTimeField(null=True, blank=True)
    last_moment = models.DateTimeField(null=True, blank=True)
    transactions = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    sealed = models.BooleanField(
        default=False, help_text=_("Whether the next piece begins where this one ends.")
    )
    barriers = FittedJSONField(
        default=list, blank=True, help_text=_("What no replay goes past: position, moment, code, parameters.")
    )
    stored_at = models.DateTimeField(default=timezone.now)
    read_back_at = models.DateTimeField(null=True, blank=True)
    forgotten_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["database", "file_made", "file", "start"]
        default_permissions = ()
        indexes = [models.Index(fields=["database", "forgotten_at", "file_made"], name="log_piece_kept")]

    def __str__(self) -> str:
        return f"{self.file}:{self.start}-{self.end}"


class LogMark(models.Model):
    """A moment by our clock, and how long the log was then: what times in a log are held against."""

    is_in_portal_copy = True

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="log_marks")
    moment = models.DateTimeField()
    file = FittedCharField(max_length=255)
    file_made = models.BigIntegerField(null=True, blank=True)
    position = models.BigIntegerField()

    class Meta:
        ordering = ["database", "moment"]
        default_permissions = ()
        indexes = [models.Index(fields=["database", "moment"], name="log_mark_moment")]

    def __str__(self) -> str:
        return f"{self.file}:{self.position}"


class LogGap(models.Model):
    """A time of which the log is not stored. It is written before anything goes on, and never deleted."""

    is_in_portal_copy = True

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="log_gaps")
    begins = models.DateTimeField(help_text=_("Moments up to here can be had."))
    ends = models.DateTimeField(
        null=True, blank=True, help_text=_("Moments from here on can be had; empty while it is open.")
    )
    code = models.CharField(max_length=100)
    params = FittedJSONField(default=dict, blank=True)
    sentence = models.CharField(max_length=1000, help_text=_("What happened, in English."))
    after_file = FittedCharField(max_length=255, blank=True)
    after_position = models.BigIntegerField(null=True, blank=True)
    noticed_at = models.DateTimeField(default=timezone.now)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-begins", "-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["database", "ends"], name="log_gap_open")]

    def __str__(self) -> str:
        return self.sentence


class LogTransaction(models.Model):
    """A transaction that is large or changes a definition, to be found again. Its text is in no row."""

    is_in_portal_copy = False

    piece = models.ForeignKey(LogPiece, on_delete=models.CASCADE, related_name="listed")
    position = models.BigIntegerField(help_text=_("Position in the server's file where it begins."))
    end = models.BigIntegerField()
    moment = models.DateTimeField()
    gtid = FittedCharField(max_length=200, blank=True)
    connection = models.BigIntegerField(null=True, blank=True)
    tables = FittedJSONField(
        default=dict,
        help_text=_("Of each table how many rows by kind."),
    )
    rows = models.BigIntegerField(default=0)
    is_definition = models.BooleanField(default=False)

    class Meta:
        ordering = ["-moment", "-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["piece", "position"], name="log_transaction_place")]

    def __str__(self) -> str:
        return f"{self.piece.file}:{self.position}"


class ReplayProof(models.Model):
    """What came of restoring one dump, replaying the log up to the next one, and dumping again."""

    is_in_portal_copy = True

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="replay_proof")
    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="replay_proofs")
    base = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="+")
    next = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=12, choices=ReplayVerdict.every)
    finished_at = models.DateTimeField(default=timezone.now)
    transactions = models.BigIntegerField(default=0)
    row_changes = models.BigIntegerField(default=0)
    log_bytes = models.BigIntegerField(default=0)
    load_seconds = models.FloatField(null=True, blank=True)
    replay_seconds = models.FloatField(null=True, blank=True)
    differences = FittedJSONField(default=list, blank=True)
    not_covered = FittedJSONField(default=list, blank=True)
    reason = models.CharField(max_length=1000, blank=True, help_text=_("Why it proved nothing, in English."))

    class Meta:
        ordering = ["-finished_at", "-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["database", "verdict", "-finished_at"], name="replay_proof_newest")]

    def __str__(self) -> str:
        return str(phrase("{verdict}: {snapshot}", verdict=self.get_verdict_display(), snapshot=self.base))
