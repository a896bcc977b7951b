"""What was done or is to be done, and its log."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from backups.choices import TERMINAL, Action, Level, Status, Trigger
from backups.models.database import Database
from backups.models.repository import Repository


class Run(models.Model):
    """One execution of one action with one outcome. Written by `services` only.

    queued → running → succeeded | failed | cancelled | lost; queued → cancelled | failed.
    """

    is_in_portal_copy = True

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

    is_in_portal_copy = True

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    text = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text
