"""What buttons start: by POST with a token only, by those who may only, noted in the admin log."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backups.choices import Action, Health, Status, Trigger
from backups.models import Database, Repository, Run, Snapshot, WorkerPulse
from backups.runs import lifecycle
from tests.admin.conftest import Login
from tools.history import History

CaptureCallbacks = Callable[..., AbstractContextManager[object]]
CONFIRM = {"_form_submitted": "on"}


def action_url(row: Database | Repository | Run | Snapshot, name: str) -> str:
    """The address of a row's button."""
    return reverse(f"admin:backups_{row._meta.model_name}_{name}", args=[row.pk])


def test_back_up_now_queues_a_run_and_leads_to_its_page(
    database: Database, login: Login, django_capture_on_commit_callbacks: CaptureCallbacks
) -> None:
    client = login("Operator")
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(action_url(database, "back_up"), CONFIRM, headers={"HX-Request": "true"})
    run = Run.objects.get()
    assert response["HX-Redirect"] == reverse("admin:backups_run_change", args=[run.pk])
    assert (run.action, run.status, run.trigger) == (Action.BACKUP, Status.QUEUED, Trigger.ADMIN)
    assert str(run.requested_by) == "operator"
    entry = LogEntry.objects.get()
    assert entry.object_id == str(database.pk)
    assert entry.change_message == f"Started {run}."


def test_without_htmx_the_answer_is_an_ordinary_redirect(database: Database, login: Login) -> None:
    response = login("Operator").post(action_url(database, "back_up"), CONFIRM)
    assert response.status_code == 302
    assert response["Location"] == reverse("admin:backups_run_change", args=[Run.objects.get().pk])


def test_a_dialog_is_shown_by_get_and_starts_nothing(database: Database, login: Login) -> None:
    response = login("Operator").get(action_url(database, "back_up"), CONFIRM)
    assert response.status_code == 200
    assert b"csrfmiddlewaretoken" in response.content
    assert not Run.objects.exists()


def test_without_the_token_nothing_starts(database: Database, login: Login) -> None:
    client = login("Operator", enforce_csrf_checks=True)
    assert client.post(action_url(database, "back_up"), CONFIRM).status_code == 403
    assert not Run.objects.exists()
    client.get(action_url(database, "back_up"))
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    response = client.post(action_url(database, "back_up"), CONFIRM | {"csrfmiddlewaretoken": token})
    assert response.status_code == 302
    assert Run.objects.exists()


def test_a_second_backup_is_refused_in_a_sentence(database: Database, login: Login) -> None:
    client = login("Operator")
    client.post(action_url(database, "back_up"), CONFIRM)
    response = client.post(action_url(database, "back_up"), CONFIRM, follow=True)
    assert "Not started: backup" in response.content.decode()
    assert Run.objects.count() == 1


REPOSITORY_BUTTONS = {
    "bring_list": Action.SNAPSHOTS, "check_now": Action.CHECK, "forget": Action.FORGET, "prune": Action.PRUNE,
    "stats": Action.STATS, "unlock": Action.UNLOCK, "repair_index": Action.REPAIR_INDEX,
    "repair_snapshots": Action.REPAIR_SNAPSHOTS,
}  # fmt: skip


@pytest.mark.parametrize(("button", "action"), REPOSITORY_BUTTONS.items())
def test_what_tends_a_repository(database: Database, login: Login, button: str, action: Action) -> None:
    client = login("Operator")
    url = action_url(database.repository, button)
    assert client.get(url).status_code == 200
    client.post(url, CONFIRM)
    assert Run.objects.get().action == action


def test_a_check_reads_as_much_as_was_chosen(database: Database, login: Login) -> None:
    client = login("Operator")
    client.post(action_url(database.repository, "check_now"), CONFIRM | {"depth": "100%"})
    assert Run.objects.get().options == {"read_data_subset": "100%"}


def test_the_dialog_of_a_backup_says_that_no_worker_would_begin_it(database: Database, login: Login) -> None:
    client, url = login("Operator"), action_url(database, "back_up")
    assert "once a worker runs; none was seen yet" in client.get(url).content.decode()

    seen_at = timezone.now() - timedelta(minutes=47, seconds=5)
    WorkerPulse.objects.create(cluster="vedetta", seen_at=seen_at)
    assert "it was last seen 47 minutes ago" in client.get(url).content.decode()
    WorkerPulse.objects.update(seen_at=timezone.now())
    assert "once a worker runs" not in client.get(url).content.decode()


