"""What was brought back, where to, and how it can be undone."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.choices import UNSETTLED, DefinerPolicy, RestoreMode, Status, Swap
from backups.models.database import Database
from backups.models.fitted import FittedJSONField
from backups.models.run import Run
from backups.models.snapshot import Snapshot
from backups.text.sentences import phrase


class Restore(models.Model):
    """Where a snapshot was restored to, and what can be undone."""

    is_in_portal_copy = True

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="restore")
    database = models.ForeignKey(Database, on_delete=models.PROTECT, related_name="restores")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="restores")
    mode = models.CharField(max_length=10, choices=RestoreMode.every)
    target = models.CharField(max_length=500, help_text=_("Database on the server, or a folder."))
    tables = models.JSONField(default=list, blank=True, help_text=_("Empty is all of them."))
    definers = models.CharField(max_length=20, choices=DefinerPolicy.every, default=DefinerPolicy.KEEP)
    reason = models.CharField(max_length=300, blank=True)
    without_safety = models.BooleanField(
        default=False, help_text=_("There was nothing left to save, so no backup was made before.")
    )
    safety_snapshot = models.ForeignKey(
        Snapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    undo_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="undos"
    )
    incoming = models.CharField(
        max_length=64, blank=True, help_text=_("Database from which the tables are swapped in.")
    )
    kept_in = models.CharField(
        max_length=64, blank=True, help_text=_("Database that keeps the tables as they were before.")
    )
    swap = models.CharField(max_length=12, choices=Swap.every, blank=True, default=Swap.NONE)
    definitions_before = models.BinaryField(
        null=True, blank=True, help_text=_("Views, triggers, routines and events before, compressed.")
    )
    definitions_after = models.BinaryField(
        null=True, blank=True, help_text=_("Views, triggers, routines and events after, compressed.")
    )
    tables_after = models.BinaryField(
        null=True, blank=True, help_text=_("How the tables that come in are defined, compressed.")
    )
    definitions_left = FittedJSONField(
        default=list,
        blank=True,
        help_text=_("Definitions that could not be made: kind, name, table, why, text."),
    )
    swapped_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    dropped_at = models.DateTimeField(null=True, blank=True)
    restore_seconds = models.FloatField(null=True, blank=True)
    until = FittedJSONField(
        null=True,
        blank=True,
        help_text=_("For a moment after the snapshot: file and position in the log, and the moment itself."),
    )

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["database", "target"], name="restore_target")]

    def __str__(self) -> str:
        return str(self.told)

    @property
    def told(self) -> str:
        """What came back and where, to be put into other texts."""
        if self.mode == RestoreMode.UNDO and self.undo_of:
            return phrase("Undo of restore {number}", number=self.undo_of.run_id)
        if self.mode == RestoreMode.UNDO:
            return phrase("Undo {number}", number=self.run_id)
        return phrase(
            "Restore {number}: {snapshot} → {target}",
            number=self.run_id,
            snapshot=self.snapshot,
            target=self.target,
        )

    @property
    def what(self) -> str:
        """What of the snapshot was to come back, as the begin of a sentence."""
        if self.tables:
            return phrase(
                "Of snapshot {snapshot} only {tables}",
                snapshot=self.snapshot.short_id,
                tables=", ".join(self.tables),
            )
        return f"Snapshot {self.snapshot.short_id}"

    @property
    def tables_to_load(self) -> list[str]:
        """Which tables come out of the snapshot; empty is all of them.

        For a moment after it those that were not chosen are needed too: rows that go with another table's by
        a foreign key are in no log, and tables may have been renamed.
        """
        return [] if self.until else list(self.tables)

    def of_same_target(self) -> models.QuerySet[Restore]:
        """All restores that go to the same database of the same server, this one too."""
        there = Restore.objects.filter(
            database__server__host=self.database.server.host,
            database__server__port=self.database.server.port,
            target=self.target,
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
