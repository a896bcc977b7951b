"""The button that says of a suspicious backup that it is right, and who sees that it waits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from backups.admin.base import page_url
from backups.choices import Action, Status, SuspicionState, Trigger
from backups.keeping import suspicions
from backups.models import Database, Run, Snapshot, Suspicion
from sentinel import heartbeat
from tests.admin.conftest import Login
from tests.admin.test_actions import CONFIRM, action_url

REASON = "The shop was moved to another server."
MADE = datetime(2026, 11, 20, 3, tzinfo=UTC)


@pytest.fixture
def emptied(database: Database) -> Snapshot:
    """A backup that waits for a person."""
    run = Run.objects.create(
        action=Action.BACKUP, trigger=Trigger.SCHEDULE, status=Status.SUCCEEDED, database=database,
        repository=database.repository,
    )  # fmt: skip
    snapshot = Snapshot.objects.create(
        repository=database.repository, database=database, made_by=run, snapshot_id="ab" * 32, time=MADE,
        path="/mysql/shop.sql", manifest={"inventory": {}, "sections": [], "not_in_backup": [
            {"table": "notes", "why": "CONNECT: elsewhere"}]},
    )  # fmt: skip
    suspicions.suspicion_record(snapshot, database, ["The database holds no table."])
    return snapshot


@pytest.mark.parametrize("of_run", [True, False])
def test_whoever_says_so_gives_a_reason_which_is_kept(
    emptied: Snapshot, login: Login, status_folder: Path, of_run: bool
) -> None:
    status_folder.mkdir()
    row = emptied.made_by if of_run else emptied
    assert row is not None
    client = login("Operator")
    page = client.get(page_url(row)).content.decode()
    assert "Waits for a person" in page
    assert "holds no table" in client.get(action_url(row, "accept")).content.decode()

    assert "required" in client.post(action_url(row, "accept"), CONFIRM).content.decode()
    assert Suspicion.objects.get().state == SuspicionState.WAITING
    client.post(action_url(row, "accept"), CONFIRM | {"reason": REASON})

    suspicion = Suspicion.objects.get()
    assert (suspicion.state, suspicion.settled_by) == (SuspicionState.ACCEPTED, "operator")
    entry = LogEntry.objects.get()
    assert REASON in entry.get_change_message()
    assert entry.user.get_username() == "operator"
    assert heartbeat.stamp_read(status_folder / "last_ok").time == MADE
    page = client.get(page_url(row)).content.decode()
    assert REASON in page
    assert action_url(row, "accept") not in page


def test_the_first_page_says_that_it_waits(emptied: Snapshot, login: Login) -> None:
    page = login("Viewer").get("/admin/").content.decode()

    assert "waits for a person" in page
    assert page_url(emptied) in page


def test_the_page_of_a_snapshot_says_what_is_not_in_it(emptied: Snapshot, login: Login) -> None:
    page = login("Viewer").get(page_url(emptied)).content.decode()

    assert "Not in this backup" in page
    assert "CONNECT: elsewhere" in page


def test_everywhere_it_is_chosen_it_says_that_it_waits(emptied: Snapshot, login: Login) -> None:
    assert emptied.database is not None
    emptied.verified_at = MADE
    emptied.save()
    client = login("superuser")

    for url in (
        reverse("admin:backups_snapshot_changelist"), reverse("snapshot-restore", args=[emptied.pk]),
        reverse("database-restore", args=[emptied.database.pk]),
    ):  # fmt: skip
        assert "Waits for a person" in client.get(url).content.decode(), url
    hint = reverse("admin:backups_database_hint_retention", args=[emptied.database.pk])
    rules = {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 6}
    assert "Nothing goes for now" in client.get(hint, rules).content.decode()
