"""The gate's page and its override."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry

from backups import configuration, services, status_files
from backups.choices import Action, Status, Trigger
from backups.models import Database, Run
from sentinel import heartbeat
from tests.admin.conftest import Login

OVERRIDE = {"hours": "4", "reason": "The repository moves to another bucket."}


@pytest.fixture(autouse=True)
def stale(database: Database) -> None:
    """A gate that is closed."""
    configuration.apply()
    status_files.write_last_ok(database, datetime.now(UTC) - timedelta(days=3))


def test_a_closed_gate_says_why_on_every_page(login: Login) -> None:
    client = login("Viewer")
    text = client.get("/admin/gate/").content.decode()
    assert "Closed: stale" in text
    assert "The newest backup of shop is 3 days old; only 26 hours are allowed." in text
    assert "Gate closed" in client.get("/admin/backups/run/").content.decode()


def test_a_closed_gate_says_in_red_what_is_old_why_and_what_to_do(login: Login, database: Database) -> None:
    run = services.run_enqueue(action=Action.BACKUP, trigger=Trigger.CLI, database=database, send=False)
    Run.objects.filter(pk=run.pk).update(
        status=Status.FAILED, error="The disk is full. Make room.", finished_at=datetime.now(UTC)
    )
    status_files.write_last_verified(database, datetime.now(UTC) - timedelta(days=9))
    client = login("Viewer")

    text = " ".join(client.get("/admin/gate/").content.decode().split())

    old = r'<span class="v-label v-danger">[^<]*\(3 days ago\), too old: 26 hours are allowed</span>'
    assert re.search(old, text)
    assert re.search(r'<span class="v-label v-plain">[^<]*\(9 days ago\)</span>', text), (
        "no limit is set for it"
    )
    assert "A good backup opens it by itself." in text
    assert "The disk is full. Make room." in text
    assert f"/admin/backups/run/{run.pk}/change/" in text
    assert "No worker was seen yet" in text
    assert "systemctl" in text or "manage.py worker" in text or "docker compose" in text


def test_the_page_and_the_chip_follow_the_gate(login: Login, database: Database) -> None:
    client = login("Viewer")
    closed = client.get("/admin/gate/live/").json()
    assert "Closed: stale" in closed["html"]
    assert 'href="/admin/gate/"' in closed["chip"]
    assert "Gate closed" in client.get("/admin/live/").json()["chip"]

    status_files.write_last_ok(database, datetime.now(UTC))

    opened = client.get("/admin/gate/live/").json()
    assert "Closed" not in opened["html"]
    assert "No worker was seen yet" in opened["html"], "which will close it"
    assert opened["chip"] == ""
    assert login("staff").get("/admin/gate/live/").status_code == 403


def test_an_override_opens_it_is_seen_everywhere_and_recorded(login: Login) -> None:
    client = login("Administrator")
    assert client.post("/admin/gate/", OVERRIDE).status_code == 302
    text = client.get("/admin/gate/").content.decode()
    assert "Open: override" in text
    assert OVERRIDE["reason"] in text
    assert "Gate overridden" in client.get("/admin/backups/run/").content.decode()
    assert client.get("/sentinel/ok").content == b"override"
    assert OVERRIDE["reason"] in LogEntry.objects.get().change_message


def test_it_ends_before_its_time_when_told(login: Login) -> None:
    client = login("Administrator")
    client.post("/admin/gate/", OVERRIDE)
    client.post("/admin/gate/clear/")
    assert client.get("/sentinel/ok").content == b"stale"
    assert LogEntry.objects.count() == 2


def test_it_ends_by_itself(login: Login) -> None:
    client = login("Administrator")
    client.post("/admin/gate/", OVERRIDE)
    path = settings.SENTINEL.heartbeat_path
    now = datetime.now(UTC)
    assert heartbeat.override_read(path, now + timedelta(hours=3, minutes=59))
    assert heartbeat.override_read(path, now + timedelta(hours=4)) is None


@pytest.mark.parametrize(
    "wrong", [{"hours": "4", "reason": ""}, {"hours": "4000", "reason": "Because it is so"}]
)
def test_without_a_reason_or_a_time_that_is_offered_nothing_opens(
    login: Login, wrong: dict[str, str]
) -> None:
    client = login("Administrator")
    assert client.post("/admin/gate/", wrong).status_code == 200
    assert client.get("/sentinel/ok").content == b"stale"


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Restorer"])
def test_only_administrators_override(login: Login, role: str) -> None:
    client = login(role)
    assert "Keep the gate open" not in client.get("/admin/gate/").content.decode()
    assert client.post("/admin/gate/", OVERRIDE).status_code == 403
    assert client.post("/admin/gate/clear/").status_code == 403
    assert client.get("/sentinel/ok").content == b"stale"


def test_the_override_needs_the_token(login: Login) -> None:
    client = login("Administrator", enforce_csrf_checks=True)
    assert client.post("/admin/gate/", OVERRIDE).status_code == 403
    assert client.get("/admin/gate/clear/").status_code == 405


def test_staff_without_a_role_sees_nothing(login: Login) -> None:
    assert login("staff").get("/admin/gate/").status_code == 403
