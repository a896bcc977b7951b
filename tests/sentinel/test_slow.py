"""Hundreds of clients that are slow, silent or talk nonsense: the gate goes on answering who asks it."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sentinel.conftest import StatusFolder, gate_environment, gunicorn, running, wait_until
from tests.sentinel.test_process import DEPLOY, backend, in_front_of
from tests.slow import honest
from tests.slow.clients import SHAPES
from tests.slow.honest import Door
from tools.ports import free_port

OK = "/sentinel/ok"
DOORS = ("port", "socket", "nginx")


@dataclass(frozen=True)
class Gate:
    """The gate as it is shipped, on a port and on a socket, and nginx before it."""

    doors: dict[str, Door]
    pid: int
    log: Path

    def goes_on(self, door: str, seconds: float, connections: int = 350, *shapes: str) -> None:
        """Through nginx both are attacked: nginx as visitors do, the gate as a neighbour does."""
        attack = [self.doors["nginx"], self.doors["port"]] if door == "nginx" else [self.doors[door]]
        honest.goes_on(self.doors[door], seconds, attack=attack, shapes=shapes, connections=connections)


@contextmanager
def gate(folder: Path, files: int = 20000, **more: str) -> Iterator[Gate]:
    """`files` is how many the process may have open."""
    status = StatusFolder(folder / "status" / "last_ok")
    status.backed_up(10)
    port, path, log = free_port(), folder / "socket", folder / "gate.log"
    bind = f"unix:{path},127.0.0.1:{port}"
    environment = gate_environment(status.heartbeat, SENTINEL_BIND=bind, **more)
    limit = ["prlimit", f"--nofile={min(files, 1024)}:{files}", "--"]
    command = [*limit, *gunicorn("--error-logfile", str(log)), "sentinel.wsgi"]
    with ExitStack() as servers:
        process = servers.enter_context(running(command, port, environment))
        application = servers.enter_context(backend("application"))
        places = {"127.0.0.1:3000": f"127.0.0.1:{application}", "127.0.0.1:8001": f"127.0.0.1:{port}"}
        http = servers.enter_context(in_front_of(folder, places, DEPLOY))
        doors = {
            "port": Door(f"127.0.0.1:{port}", OK),
            "socket": Door(f"unix:{path}", OK),
            "nginx": Door(f"127.0.0.1:{http}", "/orders"),
        }
        yield Gate(doors, process.pid, log)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("gate")) as made:
        yield made


@pytest.mark.parametrize(
    "door", ["port", *(pytest.param(each, marks=pytest.mark.soak) for each in ("socket", "nginx"))]
)
def test_slow_clients_take_nothing_from_who_asks(shipped: Gate, door: str) -> None:
    shipped.goes_on(door, seconds=5)


@pytest.mark.soak
@pytest.mark.parametrize("door", DOORS)
def test_nor_do_they_in_a_minute(shipped: Gate, door: str) -> None:
    shipped.goes_on(door, 60, 700)


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_nor_do_they_when_all_are_of_one_shape(shipped: Gate, shape: str) -> None:
    shipped.goes_on("port", 10, 700, shape)


@pytest.mark.parametrize(
    "room",
    [
        pytest.param({"GUNICORN_CMD_ARGS": "--threads 20"}, marks=pytest.mark.soak, id="threads"),
        pytest.param({"files": 560}, id="connections"),
    ],
)
def test_more_of_them_than_there_is_room_for_wait_for_each_other(tmp_path: Path, room: Any) -> None:
    """Who kept others waiting is let go, and each of those soon has its turn."""
    with gate(tmp_path, **room) as little:
        door = little.doors["port"]
        with honest.attacked(door.address, door.path, ["half-open", "body", "idle"], 120):
            time.sleep(3)
            assert honest.visits(door.address, door.path, 2).failures == []


def test_it_ends_when_it_is_told_to_and_fills_no_log(tmp_path: Path) -> None:
    with gate(tmp_path) as attacked:
        door = attacked.doors["port"]
        with honest.attacked(door.address, door.path, ["half-open", "head", "body", "unread", "lingering"]):
            time.sleep(1)
            os.kill(attacked.pid, signal.SIGTERM)
            wait_until(lambda: not _lives(attacked.pid), seconds=10)
        said = attacked.log.read_text()
    assert "Traceback" not in said
    assert len(re.findall("WARNING|ERROR", said)) < 5, said


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"


def test_a_body_that_comes_too_late_is_no_further_request(shipped: Gate) -> None:
    """Its length was announced, so it belongs to the request that was answered without it."""
    late = b"GET /sentinel/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    host, port = shipped.doors["port"].address.split(":")
    with socket.create_connection((host, int(port)), timeout=8) as client:
        client.sendall(
            f"POST {OK} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(late)}\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"method not allowed"):  # it may come in two packets
            more = client.recv(65536)
            assert more, answer
            answer += more
        assert answer.startswith(b"HTTP/1.1 405")
        time.sleep(5.5)
        with suppress(OSError):
            client.sendall(late)
        assert _all_of(client) == b""


def _all_of(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""
