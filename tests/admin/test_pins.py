"""Pinning, unpinning and forgetting on a snapshot's page, and the page that shows what goes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.admin import retention
from backups.admin.base import page_url
from backups.models import Database, Pin, Run, Snapshot, Suspicion
from tests.admin.conftest import Login
from tests.admin.test_actions import CONFIRM, action_url

LIST = "/admin/backups/snapshot/"


@pytest.fixture
def snapshots(database: Database) -> list[Snapshot]:
    """The older one goes, the newer one stays."""
    Database.objects.update(keep_daily=0, keep_weekly=0, keep_monthly=0)
    return [
        Snapshot.objects.create(
            repository=database.repository, database=database, snapshot_id=letter * 64, made_here=True,
            time=timezone.now() - timedelta(days=days), path="/mysql/shop.sql", data_added=3_000_000,
        )
        for letter, days in (("a", 2), ("b", 1))
    ]  # fmt: skip


def test_a_pin_is_asked_for_seen_and_ended(snapshots: list[Snapshot], login: Login) -> None:
    old, newest = snapshots
    client = login("Operator")
    assert "required" in client.post(action_url(old, "pin"), CONFIRM).content.decode()
    over = client.post(action_url(old, "pin"), CONFIRM | {"reason": "before 42", "until": "2001-01-01"})
    assert "That day is over." in over.content.decode()
    client.post(action_url(old, "pin"), CONFIRM | {"reason": "before 42", "until": "2099-01-31"})

    pin = Pin.objects.get()
    assert (pin.snapshot, pin.made_by, f"{pin.until}") == (old, "operator", "2099-01-31")
    assert "before 42" in LogEntry.objects.get().get_change_message()
    page = client.get(page_url(old)).content.decode()
    assert "until the end of 2099-01-31" in page
    assert "Pinned" in client.get(LIST).content.decode()
    for chosen, other, which in ((old, newest, "yes"), (newest, old, "no")):
        listed = client.get(LIST, {"pinned": which}).content.decode()
        assert chosen.short_id in listed
        assert other.short_id not in listed

    assert "goes with the next forget" in client.get(action_url(old, "unpin")).content.decode()
    client.post(action_url(old, "unpin"), CONFIRM | {"reason": "It is over."})
    pin.refresh_from_db()
    assert (pin.ended_by, pin.end_reason) == ("operator", "It is over.")
    assert "It is over." in LogEntry.objects.first().get_change_message()  # type: ignore[union-attr]


def test_one_is_forgotten_by_hand_with_its_id_typed(snapshots: list[Snapshot], login: Login) -> None:
    old, newest = snapshots
    client = login("Operator")
    url = reverse("snapshot-forget", args=[newest.pk])
    page = client.get(url).content.decode()
    assert "newest snapshot, kept whatever the policy says" in page

    def refused(**said: str) -> str:
        answer = client.post(url, {"reason": "It holds a card number.", **said})
        assert answer.status_code == 200
        assert not Run.objects.exists()
        return answer.content.decode()

    assert "is not the id of snapshot" in refused(typed="aaaaaaaa", although_held="on")
    assert "tick that on its page" in refused(typed=newest.short_id)
    Pin.objects.create(snapshot=newest, reason="before 42", made_by="anna")
    assert "Unpin it first" in refused(typed=newest.short_id, although_held="on")
    Pin.objects.all().delete()
    client.post(url, {"reason": "It holds a card number.", "typed": newest.short_id, "although_held": "on"})

    run = Run.objects.get()
    assert (run.action, run.snapshot) == ("forget", newest)
    assert (run.request or {})["reason"] == "It holds a card number."
    assert "It holds a card number." in LogEntry.objects.get().get_change_message()
    # The only one that is left goes by its whole id alone.
    Run.objects.update(status="succeeded")
    newest.forgotten_at = timezone.now()
    newest.save()
    last = reverse("snapshot-forget", args=[old.pk])
    assert "The whole id has to be typed." in client.get(last).content.decode()
    assert client.get(url).status_code == 404


def test_nothing_goes_unseen_while_a_suspicious_backup_waits(
    snapshots: list[Snapshot], database: Database, login: Login
) -> None:
    old, newest = snapshots
    Suspicion.objects.create(snapshot=newest, database=database, reasons=["It holds no table."])
    Pin.objects.create(snapshot=old, reason="before 42", made_by="anna")
    client = login("Operator")

    unpin = client.get(action_url(old, "unpin")).content.decode()
    assert "stays for now: " in unpin
    assert "waits for a person: It holds no table." in unpin
    Pin.objects.all().delete()
    asked = {"reason": "It holds a card number.", "typed": old.short_id}
    url = reverse("snapshot-forget", args=[old.pk])
    assert "waits for a person: It holds no table." in client.post(url, asked).content.decode()
    assert not Run.objects.exists()
    client.post(url, asked | {"although_held": "on"})
    assert Run.objects.get().snapshot == old


@pytest.mark.parametrize("of", ["repository", "database"])
def test_the_page_shows_what_goes_and_why_the_rest_stays(
    snapshots: list[Snapshot], login: Login, of: str, settings: Settings
) -> None:
    settings.BACKUP_PORTAL = True
    database = snapshots[0].database
    assert database is not None
    subject = database if of == "database" else database.repository
    client = login("Viewer")

    page = client.get(reverse(f"{of}-retention", args=[subject.pk])).content.decode()

    assert "1 snapshot would go, with 3.0 MB that was added as they were made: an estimate" in page
    assert "no rule keeps it (0 daily, 0 weekly, 0 monthly)" in page
    assert "newest snapshot, kept whatever the policy says" in page
    assert ("old copies of the portal" in page) == (of == "repository")


def test_of_many_databases_a_page_plans_and_shows_a_few(
    snapshots: list[Snapshot], login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_DATABASES", 2)
    monkeypatch.setattr(retention, "_SHOWN_OF_EACH", 1)
    first = snapshots[0].database
    assert first is not None
    Snapshot.objects.create(
        repository=first.repository, database=first, snapshot_id="c" * 64, made_here=True,
        time=timezone.now() - timedelta(days=3), path="/mysql/shop.sql",
    )  # fmt: skip
    for name in ("blog", "wiki"):
        Database.objects.create(name=name, database=name, server=first.server, repository=first.repository)
    client, url = login("Viewer"), reverse("repository-retention", args=[first.repository_id])

    def shown(page: str) -> tuple[list[str], str]:
        answer = client.get(url, {"page": page})
        assert answer.status_code == 200
        return [each["preview"].database.name for each in answer.context["shown"]], answer.content.decode()

    names, page = shown("1")
    assert names == [first.name, "blog"]
    assert "Databases 1 to 2 of 3" in page
    assert 'href="?page=2"' in page
    assert "One more goes." in page, "of several databases fewer rows are shown"
    names, page = shown("2")
    assert names == ["wiki"]
    assert 'href="?page=1"' in page
    for strange in ("", "0", "-1", "x", "\x00", "3", "9" * 5000):
        assert shown(strange)[0] == [first.name, "blog"], strange
