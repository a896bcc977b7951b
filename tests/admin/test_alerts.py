"""The page of alerts, who sees it, and the message that tries whether people are reached."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backups.alerting import delivery
from backups.choices import AlertState
from backups.errors import Problem
from backups.models import Alert
from tests.admin.conftest import Login
from tests.alerting.conftest import Receiver, receiver

__all__ = ["receiver"]

URL = "/admin/backups/alert/"
TEST = "/admin/backups/alert/send_test/"
CONFIRM = {"_form_submitted": "on"}
COMPLAINT = "Not everyone was told: number 1 of NOTIFY_URLS (json) could not be reached."


def make_alert(subject: str = "Backup of shop", /, **more: object) -> Alert:
    """A subject that failed two hours ago."""
    facts = {
        "state": AlertState.FAILED, "since": timezone.now() - timedelta(hours=2),
        "title": f"{subject}: failed", "text": "The server does not answer.", "error": COMPLAINT,
    }  # fmt: skip
    return Alert.objects.create(subject=subject, **{**facts, **more})


def text_of(client: Client, url: str) -> str:
    """A page."""
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Restorer", "Administrator", "superuser"])
def test_everybody_with_a_role_sees_who_was_not_told(login: Login, role: str) -> None:
    alert, client = make_alert(), login(role)
    listed = text_of(client, URL)
    assert alert.subject in listed
    assert COMPLAINT in listed
    assert "given up" in listed
    assert alert.text in text_of(client, reverse("admin:backups_alert_change", args=[alert.pk]))


def test_staff_without_a_role_and_strangers_see_nothing(login: Login) -> None:
    make_alert()
    assert login("staff").get(URL).status_code == 403
    assert Client().get(URL)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"told_at": timezone.now() - timedelta(hours=3), "error": ""}, "3 hours ago"),
        ({"is_pending": True}, "Not everyone, tried again"),
        ({"is_pending": True, "error": ""}, "Waits for an address in NOTIFY_URLS"),
        ({"error": ""}, "Nobody is set up to be told"),
    ],
)
def test_whether_people_know_is_said(login: Login, facts: dict[str, object], told: str) -> None:
    make_alert(**facts)
    assert told in text_of(login("Viewer"), URL)


def test_the_first_page_and_every_sidebar_tell_of_it_until_it_is_mended(login: Login) -> None:
    alert, client = make_alert(), login("Viewer")
    badge = 'title="Not everyone could be told">1<'
    assert "Nobody could be told of 1 alert." in text_of(client, "/admin/")
    assert badge in text_of(client, "/admin/backups/run/")
    Alert.objects.filter(pk=alert.pk).update(error="", told_at=timezone.now())
    assert "could be told of" not in text_of(client, "/admin/")
    assert badge not in text_of(client, "/admin/backups/run/")


def test_without_addresses_the_page_says_what_to_set(login: Login, settings: Settings) -> None:
    settings.NOTIFY_URLS = []
    client = login("Operator")
    assert "An Administrator can add a channel, as e-mail or Telegram." in text_of(client, URL)
    answer = client.post(TEST, CONFIRM, follow=True).content.decode()
    assert "NOTIFY_URLS is not set, so nobody is told." in answer


def test_a_ping_that_does_not_get_through_is_said_on_the_first_page_and_among_the_alerts(
    login: Login, settings: Settings
) -> None:
    settings.PING_URL = "https://example.com/ping/d34db33f"
    make_alert("PING_URL", text="PING_URL answered 501.", error="")
    client = login("Viewer")
    for page in ("/admin/", URL):
        text = text_of(client, page)
        assert "The last ping did not get through, so nobody is told by it: PING_URL answered 501." in text
        assert "d34db33f" not in text
    assert 'title="Not everyone could be told">1<' in text_of(client, "/admin/backups/run/")


def test_a_test_message_is_sent_told_of_and_recorded(login: Login, receiver: Receiver) -> None:
    client = login("Operator")
    assert "Send a test notification" in text_of(client, URL)
    assert "csrfmiddlewaretoken" in text_of(client, TEST)
    assert receiver.messages() == []
    answer = client.post(TEST, CONFIRM, follow=True).content.decode()
    assert receiver.messages() == [("Vedetta: test", "success")]
    assert "A test message was sent to 1 address." in answer
    assert receiver.address not in answer
    assert LogEntry.objects.get().change_message == "Had the worker send a test notification."


def test_once_a_test_reaches_everyone_they_are_told_what_they_missed(
    login: Login, receiver: Receiver
) -> None:
    alert = make_alert(since=timezone.now() - timedelta(days=3), tried_at=timezone.now())
    login("Operator").post(TEST, CONFIRM)
    assert receiver.messages() == [("Vedetta: test", "success"), (alert.title, "failure")]
    alert.refresh_from_db()
    assert (alert.error, alert.is_pending) == ("", False)
    assert alert.told_at


def test_what_goes_wrong_is_shown_and_recorded_without_the_address(login: Login, receiver: Receiver) -> None:
    receiver.status = 401
    answer = login("Operator").post(TEST, CONFIRM, follow=True).content.decode()
    assert "number 1 of NOTIFY_URLS (json)" in answer
    assert "hunter2" not in answer + LogEntry.objects.get().change_message


@pytest.mark.parametrize("role", ["Viewer", "staff"])
def test_who_may_only_look_sends_nothing(login: Login, receiver: Receiver, role: str) -> None:
    client = login(role)
    assert client.get(TEST).status_code == client.post(TEST, CONFIRM).status_code == 403
    assert "Send a test notification" not in client.get(URL).content.decode()
    assert receiver.messages() == []


def test_the_button_needs_the_token(login: Login, receiver: Receiver) -> None:
    assert login("Operator", enforce_csrf_checks=True).post(TEST, CONFIRM).status_code == 403
    assert receiver.messages() == []


def test_nobody_edits_alerts(login: Login) -> None:
    alert, client = make_alert(), login("superuser")
    for page in ("change", "delete"):
        url = reverse(f"admin:backups_alert_{page}", args=[alert.pk])
        assert client.post(url, {"post": "yes"}).status_code == 403
    assert client.get(reverse("admin:backups_alert_add")).status_code == 403


def test_a_problem_is_raised_without_addresses(settings: Settings) -> None:
    settings.NOTIFY_URLS = []
    with pytest.raises(Problem):
        delivery.send_test()
