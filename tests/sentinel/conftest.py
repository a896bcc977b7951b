"""A status folder of one's own, and the real processes in front of it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
import pytest

from sentinel import heartbeat
from tools.ports import free_port

# The portal's settings where the whole suite runs, else our own: the tests hold under both.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sentinel.settings")
django.setup()

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class StatusFolder:
    """The files beside a heartbeat, written in words."""

    heartbeat: Path

    def ago(self, seconds: float) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=seconds)

    def backed_up(self, seconds_ago: float, database: str | None = None) -> None:
        path = heartbeat.last_ok_path(self.heartbeat, database)
        heartbeat.stamp_write(path, self.ago(seconds_ago))

    def verified(self, seconds_ago: float, database: str | None = None) -> None:
        path = heartbeat.last_verified_path(self.heartbeat, database)
        heartbeat.stamp_write(path, self.ago(seconds_ago))

    def logged(self, seconds_ago: float, database: str | None = None) -> None:
        path = heartbeat.last_logged_path(self.heartbeat, database)
        heartbeat.stamp_write(path, self.ago(seconds_ago))

    def first_started(self, seconds_ago: float) -> None:
        heartbeat.stamp_write(heartbeat.first_boot_path(self.heartbeat), self.ago(seconds_ago))

    def kept_open(self, for_seconds: float = 3600) -> None:
        override = heartbeat.Override(self.ago(-for_seconds), "anna", "moving the repository")
        heartbeat.override_write(self.heartbeat, override)

    def gated_by(self, first: str, *further: str, logged: Collection[str] = ()) -> None:
        gates = [heartbeat.gate_for(self.heartbeat, first, first=True)]
        gates += [heartbeat.gate_for(self.heartbeat, name, first=False) for name in further]
        heartbeat.gates_write(
            self.heartbeat, [replace(each, is_logged=each.name in logged) for each in gates]
        )


@pytest.fixture
def folder(tmp_path: Path) -> StatusFolder:
    return StatusFolder(tmp_path / "status" / "last_ok")


@dataclass(frozen=True)
class Answer:
    code: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def ask(
    port: int, path: str = "/sentinel/ok", method: str = "GET", headers: dict[str, str] | None = None
) -> Answer:
    """One real request, redirects and proxies of the environment left aside."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(), dict(response.headers))


@contextmanager
def running(
    command: list[str], port: int, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that listens on `port`; ended, and its children with it, at the end."""
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        wait_until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def gate_environment(heartbeat_path: Path, **more: str) -> dict[str, str]:
    """The machine's environment with none of our settings but those given.

    Set empty instead of left out, which hides what a developer's own .env says.
    """
    ours = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "MYSQL_DATABASE": "",
        "SENTINEL_THRESHOLD_SECONDS": "",
        "SENTINEL_BOOT_GRACE_SECONDS": "",
        "SENTINEL_VERIFIED_THRESHOLD_SECONDS": "",
        "SENTINEL_LOG_THRESHOLD_SECONDS": "",
        "SENTINEL_HEARTBEAT_PATH": str(heartbeat_path),
    }
    return {**os.environ, **ours, **more}


def gunicorn(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-c", "sentinel/gunicorn.conf.py", *arguments]


@contextmanager
def gate_process(folder: StatusFolder, **more: str) -> Iterator[tuple[int, int]]:
    """The stand-alone gate; gives its port and the process id of its master."""
    port = free_port()
    environment = gate_environment(folder.heartbeat, SENTINEL_BIND=f"127.0.0.1:{port}", **more)
    with running(gunicorn("sentinel.wsgi"), port, environment) as process:
        yield port, process.pid
