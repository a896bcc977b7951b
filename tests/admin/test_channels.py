"""The pages of channels: set up by a form, tried from it, and what is shown of what is sealed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import time, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from backups import keys
from backups.catalog import made_here
from backups.choices import DeliveryState
from backups.models import Alert, Channel, Database, Delivery, PublicKey, Question
from backups.notifications import sealing, services
from tests.admin.conftest import Login
from tests.servers.inbox import Inbox, inbox

LIST, ADD = "/admin/backups/channel/", "/admin/backups/channel/add/"
TRY = "/admin/backups/channel/try/"
SECRET, TOPIC = "hunter2hunter2hunter2", "vedetta-7c1e0a"
CONFIRM = {"_form_submitted": "on"}


@pytest.fixture
def box() -> Iterator[Inbox]:
    """A service that is told."""
    with inbox() as kept:
        yield kept


@pytest.fixture(autouse=True)
def key(db: None) -> None:
    """The worker was started once."""
    made_here.key_in_use()


def form(box: Inbox, **more: object) -> dict[str, object]:
    """What a person fills in for a webhook."""
    return {
        "name": "on call", "is_enabled": "on", "events": ["failed", "gate"],
        "service_url": f"{box.url}/hook", "service_secret": SECRET, **more,
    }  # fmt: skip


def text_of(client: Client, url: str) -> str:
    """A page."""
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_a_service_is_chosen_and_its_form_asks_in_its_own_words(login: Login) -> None:
    client = login("Administrator")
    chosen = text_of(client, ADD)
    for kind in services.SERVICES:
        assert f'href="?kind={kind}"' in chosen
    told = text_of(client, f"{ADD}?kind=telegram")
    for words in ("Bot token", "Chat ID", "-1001234567890", "@BotFather", "Add a channel: Telegram"):
        assert words in told
    for kind in services.SERVICES:
        page = text_of(client, f"{ADD}?kind={kind}")
        assert all(f'name="service_{each.name}"' in page for each in services.SERVICES[kind].asked)


def test_a_channel_is_made_sealed_audited_and_shows_no_secret(login: Login, box: Inbox) -> None:
    client = login("Administrator")
    answer = client.post(
        f"{ADD}?kind=webhook", form(box, quiet_from="22:00", quiet_until="07:00"), follow=True
    )
    channel = Channel.objects.get()
    assert (channel.kind, channel.events, channel.quiet_from) == ("webhook", ["failed", "gate"], time(22))
    assert sealing.opened(channel) == {"url": f"{box.url}/hook", "secret": SECRET}
    assert channel.sealed_for_portal == ""
    assert channel.shown == {"url_host": "127.0.0.1", "secrets": ["url", "secret"]}
    page = text_of(client, f"{LIST}{channel.pk}/change/")
    row = json.dumps(Channel.objects.values().get(), default=str)
    log = "".join(LogEntry.objects.values_list("change_message", flat=True))
    for place in (answer.content.decode(), page, text_of(client, LIST), row, log):
        assert SECRET not in place
        assert "/hook" not in place
    assert LogEntry.objects.filter(action_flag=1).count() == 1


def test_what_is_kept_stays_sealed_and_where_it_goes_is_not_changed_without_the_secret(
    login: Login, box: Inbox
) -> None:
    client = login("Administrator")
    ntfy = {"service_server": box.url, "service_topic": TOPIC, "service_token": ""}
    client.post(f"{ADD}?kind=ntfy", {**form(box), **ntfy})
    channel = Channel.objects.get()
    url, sealed = f"{LIST}{channel.pk}/change/", channel.sealed
    kept = {**form(box), "service_server": box.url, "service_topic": "", "service_token": ""}
    client.post(url, {**kept, "name": "night"})
    channel.refresh_from_db()
    assert (channel.name, channel.sealed) == ("night", sealed)

    elsewhere = client.post(url, {**kept, "service_server": "https://evil.example"})
    assert "Type the secrets of this channel again" in elsewhere.content.decode()
    for_portal = client.post(url, {**kept, "for_portal": "on"})
    assert "Type the secrets of this channel again" in for_portal.content.decode()
    channel.refresh_from_db()
    assert (channel.sealed, channel.sealed_for_portal) == (sealed, "")

    client.post(url, {**kept, "service_topic": TOPIC, "for_portal": "on"})
    channel.refresh_from_db()
    assert sealing.opened(channel, in_portal=True)["topic"] == TOPIC
    client.post(url, kept)
    channel.refresh_from_db()
    assert channel.sealed_for_portal == "", "taken back, it is gone"


@pytest.mark.parametrize(
    ("kind", "wrong", "complaint"),
    [
        ("webhook", {"service_url": "file:///etc/passwd"}, "begins with https:// or http://"),
        ("webhook", {"service_secret": "short"}, "16 characters or more"),
        ("webhook", {"service_url": ""}, "This field is required."),
        ("webhook", {"quiet_from": "22:00"}, "Quiet hours need a beginning and an end."),
        ("webhook", {"events": []}, "This field is required."),
        ("telegram", {"service_token": "x", "service_chat": "5"}, "That is no bot token"),
        ("email", {"service_to": "ops@example.com\nBcc: x@y.z"}, "Write e-mail addresses"),
        ("matrix", {"service_room": "#alias:example.com"}, "begins with an exclamation mark"),
        ("apprise", {"service_url": "syslog://"}, "where nobody looks"),
        ("apprise", {"service_url": "json://127.0.0.1:1, syslog://"}, "Write one address"),
    ],
)
def test_what_no_service_would_take_is_said_beside_it(
    login: Login, box: Inbox, kind: str, wrong: dict[str, object], complaint: str
) -> None:
    answer = login("Administrator").post(f"{ADD}?kind={kind}", {**form(box), **wrong})
    assert complaint in answer.content.decode()
    assert not Channel.objects.exists()


def test_without_a_key_nothing_is_stored(login: Login, box: Inbox) -> None:
    PublicKey.objects.all().delete()
    answer = login("Administrator").post(f"{ADD}?kind=webhook", form(box)).content.decode()
    assert "the worker has not shown its key yet" in answer
    assert not Channel.objects.exists()


def test_a_form_is_tried_by_the_worker_before_it_is_saved(login: Login, box: Inbox) -> None:
    client = login("Administrator")
    box.body = b"<b>thanks</b>"
    typed = {**form(box), "kind": "webhook", "name": ""}
    told = client.post(TRY, typed, headers={"HX-Request": "true"}).content.decode()
    assert "A test message was sent. It answered 200: &lt;b&gt;thanks&lt;/b&gt;" in told
    assert box.requests[0].told["event"] == "test"
    assert not Channel.objects.exists()
    assert Question.objects.get().asked == {}, "what was typed is gone, sealed as it was"
    assert LogEntry.objects.get().change_message == "Had the worker send a test message by what was typed."
    plain = client.post(TRY, typed, follow=True).content.decode()
    assert "Back to the channels" in plain
    wrong = client.post(TRY, {**typed, "service_secret": "x"}, headers={"HX-Request": "true"})
    assert "Signing secret: Write 16 characters or more." in wrong.content.decode()
    assert len(box.requests) == 2


def test_a_channels_page_sends_a_test_and_shows_what_was_answered(
    login: Login, box: Inbox, database: Database
) -> None:
    login("Administrator").post(f"{ADD}?kind=webhook", form(box))
    channel = Channel.objects.get()
    operator = login("Operator")
    box.status, box.body = 401, b'{"message": "who are you"}'
    answer = operator.post(f"{LIST}{channel.pk}/send_test/", CONFIRM, follow=True).content.decode()
    assert "did not get through" in answer
    for url in (LIST, f"{LIST}{channel.pk}/change/"):
        page = text_of(operator, url)
        assert "Did not get through" in page
        assert "It answered 401: who are you" in page
        assert SECRET not in page
    first = text_of(operator, "/admin/")
    assert "The last message by the channel on call did not get through" in first
    assert 'title="Not everyone could be told">1<' in first


def test_who_may_only_look_sees_it_and_changes_nothing(login: Login, box: Inbox) -> None:
    login("Administrator").post(f"{ADD}?kind=webhook", form(box))
    channel = Channel.objects.get()
    viewer = login("Viewer")
    page = text_of(viewer, f"{LIST}{channel.pk}/change/")
    assert "127.0.0.1" in page
    assert "service_url" not in page
    for role in ("Viewer", "Operator", "Restorer"):
        client = viewer if role == "Viewer" else login(role)
        assert client.get(f"{ADD}?kind=webhook").status_code == 403
        assert client.get(ADD).status_code == 403
        assert client.post(f"{LIST}{channel.pk}/change/", form(box, name="mine")).status_code == 403
        assert client.post(TRY, {**form(box), "kind": "webhook"}).status_code == 403
        assert client.post(TRY, {**form(box), "channel": channel.pk}).status_code == 403
    assert Channel.objects.get().name == "on call"


def test_the_page_of_alerts_says_whom_channels_told(login: Login, box: Inbox) -> None:
    client = login("Administrator")
    url = "/admin/backups/alert/"
    assert 'href="/admin/backups/channel/add/"' in text_of(client, url)
    client.post(f"{ADD}?kind=webhook", form(box))
    alert = Alert.objects.create(
        subject="Backup of shop", state="failed", title="t", is_pending=True, event="failed",
        since=timezone.now() - timedelta(hours=2),
    )  # fmt: skip
    channel = Channel.objects.get()
    assert "Nobody is told of failures" not in text_of(client, url)
    assert "No channel tells of it" in text_of(client, url)
    sent = Delivery.objects.create(
        channel=channel, alert=alert, event="failed", title="t", made_at=alert.since
    )
    assert "Just being told" in text_of(client, url)
    for state, words in (
        (DeliveryState.HELD, "Held back until the quiet hours end"),
        (DeliveryState.FAILED, "Not everyone, given up"),
        (DeliveryState.SENT, "By on call"),
    ):
        Delivery.objects.filter(pk=sent.pk).update(state=state, tried_at=timezone.now())
        assert words in text_of(client, url)


def test_a_worker_with_another_key_says_so(login: Login, box: Inbox) -> None:
    client = login("Administrator")
    client.post(f"{ADD}?kind=webhook", form(box))
    PublicKey.objects.update(sealing=keys.InstallationKey.made().public_sealing)
    told = client.post(TRY, {**form(box), "kind": "webhook"}, follow=True).content.decode()
    assert "VEDETTA_KEY of then alone" in told
