"""Ctrl-C and SIGTERM that come while something is being asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.utils import timezone

from backups.alerting import alerts
from backups.choices import Status
from backups.errors import CANCELLED
from backups.management import interrupts
from backups.models import Database, Repository, Run, WorkerPulse
from backups.requests import BackupRequest, PreflightRequest, Request
from tests.rows import a_server


@pytest.fixture
def orders(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database whose secrets are here, and no server: nothing is to come as far as that."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("RESTIC_PASSWORD", "of the tests")
    monkeypatch.setenv("MYSQL_PASSWORD", "of the tests")
    repository = Repository.objects.create(name="main", url="/nowhere/at/all")
    yield Database.objects.create(name="orders", server=a_server(), database="orders", repository=repository)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def interrupted_after(monkeypatch: pytest.MonkeyPatch, of: object, name: str, number: int) -> None:
    """A person loses patience as soon as this was done."""
    act: Callable[..., object] = getattr(of, name)

    def then_interrupted(*args: object, **kwargs: object) -> object:
        done = act(*args, **kwargs)
        os.kill(os.getpid(), number)
        return done

    monkeypatch.setattr(of, name, then_interrupted)


def ended(*command: str) -> tuple[object, Run]:
    """How a command ended, and the one run that it asked for."""
    with pytest.raises(SystemExit) as ending:
        call_command(*command)
    return ending.value.code, Run.objects.get()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_asked_for_and_not_begun_is_cancelled_at_once(
    orders: Database, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It stayed in the queue, refused others, and was begun by nobody."""
    interrupted_after(monkeypatch, BackupRequest, "submit", number)

    code, run = ended("backup")

    assert (code, run.status, run.error_code) == (130, Status.CANCELLED, CANCELLED)
    assert run.error == "Cancelled before it started."


def test_a_run_that_was_taken_and_not_begun_is_cancelled_and_says_what_is_safe(
    orders: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after(monkeypatch, alerts, "run_began", signal.SIGINT)

    code, run = ended("backup")

    assert (code, run.status, run.error_code) == (130, Status.CANCELLED, CANCELLED)
    assert run.error.startswith("Stopped at the keyboard. No snapshot was made")
    orders.refresh_from_db()
    assert orders.lease_run is None


@pytest.mark.parametrize(
    ("command", "request_of"), [("backup", BackupRequest), ("preflight", PreflightRequest)]
)
def test_a_run_that_was_just_left_to_the_worker_is_cancelled(
    orders: Database, monkeypatch: pytest.MonkeyPatch, command: str, request_of: type[Request]
) -> None:
    monkeypatch.delenv("RESTIC_PASSWORD")
    for cluster in ("vedetta", "restores"):
        WorkerPulse.objects.create(cluster=cluster, seen_at=timezone.now())
    interrupted_after(monkeypatch, request_of, "submit", signal.SIGINT)

    code, run = ended(command)

    assert (code, run.status) == (130, Status.CANCELLED)


def test_a_ctrl_c_comes_once_what_is_asked_for_is_asked_for() -> None:
    done = []

    with pytest.raises(KeyboardInterrupt), interrupts.held() as let_through:  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        done.append("asked")
        let_through()
        done.append("followed")

    assert done == ["asked"]


def test_it_comes_at_the_end_at_the_latest_and_only_once() -> None:
    done = []

    with pytest.raises(KeyboardInterrupt), interrupts.held():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        done.append("asked")

    assert done == ["asked"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_without_a_signal_all_is_as_before() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    with interrupts.held() as let_through:
        let_through()

    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("where", ["portal.hardening.keep_private", "django.setup"])
def test_a_ctrl_c_while_a_command_loads_ends_it_with_a_sentence(where: str) -> None:
    """It ended in the traceback of whatever was being loaded."""
    module = where.rpartition(".")[0]
    script = f"""
        import sys, {module}
        def impatient(*_, **__): raise KeyboardInterrupt
        {where} = impatient
        from portal.command_line import main
        sys.argv = ["manage.py", *sys.argv[1:]]
        main()
    """

    def stopped(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", textwrap.dedent(script), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    plain, as_json = stopped("backup"), stopped("backup", "--json")

    assert (plain.returncode, plain.stdout) == (130, "")
    assert plain.stderr == "Stopped at the keyboard. Nothing was begun.\n"
    assert as_json.returncode == 130
    assert json.loads(as_json.stdout) == {
        "status": "failed", "error": "Stopped at the keyboard. Nothing was begun.", "error_code": CANCELLED,
    }  # fmt: skip
