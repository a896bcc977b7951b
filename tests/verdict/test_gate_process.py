"""A gate that is dead or hangs keeps visitors out while its files say open: the portal asks it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.admin import gate
from backups.alerting import alerts, gate_alerts, gate_process
from backups.alerting.gate_process import Answer
from backups.gate import heartbeat_files
from backups.installation import Commands
from backups.models import Alert, Database
from backups.reports import metrics, standing
from sentinel.heartbeat import drill_begin, drill_path, stamp_write
from tests.alerting.conftest import Receiver, receiver
from tests.sentinel.conftest import StatusFolder
from tests.sentinel.conftest import gate_process as running_gate
from tools import history
from tools.history import History
from tools.ports import HOST, free_port

__all__ = ["receiver"]

COMMANDS = Commands("", "", "restart gate", "log of gate")
WHERE = "127.0.0.1:8001"


@pytest.fixture
def past(db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Some days of history; the gate is open, and is asked again at once."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")
    monkeypatch.setattr(gate_process, "_AGAIN_SECONDS", 0)
    monkeypatch.setattr(gate_process, "_reads_ours", {})
    past = history.make(days=3)
    for database in past.databases:
        heartbeat_files.write_last_ok(database, timezone.now() - timedelta(hours=1))
    return past


def looked() -> None:
    """As the watching thread does once a minute."""
    gate_process.look()
    alerts.watch()


def found() -> str:
    """What the verdict says of the gate's process, or nothing."""
    findings = standing.read().overall.findings
    return next((each.sentence for each in findings if each.key == "gate_process"), "")


# ---------------------------------------------------------------- What the answers mean


@pytest.mark.parametrize(
    ("answer", "expected", "word", "said"),
    [
        (Answer("fresh"), {"fresh"}, None, ""),
        (Answer("stale"), {"stale"}, None, ""),
        (Answer("stale"), {"fresh", "stale"}, None, ""),
        (
            Answer(problem="Connection refused"), {"fresh"}, "gives no answer",
            "gives no answer at 127.0.0.1:8001 (Connection refused), so visitors are kept out",
        ),
        (Answer(problem="it hangs"), {"stale"}, "gives no answer", "whatever the backups are like"),
        (
            Answer("missing"), {"fresh"}, "says another word than its files",
            "says “missing”, but by the portal's status files it is “fresh”",
        ),
        (Answer("fresh"), {"stale"}, "says another word than its files", "Visitors get what"),
    ],
)  # fmt: skip
def test_what_an_answer_means(answer: Answer, expected: set[str], word: str | None, said: str) -> None:
    trouble = gate_process.trouble(WHERE, answer, expected, COMMANDS)

    assert (trouble and trouble.word) == word
    if trouble:
        assert said in trouble.what
        assert "See what it says (log of gate) and start it again (restart gate)." in trouble.do


