"""A portal with people of every role and a row of every kind."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils import timezone
from django_q.models import Schedule
from pytest_django import Settings

from backups.choices import RestoreMode, Status, Swap
from backups.models import (
    Alert,
    Channel,
    Database,
    Label,
    Pin,
    Restore,
    Run,
    Snapshot,
    Suspicion,
    Verification,
)
from backups.restoring import kept_states
from tests.admin.conftest import (
    database,
    login,
    person,
    quick_passwords,
    roles,
    status_folder,
    worker_answers,
)
from tools import history
from tools.history import History

OURS = ("hunter2-mail", "hunter2-restic", "hunter2-mysql", "hunter2-metrics", "hunter2-ping", "hunter2-s3")
__all__ = ["database", "login", "person", "quick_passwords", "roles", "status_folder", "worker_answers"]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refusals are asked for, each of which would be told with its traceback."""
    caplog.set_level(logging.ERROR, "django.request")


@pytest.fixture
def guarded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Every secret of the portal as a text that can be looked for."""
    settings.NOTIFY_URLS = ["mailtos://ops:hunter2-mail@127.0.0.1:1/?to=a@b.cd"]
    settings.PING_URL = "http://127.0.0.1:1/hunter2-ping"
    settings.METRICS_TOKEN = "hunter2-metrics"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-s3")
    monkeypatch.setenv("RESTIC_PASSWORD", "hunter2-restic")
    monkeypatch.setenv("MYSQL_PASSWORD", "hunter2-mysql")
    return (*OURS, settings.SECRET_KEY)


@pytest.fixture
def past(db: None) -> History:
    """A history as short as holds a row of each kind."""
    return history.make(days=10)


@pytest.fixture
def rows(past: History, roles: None) -> dict[str, Model]:
    """A row of each kind that has pages, by the name that its addresses begin with."""
    return a_row_of_each_kind(past)


def a_row_of_each_kind(past: History) -> dict[str, Model]:
    """The rows of `rows`, made where there are people of the portal's roles and this history."""
    known = User.objects.create_user("somebody", is_staff=True)
    known.groups.add(Group.objects.get(name="Viewer"))
    now = timezone.now()
    newest = Snapshot.objects.filter(forgotten_at=None)[0]
    emptied = Snapshot.objects.create(
        repository=past.repository, database=past.databases[0], made_by=past.running, snapshot_id="e" * 64,
        time=now - timedelta(days=9), path="/mysql/shop.sql",
    )  # fmt: skip
    for snapshot in (newest, emptied):
        Suspicion.objects.create(snapshot=snapshot, database=past.databases[0], reasons=["It is empty."])
    Pin.objects.create(snapshot=newest, reason="before migration 42", made_by="anna")
    return {
        "backups_run": past.running,
        "backups_snapshot": newest,
        "backups_verification": Verification.objects.all()[0],
        "backups_restore": restore_that_can_be_undone(),
        "backups_database": past.databases[0],
        "backups_server": past.databases[0].server,
        "backups_label": Label.objects.create(name="production"),
        "backups_repository": past.repository,
        "backups_alert": Alert.objects.create(subject="Backup of shop", state="failed", since=now),
        "backups_channel": Channel.objects.create(name="on call", kind="ntfy", events=["failed"]),
        "auth_user": known,
        "admin_logentry": LogEntry.objects.create(
            user=known, action_flag=CHANGE, object_repr="Gate",
            content_type=ContentType.objects.get_for_model(Database),
        ),
        "axes_accessattempt": AccessAttempt.objects.create(username="x", failures_since_start=1),
        "axes_accesslog": AccessLog.objects.create(username="x"),
        "axes_accessfailurelog": AccessFailureLog.objects.create(username="x"),
        "django_q_schedule": Schedule.objects.create(name="nightly", func="backups.tasks.tend_runs"),
    }  # fmt: skip


def restore_that_can_be_undone() -> Restore:
    """The newest replacement, its tables of before still kept, and a view of it left out."""
    restore = Restore.objects.filter(mode=RestoreMode.REPLACE)[0]
    Run.objects.filter(pk=restore.run_id).update(status=Status.SUCCEEDED)
    restore.swap, restore.kept_in = Swap.FINISHED, f"{restore.target}__before_1"
    restore.swapped_at = timezone.now() - timedelta(hours=1)
    restore.undone_at = restore.dropped_at = None
    restore.definitions_left = [{"kind": "view", "name": "v", "table": "", "why": "No table.", "text": "…"}]
    restore.save()
    assert restore.can_be_undone
    assert restore.keeps_tables
    assert kept_states.may_define_again(restore)
    return restore
