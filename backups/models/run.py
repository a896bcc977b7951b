"""What was done or is to be done, and its log."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import TERMINAL, Action, Level, Status, Trigger
from backups.models.database import Database
from backups.models.fitted import FittedCharField, FittedJSONField, FittedTextField
from backups.models.repository import Repository
from backups.text.sentences import phrase, told_again


class Run(models.Model):
    """One execution of one action with one outcome. Written by `runs` only.

    queued → running → succeeded | failed | cancelled | lost; queued → cancelled | failed.
    """

    is_in_portal_copy = True

    action = models.CharField(max_length=20, choices=Action.every)
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
        help_text=_("The snapshot that the run made, verified or restored."),
    )
    status = models.CharField(max_length=10, choices=Status.every, default=Status.QUEUED)
    trigger = models.CharField(max_length=10, choices=Trigger.every)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    options = FittedJSONField(default=dict, blank=True, help_text=_("The action's own parameters."))
    request = FittedJSONField(
        null=True,
        blank=True,
        help_text=_("What was asked for, with the version of its form; none before 1.0."),
    )
    slot = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("The planned time that it stands for; none of what somebody asked for."),
    )
    waits_for = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="waiting"
    )
    priority = models.SmallIntegerField(default=0, db_default=0, help_text=_("Higher ones begin first."))
    host = models.CharField(
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("Whose worker plays it; empty is any."),
    )
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    worker = FittedCharField(max_length=200, blank=True)
    phase = FittedCharField(max_length=50, blank=True)
    phases = FittedJSONField(default=list, blank=True, help_text=_("Each phase's name and start, in order."))
    bytes_done = models.BigIntegerField(default=0)
    bytes_expected = models.BigIntegerField(null=True, blank=True)
    detail = FittedCharField(max_length=200, blank=True)
    cancel_requested = models.BooleanField(default=False)
    error = FittedTextField(blank=True)
    error_code = models.CharField(
        max_length=80,
        blank=True,
        default="",
        db_default="",
        help_text=_("Which failure it was, whatever words tell it."),
    )
    error_params = FittedJSONField(null=True, blank=True, help_text=_("What the words name."))
    result = FittedJSONField(default=dict, blank=True, help_text=_("What the action found out."))
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    restic_version = FittedCharField(max_length=50, blank=True)
    server_version = FittedCharField(max_length=100, blank=True)
    client_version = FittedCharField(max_length=100, blank=True)

    class Meta:
        ordering = ["-queued_at", "-pk"]
        indexes = [
            models.Index(fields=["-queued_at", "-id"], name="run_queued"),
            models.Index(fields=["status", "-queued_at", "-id"], name="run_status_queued"),
            models.Index(fields=["database", "-queued_at", "-id"], name="run_database_queued"),
            models.Index(fields=["database", "action", "status", "-finished_at"], name="run_newest"),
            models.Index(fields=["repository", "action", "status"], name="run_repository"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["database", "action", "slot"], name="run_slot"),
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
        return str(self.told)

    @property
    def told(self) -> str:
        """What it does and its number, to be put into other texts."""
        return phrase("{action} {number}", action=self.get_action_display(), number=self.pk)

    @property
    def is_over(self) -> bool:
        """Whether the run has its outcome."""
        return self.status in TERMINAL

    @property
    def error_told(self) -> str:
        """Why the run failed, in the reader's language where its parts are known."""
        return told_again(self.error, self.error_params)

    @property
    def in_binary_log(self) -> str:
        """Why a verification's scratch database went into a binary log, and what ends it; else empty."""
        noted = self.result.get("binary_log") if isinstance(self.result, dict) else None
        told = [noted.get("because"), noted.get("do")] if isinstance(noted, dict) else []
        return " ".join(part for part in told if part and isinstance(part, str))

    def duration(self, now: datetime | None = None) -> timedelta | None:
        """How long the run took, or has been running by `now`; None before it started."""
        if self.started_at is None:
            return None
        return (self.finished_at or now or timezone.now()) - self.started_at


class RunLine(models.Model):
    """A line of a run's log, appended as it comes."""

    is_in_portal_copy = True

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level.every, default=Level.INFO)
    text = FittedTextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text