@contextmanager
def saying(answer: bytes, listener: socket.socket) -> Iterator[None]:
    """Somebody who says this to the first that asks."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        yield


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Backup-Status: fresh\r\n\r\nfresh", Answer("fresh")),
        (b"HTTP/1.1 503 No\r\nX-Backup-Status: stale\r\n\r\nstale", Answer("stale")),
        (b"HTTP/1.1 503 No\r\nX-Backup-Status: fresh\r\n\r\n", Answer(problem="it said 503")),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", Answer(problem="it said 200")),
        (b"SSH-2.0-OpenSSH\r\n", Answer(problem="is no gate")),
    ],
)
def test_who_answers_is_a_gate_or_is_none(said: bytes, answer: Answer, tmp_path: Path) -> None:
    listener = socket.create_server((HOST, 0))
    address = f"{HOST}:{listener.getsockname()[1]}"
    with saying(said, listener):
        over_tcp = gate_process.ask(address)
    by_path = socket.socket(socket.AF_UNIX)
    by_path.bind(str(tmp_path / "gate"))
    by_path.listen()
    with saying(said, by_path):
        assert gate_process.ask(f"unix:{tmp_path / 'gate'}") == over_tcp
    assert over_tcp.word == answer.word
    assert answer.problem in over_tcp.problem


# ---------------------------------------------------------------- With a real gate


def test_a_gate_that_hangs_is_told_once_and_one_that_is_killed_as_well(
    past: History, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_process, "ANSWER_SECONDS", 1.0)
    with running_gate(StatusFolder(settings.SENTINEL.heartbeat_path)) as (port, pid):
        settings.SENTINEL_ADDRESS = f"127.0.0.1:{port}"
        subject = f"Gate process at 127.0.0.1:{port}"
        # Its first answer on a busy machine may be late.
        monkeypatch.setattr(gate_process, "ANSWER_SECONDS", 10.0)
        looked()
        assert (found(), receiver.messages()) == ("", [])

        os.killpg(pid, signal.SIGSTOP)
        try:
            monkeypatch.setattr(gate_process, "ANSWER_SECONDS", 0.3)
            looked()
            looked()
        finally:
            os.killpg(pid, signal.SIGCONT)
        assert receiver.messages() == [(f"{subject}: gives no answer", "failure")]
        assert "it hangs: nothing came within 0.3 seconds" in found()
        assert "start it again (" in receiver.bodies()[0]
        shown = gate.look(standing.read())
        assert (shown.open, shown.colour) == (True, "danger")
        assert "gives no answer" in shown.trouble
        assert [
            each.state.value for each in standing.read().overall.findings if each.key == "gate_process"
        ] == ["bad"]
        figures = metrics.exposition().decode()
        assert "vedetta_gate_open 0.0" in figures
        assert 'vedetta_finding{database="",key="gate_process",repository=""} 1.0' in figures

        monkeypatch.setattr(gate_process, "ANSWER_SECONDS", 10.0)
        looked()
        assert (found(), receiver.messages()[1:]) == ("", [(f"{subject}: good again", "success")])

        os.killpg(pid, signal.SIGKILL)
    looked()
    looked()
    assert receiver.messages()[2:] == [(f"{subject}: gives no answer", "failure")]
    assert "(Connection refused)" in found()


def test_where_no_gate_is_meant_to_run_nothing_is_said(
    past: History, receiver: Receiver, settings: Settings
) -> None:
    settings.SENTINEL_ADDRESS = f"127.0.0.1:{free_port()}"
    looked()
    assert not Alert.objects.filter(subject__startswith="Gate process").exists(), (
        "nobody was ever heard there"
    )

    gate_alerts.gate_answers("gate.example.com:8001")
    gate_alerts.gate_answers(settings.SENTINEL_ADDRESS)
    looked()
    assert found()
    Database.objects.update(gates_app=False)
    assert not found()
    looked()

    Database.objects.update(gates_app=True)
    assert found(), "only its own answer makes it good"
    assert Alert.objects.filter(subject__startswith="Gate process").count() == 1, "the other one was left"
    assert [title for title, _ in receiver.messages() if title.endswith("good again")] == []


def test_a_gate_of_another_installation_that_says_the_same_word_is_found_out(
    past: History, receiver: Receiver, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_process, "ANSWER_SECONDS", 10.0)
    other = StatusFolder(tmp_path / "other" / "last_ok")
    stamp_write(other.heartbeat, timezone.now() - timedelta(hours=2))
    with running_gate(other) as (port, _):
        settings.SENTINEL_ADDRESS = f"127.0.0.1:{port}"
        looked()
        assert receiver.messages() == [(f"Gate process at 127.0.0.1:{port}: reads other files", "failure")]
        assert "does not read the portal's status files" in found()
        assert not drill_path(settings.SENTINEL.heartbeat_path).exists()

        drill_begin(settings.SENTINEL.heartbeat_path, timezone.now())
        looked()
        assert found(), "while a person holds a drill it stays as it was found"


def test_an_address_that_was_left_keeps_nothing_bad_and_a_wrong_one_is_told(
    past: History, receiver: Receiver, settings: Settings
) -> None:
    settings.SENTINEL_ADDRESS = f"127.0.0.1:{free_port()}"
    gate_alerts.gate_answers("127.0.0.1:1")
    looked()
    assert f"gives no answer at {settings.SENTINEL_ADDRESS}" in found(), "one was heard, at another address"

    settings.SENTINEL_ADDRESS = ""
    looked()
    assert found() == ""
