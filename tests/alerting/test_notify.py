"""One message a change of state, to a real receiver through the real program that sends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import __version__, verdict
from backups.actions import preflight
from backups.actions.steps import checks
from backups.alerting import alerts, delivery, pings, subjects
from backups.choices import FORGET_SNAPSHOT, Action, AlertState, StandDownKind, Status, Trigger, Verdict
from backups.errors import Problem
from backups.keeping import stand_downs
from backups.models import Alert, Database, Run, Server, Snapshot, Verification
from backups.notifications import channels
from backups.reports import standing
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.verdict import GateFacts, State
from backups.worker import executor
from portal.env import Environment
from tests.alerting.conftest import Receiver, ended
from tests.backups.worlds import Shop, wait_until
from tests.rows import a_server
from tools.ports import free_port

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def an_open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed one would be told of as well."""
    monkeypatch.setattr(standing, "gate_by_files", lambda *_: GateFacts())


def test_first_failure_is_told_and_the_next_is_not(orders: Database, receiver: Receiver) -> None:
    for error in ("The server is down.", "Still down."):
        alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED, error))

    assert receiver.messages() == [("Backup of orders: failed", "failure")]
    assert receiver.bodies() == [f"The server is down.\n\nVedetta {__version__}"]


def test_recovery_is_told_once(orders: Database, receiver: Receiver) -> None:
    for status in (Status.FAILED, Status.SUCCEEDED, Status.SUCCEEDED):
        alerts.run_ended(ended(orders, Action.BACKUP, status))

    assert receiver.messages()[1:] == [("Backup of orders: good again", "success")]
    assert "stood as failed since" in receiver.bodies()[1]


def test_messages_of_a_muted_database_are_held_back_until_its_end(
    orders: Database, receiver: Receiver
) -> None:
    until = timezone.now() + timedelta(hours=4)
    stand_downs.begin(orders, StandDownKind.MUTE, stand_downs.Wish("The server moves.", "anna", until))

    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED, "The server is down."))
    delivery.tell_again()
    assert receiver.messages() == []
    assert Alert.objects.get(subject="Backup of orders").state == AlertState.FAILED

    delivery.deliver(until + timedelta(seconds=1))
    assert receiver.messages() == [("Backup of orders: failed", "failure")]


def test_success_from_the_start_is_not_worth_a_message(orders: Database, receiver: Receiver) -> None:
    alerts.run_ended(ended(orders, Action.BACKUP, Status.SUCCEEDED))

    assert receiver.requests == []


def test_cancelled_changes_nothing(orders: Database, receiver: Receiver) -> None:
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    alerts.run_ended(ended(orders, Action.BACKUP, Status.CANCELLED))

    assert len(receiver.requests) == 1
    assert Alert.objects.get().state == AlertState.FAILED


def test_one_snapshot_forgotten_by_hand_says_nothing_of_the_forget_at_night(
    orders: Database, receiver: Receiver
) -> None:
    def forgot(status: Status, request: dict[str, str] | None = None) -> None:
        run_id = ended(orders, Action.FORGET, status)
        Run.objects.filter(pk=run_id).update(request=request)
        alerts.run_ended(run_id)

    by_hand = {"form": FORGET_SNAPSHOT}
    forgot(Status.FAILED, by_hand)
    assert receiver.requests == []
    forgot(Status.FAILED)
    forgot(Status.SUCCEEDED, by_hand)
    assert receiver.messages() == [("Forget of main: failed", "failure")]
    forgot(Status.SUCCEEDED)
    assert receiver.messages()[1:] == [("Forget of main: good again", "success")]


def test_lost_after_failed_is_news(orders: Database, receiver: Receiver) -> None:
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    alerts.run_ended(ended(orders, Action.BACKUP, Status.LOST, "The worker died."))

    assert [title for title, _ in receiver.messages()] == [
        "Backup of orders: failed",
        "Backup of orders: lost",
    ]


def test_each_subject_stands_for_itself(orders: Database, receiver: Receiver) -> None:
    for action in (Action.BACKUP, Action.VERIFY, Action.CHECK):
        alerts.run_ended(ended(orders, action, Status.FAILED))

    assert [title for title, _ in receiver.messages()] == [
        "Backup of orders: failed",
        "Verification of orders: failed",
        "Check of main: failed",
    ]