def test_a_check_after_damage_offers_to_read_everything(database: Database, login: Login) -> None:
    client, url = login("Operator"), action_url(database.repository, "check_now")
    assert chosen_depth(client.get(url).content) == "5%"
    Repository.objects.update(health=Health.DAMAGED)
    assert chosen_depth(client.get(url).content) == "100%"


def chosen_depth(page: bytes) -> str:
    """Which choice of a check's dialog is made already."""
    radios = re.findall(r'<input[^>]*name="depth"[^>]*>', page.decode())
    (ticked,) = (radio for radio in radios if re.search(r"\schecked[\s=>]", radio))
    return re.findall(r'value="([^"]*)"', ticked)[0]


def test_a_snapshot_is_verified(past: History, login: Login) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    login("Operator").post(action_url(snapshot, "verify"), CONFIRM)
    run = Run.objects.get(status=Status.QUEUED)
    assert (run.action, run.snapshot, run.database) == (Action.VERIFY, snapshot, snapshot.database)


def test_cancel_asks_a_running_run_to_stop(past: History, login: Login) -> None:
    login("Operator").post(action_url(past.running, "cancel"), CONFIRM)
    past.running.refresh_from_db()
    assert past.running.cancel_requested
    assert LogEntry.objects.get().change_message == "Asked to cancel."


def test_cancel_of_what_is_over_is_answered_in_a_sentence(past: History, login: Login) -> None:
    run = Run.objects.filter(status=Status.SUCCEEDED)[0]
    response = login("Operator").post(action_url(run, "cancel"), CONFIRM, follow=True)
    assert "is over already" in response.content.decode()


def test_run_again_starts_the_same(past: History, login: Login) -> None:
    lifecycle.run_cancel(past.running)
    Run.objects.filter(pk=past.running.pk).update(status=Status.CANCELLED)
    failed = Run.objects.filter(action=Action.BACKUP, status=Status.FAILED)[0]
    login("Operator").post(action_url(failed, "again"), CONFIRM)
    run = Run.objects.get(status=Status.QUEUED)
    assert (run.action, run.database) == (failed.action, failed.database)


def test_a_restore_is_not_run_again_with_one_click(past: History, login: Login) -> None:
    restore = Run.objects.filter(action=Action.RESTORE)[0]
    assert login("superuser").post(action_url(restore, "again"), CONFIRM).status_code == 403


def buttons(past: History) -> list[str]:
    """Every button that changes something."""
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    return [
        action_url(past.databases[1], "back_up"),
        action_url(past.databases[1], "verify"),
        action_url(snapshot, "verify"),
        action_url(past.running, "cancel"),
        action_url(Run.objects.filter(status=Status.FAILED)[0], "again"),
        *(action_url(past.repository, name) for name in REPOSITORY_BUTTONS),
    ]


@pytest.mark.parametrize("role", ["Viewer", "staff"])
def test_who_may_only_look_starts_nothing(past: History, login: Login, role: str) -> None:
    client = login(role)
    before = Run.objects.count()
    for url in buttons(past):
        assert client.get(url).status_code == 403, url
        assert client.post(url, CONFIRM).status_code == 403, url
    past.running.refresh_from_db()
    assert Run.objects.count() == before
    assert not past.running.cancel_requested


def test_strangers_are_sent_to_the_sign_in_page(past: History) -> None:
    for url in buttons(past):
        assert Client().post(url, CONFIRM)["Location"].startswith("/admin/login/")


def test_buttons_one_may_not_use_are_not_shown(past: History, login: Login) -> None:
    pages = [
        reverse(f"admin:backups_{row._meta.model_name}_change", args=[row.pk])
        for row in (
            past.databases[0],
            past.repository,
            past.running,
            Snapshot.objects.filter(forgotten_at=None)[0],
        )
    ]
    viewer, operator = login("Viewer"), login("Operator")
    for page in pages:
        assert 'hx-target="#modal-content"' not in viewer.get(page).content.decode()
        assert 'hx-target="#modal-content"' in operator.get(page).content.decode()
