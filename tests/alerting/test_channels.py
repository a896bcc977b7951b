"""Channels of the portal: who is told of what, when, how often, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import keys, verdict
from backups.alerting import alerts, channel_delivery, channel_tending, outbox, quiet, subjects
from backups.catalog import made_here
from backups.choices import (
    EVENTS_AT_FIRST,
    Action,
    AlertEvent,
    AlertState,
    DeliveryState,
    StandDownKind,
    Status,
)
from backups.keeping import stand_downs
from backups.keeping.stand_downs import Wish
from backups.models import Alert, Channel, Database, Delivery, PublicKey
from backups.notifications import channels, sealing, services
from backups.portal_copy import strangers
from backups.reports import standing
from backups.verdict import GateFacts, State
from tests.alerting.conftest import ended
from tests.servers.inbox import Inbox, inbox

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECRET = "a secret of the tests"
MakeChannel = Callable[..., Channel]


@pytest.fixture(autouse=True)
def an_open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed one would be told of as well."""
    monkeypatch.setattr(standing, "gate_by_files", lambda *_: GateFacts())


@pytest.fixture
def box() -> Iterator[Inbox]:
    """A service that is told."""
    with inbox() as kept:
        yield kept


@pytest.fixture
def channel(db: None, box: Inbox) -> MakeChannel:
    """Makes a channel that leads to it, with settings as a form leaves them."""
    made_here.key_in_use()

    def make(name: str = "on call", *, for_portal: bool = False, **more: object) -> Channel:
        fields = {"url": f"{box.url}/hook", "secret": SECRET}
        return Channel.objects.create(**{
            "name": name, "kind": "webhook", "sealed": sealing.for_worker("webhook", fields),
            "sealed_for_portal": sealing.for_portal("webhook", fields) if for_portal else "",
            "shown": services.shown("webhook", fields), "events": list(EVENTS_AT_FIRST), **more,
        })  # fmt: skip

    return make


def bad(
    subject: str, event: AlertEvent = AlertEvent.FAILED, *, at: datetime = NOW, of: Database | None = None
) -> None:
    """A subject gets worse."""
    subjects.change(
        subject, subjects.Standing(AlertState.FAILED, "It is down.", event=event), database=of, now=at
    )


def good(subject: str, *, at: datetime = NOW) -> None:
    """It is good again."""
    subjects.change(subject, subjects.Standing(AlertState.GOOD), now=at)


def told(box: Inbox) -> list[str]:
    """The titles that came."""
    return [each.told["title"] for each in box.requests]


def states() -> list[tuple[str, str]]:
    """Title and state of each message, the oldest first."""
    return list(Delivery.objects.order_by("pk").values_list("title", "state"))


# ---------------------------------------------------------------- Told, tried again, kept


def test_a_failure_and_that_it_works_again_are_told_once_each(
    channel: MakeChannel, orders: Database, box: Inbox
) -> None:
    made = channel()
    for status in (Status.FAILED, Status.FAILED, Status.SUCCEEDED):
        alerts.run_ended(ended(orders, Action.BACKUP, status, "The server is down."))

    assert told(box) == ["Backup of orders: failed", "Backup of orders: good again"]
    assert [(each.told["event"], each.told["state"], each.told["database"]) for each in box.requests] == [
        ("failed", "bad", "orders"), ("recovered", "good", "orders"),
    ]  # fmt: skip
    assert box.requests[0].told["text"] == "The server is down."
    made.refresh_from_db()
    assert (made.last_ok, made.last_answer) == (True, "It answered 200: ok")
    assert {(each.state, each.answer_status, each.tries) for each in Delivery.objects.all()} == {
        ("sent", 200, 1)
    }