def test_backup_that_really_fails_and_works_again_is_told(
    mariadb_shop: Shop, make_database: Callable[..., Database], receiver: Receiver
) -> None:
    database = make_database(mariadb_shop)
    password = database.server.password_ref
    for reference in ("env:NOT_SET", password):
        Server.objects.update(password_ref=reference)
        database.refresh_from_db()
        run = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.CLI), send=False)
        executor.execute(run.pk, send_follow_ups=False)

    assert [kind for _, kind in receiver.messages()] == ["failure", "success"]
    assert "NOT_SET" in receiver.bodies()[0]


def test_unreachable_repository_is_told(
    mariadb_shop: Shop, make_database: Callable[..., Database], receiver: Receiver
) -> None:
    database = make_database(mariadb_shop)
    database.repository.url += "/nowhere"
    database.repository.save()
    run = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.CLI), send=False)
    executor.execute(run.pk)

    assert receiver.messages() == [(f"Backup of {database}: failed", "failure")]


def test_whom_it_did_not_reach_is_tried_again_and_only_those(
    orders: Database, receiver: Receiver, settings: Settings
) -> None:
    gone = Receiver()
    port = gone.port
    gone.close()
    settings.NOTIFY_URLS = [receiver.address, f"json://user:hunter3@127.0.0.1:{port}/"]
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    (alert,) = delivery.undelivered()
    assert alert.error == "Not everyone was told: number 2 of NOTIFY_URLS (json) could not be reached."

    delivery.deliver()
    assert Alert.objects.get(pk=alert.pk).tried_at == alert.tried_at, "not again so soon"
    second = Receiver()
    settings.NOTIFY_URLS = [receiver.address, f"json://user:hunter3@127.0.0.1:{second.port}/"]
    Alert.objects.update(reached=[delivery._digest(receiver.address)])
    assert alert.tried_at is not None
    delivery.deliver(alert.tried_at + timedelta(minutes=6))
    second.close()

    assert len(receiver.requests) == 1
    assert len(second.requests) == 1
    assert not delivery.undelivered().exists()


def test_refusal_is_shown_with_its_status_and_without_the_secret(
    orders: Database, receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.status = 403
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))

    (alert,) = delivery.undelivered()
    assert alert.error.endswith("(json) answered 403.")
    printed = "".join(capfd.readouterr()) + caplog.text + alert.error
    assert "hunter2" not in printed
    assert str(receiver.port) not in printed


@pytest.mark.parametrize("address", ["nonsense", "nosuch://secret-token@host"])
def test_address_that_is_none_is_not_shown(orders: Database, settings: Settings, address: str) -> None:
    settings.NOTIFY_URLS = [address]

    with pytest.raises(Problem) as raised:
        delivery.send_test()

    assert "is not an address that Apprise knows" in str(raised.value)
    assert "secret-token" not in str(raised.value)


def test_service_that_hangs_is_given_up(
    orders: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.delay = 30
    monkeypatch.setattr(delivery, "SEND_SECONDS", 2.0)
    began = time.monotonic()
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))

    assert time.monotonic() - began < 6
    (alert,) = delivery.undelivered()
    assert alert.error.endswith("gave no answer within 2 seconds.")


def _drip(server: socket.socket) -> None:
    """Greet whoever comes, a byte a second."""
    while True:
        try:
            connection, _ = server.accept()
            for byte in b"220 slow.example ESMTP, and this is going to take a while\r\n":
                connection.sendall(bytes([byte]))
                time.sleep(1)
        except OSError:
            return


@pytest.fixture(params=["silent", pytest.param("dripping", marks=pytest.mark.soak)])
def silent_mail_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of one that takes connections and never says a word, as where SMTP is dropped.

    Or a byte a second, at each of which a deadline for an answer would begin anew.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        if request.param == "dripping":
            threading.Thread(target=_drip, args=[server], daemon=True).start()
        port = server.getsockname()[1]
        yield f"mailto://user:hunter3@example.com:{port}?smtp=127.0.0.1&mode=insecure"