def test_what_does_not_get_through_is_tried_again_later_with_the_same_key_and_given_up_after_a_day(
    channel: MakeChannel, box: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    made, box.status = channel(), 503
    bad("Backup of shop")
    for minutes in (0, 0.5, 1.1):
        channel_delivery.deliver(NOW + timedelta(minutes=minutes))
    assert len(box.requests) == 2
    assert len({each.headers["Vedetta-Delivery"] for each in box.requests}) == 1
    good("Backup of shop", at=NOW + timedelta(minutes=2))
    channel_delivery.deliver(NOW + timedelta(minutes=2))
    assert len(box.requests) == 2, "good again comes after failed"
    assert [each.name for each in channels.failing_channels()] == ["on call"]
    assert SECRET not in caplog.text
    assert str(box.port) not in caplog.text

    box.status = 200
    channel_delivery.deliver(NOW + timedelta(hours=2))
    channel_delivery.deliver(NOW + timedelta(hours=2, minutes=1))
    assert told(box)[-2:] == ["Backup of shop: failed", "Backup of shop: good again"]
    made.refresh_from_db()
    assert made.last_ok

    box.status = 410
    bad("Backup of shop", at=NOW + timedelta(days=1))
    for hours in (0, 25):
        channel_delivery.deliver(NOW + timedelta(days=1, hours=hours))
    assert states()[-1] == ("Backup of shop: failed", DeliveryState.FAILED)


def test_a_message_that_a_service_will_not_have_keeps_no_other_waiting(
    channel: MakeChannel, box: Inbox
) -> None:
    channel()
    box.status = 413
    for name in ("one", "two"):
        bad(f"Backup of {name}")
    channel_delivery.deliver(NOW)
    assert len(box.requests) == 2


def test_two_processes_that_send_at_once_send_once(channel: MakeChannel, box: Inbox) -> None:
    channel()
    bad("Backup of shop")
    (first,) = Delivery.objects.all()
    assert channel_delivery._claimed(first, NOW)
    assert not channel_delivery._claimed(first, NOW)


def test_a_key_that_does_not_open_it_is_said_and_no_secret(
    channel: MakeChannel, box: Inbox, settings: Settings
) -> None:
    made = channel()
    settings.VEDETTA_KEY = keys.InstallationKey.made().text
    bad("Backup of shop")
    channel_delivery.deliver(NOW)
    made.refresh_from_db()
    assert (made.last_ok, box.requests) == (False, [])
    assert "VEDETTA_KEY of then alone" in made.last_answer
    settings.VEDETTA_KEY, settings.VEDETTA_KEY_MADE = "", "/nowhere/key"
    assert not channel_delivery.is_able(), "a command without the key leaves it to the worker"


def test_of_a_channel_few_messages_are_kept(channel: MakeChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    made = channel()
    monkeypatch.setattr(channel_tending, "MOST_KEPT", 3)
    for number in range(6):
        texts = (f"number {number}", "")
        row = outbox.delivery(made, AlertEvent.TEST, texts, None, NOW)
        row.state = DeliveryState.SENT
        row.save()
    channel_tending.tend(NOW)
    assert states() == [(f"number {number}", "sent") for number in (3, 4, 5)]


def test_that_nobody_opens_it_any_more_is_known_before_there_is_anything_to_tell(
    channel: MakeChannel,
) -> None:
    channel()
    channel_tending.tend(NOW)
    assert not channels.failing_channels()
    PublicKey.objects.update(sealing=keys.InstallationKey.made().public_sealing)
    channel_tending.tend(NOW + timedelta(minutes=1))
    (found,) = channels.failing_channels()
    assert found.last_answer.startswith("Its settings were sealed for another VEDETTA_KEY.")


def test_channels_of_a_strange_copy_tell_nobody(channel: MakeChannel) -> None:
    channel("of a stranger")
    (sentence,) = strangers._switch_off_channels()
    assert sentence.endswith("until an administrator switches them on: of a stranger.")
    assert not Channel.objects.filter(is_enabled=True).exists()
    assert list(strangers._switch_off_channels()) == []


# ---------------------------------------------------------------- Events and databases


def test_a_channel_tells_of_what_was_chosen_and_no_more(channel: MakeChannel, orders: Database) -> None:
    other = Database.objects.create(
        name="other", database="other", repository=orders.repository, server=orders.server
    )
    channel("gate only", events=["gate", "recovered"])
    channel("of orders").databases.add(orders)
    channel("off", is_enabled=False)
    bad("Backup of orders", of=orders)
    bad("Backup of other", of=other)
    bad("Gate", AlertEvent.GATE)
    good("Gate")
    good("Backup of other")

    found = Delivery.objects.order_by("channel__name", "pk").values_list("channel__name", "title")
    assert list(found) == [
        ("gate only", "Gate: failed"), ("gate only", "Gate: good again"),
        ("of orders", "Backup of orders: failed"), ("of orders", "Gate: failed"),
        ("of orders", "Gate: good again"),
    ]  # fmt: skip


def test_what_a_run_ended_as_is_an_event(channel: MakeChannel, orders: Database) -> None:
    channel(events=[AlertEvent.RESTORE])
    for action in (Action.BACKUP, Action.RESTORE):
        run = ended(orders, action, Status.FAILED)
        alerts.run_ended(run)
    assert [event for (event,) in Delivery.objects.values_list("event")] == ["restore"]


def test_many_at_once_are_one_message_to_a_person_and_each_to_a_program(
    channel: MakeChannel, box: Inbox
) -> None:
    made = channel("person")
    Channel.objects.filter(pk=made.pk).update(kind="slack")
    channel("program")
    for number in range(7):
        bad(f"Backup of {number}")
    quiet.hold_back(NOW)
    waiting = Delivery.objects.filter(state="waiting")
    assert waiting.filter(channel__name="program").count() == 7
    (one,) = waiting.filter(channel__name="person")
    assert one.title == "Vedetta: 7 messages"
    assert one.text.count("It is down.") == 7


# ---------------------------------------------------------------- Quiet hours


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-03-04T21:59", None), ("2026-03-04T22:00", "2026-03-05T07:00"),
        ("2026-03-05T00:30", "2026-03-05T07:00"), ("2026-03-05T07:00", None),
        # Clocks go forward at two on the 29th of March, and back at three on the 25th of October.
        ("2026-03-29T01:30", "2026-03-29T07:00"), ("2026-10-24T23:00", "2026-10-25T07:00"),
    ],
)  # fmt: skip
def test_quiet_hours_are_by_the_clock_on_the_wall(local: str, until: str | None, settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Rome"
    channel = Channel(quiet_from=time(22), quiet_until=time(7))
    with timezone.override("Europe/Rome"):
        zone = timezone.get_current_timezone()
        now = datetime.fromisoformat(local).replace(tzinfo=zone).astimezone(UTC)
        found = quiet.quiet_until(channel, now)
    assert (found.strftime("%Y-%m-%dT%H:%M") if found else None) == until
    assert quiet.quiet_until(Channel(quiet_from=time(9), quiet_until=time(9)), NOW) is None


def test_in_quiet_hours_only_the_worst_is_told_and_the_rest_comes_afterwards_as_one(
    channel: MakeChannel, box: Inbox
) -> None:
    channel(quiet_from=time(11), quiet_until=time(14))
    bad("Backup of shop")
    bad("Restore of shop", AlertEvent.RESTORE)
    bad("Gate", AlertEvent.GATE)
    bad("Worker", AlertEvent.WORKER)
    good("Backup of shop", at=NOW + timedelta(minutes=1))
    channel_delivery.deliver(NOW + timedelta(minutes=2))
    assert told(box) == ["Restore of shop: failed", "Gate: failed", "Worker: failed"]

    channel_delivery.deliver(NOW + timedelta(hours=2, minutes=1))
    assert told(box)[3:] == ["Vedetta: 2 messages"]
    text = box.requests[-1].told["text"]
    assert text.index("Backup of shop: failed") < text.index("Backup of shop: good again")
    channel_delivery.deliver(NOW + timedelta(hours=3))
    assert len(box.requests) == 4


def test_what_closes_the_gate_within_them_is_told_at_once(
    channel: MakeChannel, orders: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel(quiet_from=time(11), quiet_until=time(14))
    bad("Backup of orders", of=orders)
    quiet.hold_back(NOW)
    assert states()[0][1] == DeliveryState.HELD
    closes = NOW + timedelta(hours=3)
    monkeypatch.setattr(quiet._Gate, "closes_at", property(lambda _: closes))
    Database.objects.update(gates_app=True)
    quiet.hold_back(NOW)
    assert states()[0][1] == DeliveryState.HELD, "somebody is up by then"
    closes = NOW + timedelta(hours=1)
    quiet.hold_back(NOW)
    assert states()[0][1] == DeliveryState.WAITING


def test_what_comes_as_one_is_as_long_as_people_read(channel: MakeChannel) -> None:
    made = channel(quiet_from=time(11), quiet_until=time(14))
    long = [
        outbox.delivery(made, AlertEvent.WEEKLY, (f"number {n}", "x" * 2000), None, NOW) for n in range(300)
    ]
    Delivery.objects.bulk_create(long)
    quiet.hold_back(NOW)
    quiet.hold_back(NOW + timedelta(hours=3))
    text = Delivery.objects.get(event=AlertEvent.SEVERAL).text
    assert text.startswith(f"2026-03-04 12:00  number 0\n{'x' * 2000}\n\n2026-03-04 12:00  number 1\n\n")
    assert text.endswith(" more are in the portal.")
    assert len(text) < 4000


# ---------------------------------------------------------------- Reminders, the week


def test_what_lasts_is_told_again_every_so_often_but_a_restore(channel: MakeChannel) -> None:
    channel(remind_hours=4)
    channel("once")
    bad("Backup of shop")
    bad("Restore of shop", AlertEvent.RESTORE)
    Delivery.objects.update(state=DeliveryState.SENT)
    for hours in (3, 4, 5, 8.1):
        channel_tending.tend(NOW + timedelta(hours=hours))
        Delivery.objects.update(state=DeliveryState.SENT)
    again = Delivery.objects.filter(title__startswith="Still").order_by("pk")
    assert [(each.channel.name, each.title, each.made_at - NOW) for each in again] == [
        ("on call", "Still: Backup of shop: failed", timedelta(hours=hours)) for hours in (4, 8.1)
    ]
    good("Backup of shop", at=NOW + timedelta(hours=9))
    Delivery.objects.update(state=DeliveryState.SENT)
    channel_tending.tend(NOW + timedelta(hours=20))
    assert Delivery.objects.filter(title__startswith="Still").count() == 2


def test_a_week_is_summed_up_on_monday_if_somebody_asked_for_it(
    channel: MakeChannel, orders: Database
) -> None:
    channel(events=["weekly"])
    channel("not asked")
    monday = datetime(2026, 3, 9, 8, tzinfo=timezone.get_default_timezone())
    for at in (
        NOW,
        monday - timedelta(minutes=1),
        monday,
        monday + timedelta(minutes=1),
        monday + timedelta(days=1),
    ):
        channel_tending.tend(at)
    (one,) = Delivery.objects.all()
    assert (one.channel.name, one.event) == ("on call", "weekly")
    assert one.title.startswith("Vedetta, the week until 2026-03-09: ")
    assert "orders: 0 of 0 backups good, none kept, 0 of 0 verifications good" in one.text
    assert one.text.startswith("• ")


# ---------------------------------------------------------------- When the worker is silent


def test_a_mute_holds_back_what_channels_would_tell(
    orders: Database, box: Inbox, channel: MakeChannel
) -> None:
    channel(remind_hours=1)
    stand_downs.begin(orders, StandDownKind.MUTE, Wish("A move.", "anna", timezone.now() + timedelta(days=1)))
    now = timezone.now()
    bad("Backup of orders", of=orders, at=now)
    bad("Worker", AlertEvent.WORKER, at=now)

    for hours in (0, 2, 4):
        channel_tending.tend(now + timedelta(hours=hours))
        channel_delivery.deliver(now + timedelta(hours=hours))
    assert {title for title in told(box) if "Backup of orders" in title} == set()
    assert any("Worker" in title for title in told(box))

    channel_delivery.deliver(now + timedelta(days=1, minutes=1))
    assert any("Backup of orders" in title for title in told(box))


def test_a_channel_that_was_not_asked_hides_of_nobody_that_nobody_heard(
    orders: Database, channel: MakeChannel, settings: Settings
) -> None:
    settings.NOTIFY_URLS = ["json://localhost"]
    here = channel(events=[AlertEvent.RESTORE])
    alert = Alert.objects.create(
        subject="Backup of orders", state=AlertState.FAILED, since=NOW, error="refused", database=orders
    )

    def nobody() -> bool:
        return "Nobody could be told" in " ".join(each.sentence for each in standing.read().overall.findings)

    assert nobody()
    Delivery.objects.create(
        channel=here, alert=alert, event=AlertEvent.FAILED, state=DeliveryState.SENT,
        made_at=NOW + timedelta(minutes=1),
    )  # fmt: skip
    assert not nobody()


def test_the_portal_uses_what_it_may_only_when_the_worker_is_silent(
    channel: MakeChannel, box: Inbox, settings: Settings
) -> None:
    channel("of the portal", for_portal=True)
    channel("of the worker")
    # As the web process is.
    settings.VEDETTA_KEY, settings.VEDETTA_KEY_MADE = "", "/nowhere/key"
    bad("Backup of shop")
    alerts.watch(NOW)
    assert box.requests == []
    subjects.change(
        "Worker",
        subjects.Standing(AlertState.TROUBLE, "Silent.", word="silent", event=AlertEvent.WORKER),
        now=NOW,
    )
    channel_delivery.deliver(NOW, by=channel_delivery.Sender.PORTAL)
    assert told(box) == ["Backup of shop: failed", "Worker: silent"]
    assert set(Delivery.objects.filter(channel__name="of the worker").values_list("state", flat=True)) == {
        "waiting"
    }


def test_the_portals_key_is_its_own_and_follows_a_change_of_secret_key(
    channel: MakeChannel, settings: Settings
) -> None:
    made = channel(for_portal=True)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert sealing.opened(made, in_portal=True)["secret"] == SECRET
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(Exception, match="typed"):
        sealing.opened(made, in_portal=True)
    made.sealed_for_portal = made.sealed
    with pytest.raises(Exception, match="typed"):
        sealing.opened(made, in_portal=True)


# ---------------------------------------------------------------- The verdict


def test_a_channel_counts_as_somebody_who_is_told(channel: MakeChannel, orders: Database) -> None:
    def found() -> list[tuple[str, State]]:
        return [(each.key, each.state) for each in verdict.of_channels(standing.read().overall)]

    assert found() == [("nobody_watches", State.DOUBTFUL)]
    made = channel(events=["weekly"])
    assert found() == [("nobody_watches", State.DOUBTFUL)], "a summary is no watch"
    Channel.objects.update(events=list(EVENTS_AT_FIRST))
    assert found() == []
    Channel.objects.update(last_ok=False, last_answer="It answered 401.")
    assert found() == [("channel_failing", State.BAD)]
    assert channels.failing() == 1
    channel("second")
    assert found() == [("channel_failing", State.DOUBTFUL)]
    Channel.objects.filter(pk=made.pk).update(is_enabled=False)
    assert found() == []
    assert Alert.objects.count() == 0