def test_address_that_hangs_does_not_keep_those_after_it_from_being_told(
    orders: Database,
    receiver: Receiver,
    silent_mail_server: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.NOTIFY_URLS = [silent_mail_server, receiver.address]
    monkeypatch.setattr(delivery, "SEND_SECONDS", 6.0)
    subjects.change("One thing", subjects.Standing(AlertState.FAILED, "It failed."), begin=True)
    subjects.change("Another", subjects.Standing(AlertState.FAILED, "It failed too."), begin=True)
    delivery.deliver()

    assert sorted(receiver.messages()) == [("Another: failed", "failure"), ("One thing: failed", "failure")]
    assert {alert.error for alert in delivery.undelivered()} == {
        "Not everyone was told: number 1 of NOTIFY_URLS (mailto) gave no answer within 6 seconds."
    }


def test_a_process_that_knows_no_address_leaves_the_alert_to_those_who_do(
    orders: Database, receiver: Receiver, settings: Settings
) -> None:
    settings.NOTIFY_URLS, known = [], settings.NOTIFY_URLS
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    settings.NOTIFY_URLS = ["json://127.0.0.1:1/dead"]
    now = timezone.now()
    delivery.deliver(now)
    settings.NOTIFY_URLS = []
    delivery.deliver(now + timedelta(minutes=6))
    assert delivery.undelivered().get().is_pending

    settings.NOTIFY_URLS = known
    delivery.deliver(now + timedelta(minutes=6))

    assert receiver.messages() == [("Backup of orders: failed", "failure")]
    assert not delivery.undelivered().exists()


def test_each_process_tells_the_addresses_that_it_knows_and_then_it_ends(
    orders: Database, receiver: Receiver, settings: Settings
) -> None:
    other = Receiver()
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    settings.NOTIFY_URLS = [receiver.address, other.address]
    now = timezone.now()
    delivery.deliver(now + timedelta(minutes=6))
    delivery.deliver(now + timedelta(minutes=30))
    other.close()

    assert (len(receiver.requests), len(other.requests)) == (1, 1)
    assert not Alert.objects.get().is_pending


def test_what_works_again_is_no_news_to_an_address_that_is_set_days_later(
    orders: Database, receiver: Receiver, settings: Settings
) -> None:
    settings.NOTIFY_URLS, known = [], settings.NOTIFY_URLS
    for status in (Status.FAILED, Status.SUCCEEDED):
        alerts.run_ended(ended(orders, Action.BACKUP, status))
    settings.NOTIFY_URLS = known
    delivery.deliver(timezone.now() + timedelta(days=2))

    assert (receiver.requests, Alert.objects.get().is_pending) == ([], False)


def test_a_channel_that_hung_is_waited_for_once_by_all_that_ends_with_a_command(
    orders: Database, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.delay = 30
    monkeypatch.setattr(delivery, "SEND_SECONDS", 3.0)
    monkeypatch.setattr(pings, "PING_SECONDS", 0.5)
    settings.PING_URL = f"http://127.0.0.1:{receiver.port}/ping"
    began = time.monotonic()
    for action in (Action.BACKUP, Action.FORGET, Action.CHECK):
        alerts.run_ended(ended(orders, action, Status.FAILED))

    assert time.monotonic() - began < 6
    assert delivery.undelivered().filter(is_pending=True).count() == 4

    receiver.delay = 0
    monkeypatch.setattr(delivery, "SEND_SECONDS", 20.0)
    delivery._hanging_until.clear()
    delivery.deliver(timezone.now() + timedelta(minutes=6))
    assert not delivery.undelivered().exists()


def test_a_secret_that_the_worker_cannot_read_is_told_before_a_run_fails_of_it(
    orders: Database, receiver: Receiver
) -> None:
    password = Path(orders.server.password_ref.removeprefix("file:"))
    password.rename(password.with_name("elsewhere"))
    alerts.tend()

    assert receiver.messages() == [
        ("Secrets of database orders: cannot be read", "failure"),
        ("Secrets of repository main: cannot be read", "failure"),
    ]
    found = [each for each in standing.read().overall.findings if each.key == "secret_unreadable"]
    assert [each.repository or each.database for each in found] == ["orders", "main"]
    assert found[0].reason.startswith(f"The next run with orders will fail: The secret file {password} (the")

    password.with_name("elsewhere").rename(password)
    alerts.tend()
    assert len(receiver.messages()) == 4
    assert "secret_unreadable" not in [each.key for each in standing.read().overall.findings]


def test_two_that_deliver_at_once_send_once(orders: Database, receiver: Receiver) -> None:
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    Alert.objects.update(is_pending=True, tried_at=None, reached=[])
    now = datetime.now(UTC)
    delivery.deliver(now)
    Alert.objects.update(is_pending=True, reached=[])
    delivery.deliver(now)

    assert len(receiver.requests) == 2


def test_what_goes_wrong_does_not_reach_the_run(orders: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("json://secret")

    monkeypatch.setattr(subjects, "change", broken)

    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED))
    alerts.tend()


def _snapshot(database: Database, time: datetime) -> Snapshot:
    return Snapshot.objects.create(
        repository=database.repository,
        database=database,
        snapshot_id=f"{time:%Y%m%d%H%M}",
        time=time,
        path="/mysql/orders.sql",
    )


def _proved(database: Database, snapshot: Snapshot, time: datetime) -> None:
    run_id = ended(database, Action.VERIFY, Status.SUCCEEDED)
    Verification.objects.create(run_id=run_id, snapshot=snapshot, verdict=Verdict.IDENTICAL, finished_at=time)


def test_overdue_backup_is_told_once_and_so_is_its_end(orders: Database, receiver: Receiver) -> None:
    snapshot = _snapshot(orders, NOW)
    _proved(orders, snapshot, NOW + timedelta(days=3))
    for hours in (1, 26, 27, 28):
        alerts.tend(NOW + timedelta(hours=hours))
    assert receiver.messages() == [("Timely backup of orders: overdue", "failure")]
    assert "for more than 26 hours: the newest good one is of 2026-03-01 12:00" in receiver.bodies()[0]

    _snapshot(orders, NOW + timedelta(hours=28))
    alerts.tend(NOW + timedelta(hours=29))
    assert receiver.messages()[1:] == [("Timely backup of orders: good again", "success")]


def test_database_without_any_backup_is_overdue_after_the_threshold(
    orders: Database, receiver: Receiver
) -> None:
    for hours in (0, 25, 27, 28, 60):
        alerts.tend(NOW + timedelta(hours=hours))

    assert [title for title, _ in receiver.messages()] == ["Timely backup of orders: overdue"]
    assert "there is none yet" in receiver.bodies()[0]


def test_verification_is_overdue_by_its_own_schedule(orders: Database, receiver: Receiver) -> None:
    _proved(orders, _snapshot(orders, NOW), NOW)
    Database.objects.update(backup_cron="", gates_app=False)
    for days in (1, 13, 15, 16):
        alerts.tend(NOW + timedelta(days=days))

    assert [title for title, _ in receiver.messages()] == ["Timely verification of orders: overdue"]


def test_tending_takes_no_more_queries_for_more_databases(
    orders: Database, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    alerts.tend(NOW)
    with django_assert_max_num_queries(33):  # type: ignore[attr-defined]
        alerts.tend(NOW + timedelta(hours=1))


def test_healthchecks_protocol(orders: Database, pinged: Receiver) -> None:
    run_id = ended(orders, Action.BACKUP, Status.SUCCEEDED)
    run = Run.objects.get(pk=run_id)
    alerts.run_began(run)
    wait_until(lambda: len(pinged.requests) == 1, "the start's ping", 10)
    alerts.run_ended(run_id)
    alerts.run_ended(ended(orders, Action.BACKUP, Status.FAILED, "The server is down."))

    paths = [path.partition("?") for path, _ in pinged.requests]
    assert [path for path, _, _ in paths] == [
        "/ping/d34db33f/start",
        "/ping/d34db33f",
        "/ping/d34db33f/fail",
    ]
    assert paths[0][2] == paths[1][2] != paths[2][2]
    assert pinged.requests[2][1] == b"The server is down."


def test_only_backups_are_pinged(orders: Database, pinged: Receiver) -> None:
    alerts.run_ended(ended(orders, Action.VERIFY, Status.SUCCEEDED))

    assert pinged.requests == []


def test_success_is_not_pinged_while_another_database_fails(orders: Database, pinged: Receiver) -> None:
    other = Database.objects.create(
        name="other", database="other", server=a_server("h"), repository=orders.repository
    )
    alerts.run_ended(ended(other, Action.BACKUP, Status.FAILED))
    alerts.run_ended(ended(orders, Action.BACKUP, Status.SUCCEEDED))

    assert [path.partition("?")[0] for path, _ in pinged.requests] == ["/ping/d34db33f/fail"]


def test_ping_that_fails_is_shown_without_its_address(
    orders: Database, receiver: Receiver, settings: Settings
) -> None:
    settings.PING_URL = f"http://127.0.0.1:{free_port()}/ping/d34db33f"
    alerts.run_ended(ended(orders, Action.BACKUP, Status.SUCCEEDED))

    assert receiver.messages() == [("PING_URL: failed", "failure")]
    assert receiver.bodies() == [f"PING_URL could not be reached (URLError).\n\nVedetta {__version__}"]


def test_a_ping_that_does_not_get_through_counts_as_nobody_told_until_one_does(
    orders: Database, pinged: Receiver
) -> None:
    pinged.status = 501
    alerts.run_ended(ended(orders, Action.BACKUP, Status.SUCCEEDED))

    (found,) = verdict.of_channels(standing.read().overall)
    assert (found.key, found.state, channels.failing()) == ("ping_failed", State.BAD, 1)
    assert "PING_URL answered 501." in found.reason
    told = [check.detail for check in preflight.checks(orders, checks.Found()) if check.warning]
    assert found.sentence in told

    pinged.status = 200
    alerts.run_ended(ended(orders, Action.BACKUP, Status.SUCCEEDED))
    assert (verdict.of_channels(standing.read().overall), channels.failing()) == ([], 0)


def test_an_address_that_is_none_is_found_before_there_is_anything_to_tell(
    orders: Database, settings: Settings
) -> None:
    settings.NOTIFY_URLS = ["json://127.0.0.1:1/", "jsonn://hunter2@nowhere"]

    (found,) = verdict.of_channels(standing.read().overall)

    assert (found.key, found.state, channels.failing()) == ("channel_unknown", State.DOUBTFUL, 1)
    assert found.reason.startswith("Number 2 of NOTIFY_URLS (jsonn) is not an address that Apprise knows")


def test_user_and_password_of_the_ping_address_are_shown_to_its_service_alone(
    orders: Database,
    receiver: Receiver,
    pinged: Receiver,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.PING_URL = settings.PING_URL.replace("://", "://hcuser:Hc.s3cret%40x@")
    run = Run.objects.get(pk=ended(orders, Action.BACKUP, Status.SUCCEEDED))

    alerts.run_began(run)
    alerts.run_ended(run.pk)

    wait_until(lambda: len(pinged.requests) == 2, "both pings")
    assert {path.partition("?")[0] for path, _ in pinged.requests} == {
        "/ping/d34db33f", "/ping/d34db33f/start",
    }  # fmt: skip
    assert set(pinged.authorizations) == {"Basic aGN1c2VyOkhjLnMzY3JldEB4"}
    assert receiver.requests == []
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"]
)
def test_a_service_that_speaks_no_http_is_told_of_in_a_sentence(
    orders: Database,
    receiver: Receiver,
    settings: Settings,
    answer: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings.PING_URL = f"http://u:hunter2@127.0.0.1:{listening.getsockname()[1]}/"

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(1 << 16)
                client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        alerts.run_ended(ended(orders, Action.BACKUP, Status.SUCCEEDED))

    (body,) = receiver.bodies()
    assert body.startswith("PING_URL could not be reached (")
    assert "hunter2" not in body + capsys.readouterr().err


def test_test_message_reaches_everyone(receiver: Receiver) -> None:
    assert delivery.send_test() == "A test message was sent to 1 address."
    assert receiver.messages() == [("Vedetta: test", "success")]


def test_test_message_without_addresses_says_so(settings: Settings) -> None:
    settings.NOTIFY_URLS = []

    with pytest.raises(Problem, match="NOTIFY_URLS is not set"):
        delivery.send_test()


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("", []),
        ("json://a", ["json://a"]),
        (
            "mailto://u:p@h?to=a@b.example,c@d.example, slack://x/y/z",
            ["mailto://u:p@h?to=a@b.example,c@d.example", "slack://x/y/z"],
        ),
        ("json://a\nxml://b", ["json://a", "xml://b"]),
    ],
)
def test_addresses_may_hold_commas(monkeypatch: pytest.MonkeyPatch, value: str, addresses: list[str]) -> None:
    monkeypatch.setenv("NOTIFY_URLS", value)

    assert Environment().addresses("NOTIFY_URLS") == addresses
