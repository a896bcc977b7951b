"""An honest client, and how it fares while others hold the server's connections."""

from __future__ import annotations

import http.client
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.slow.clients import connected

PROJECT = Path(__file__).resolve().parents[2]

# What nginx gives the gate for all of its answer (deploy/nginx).
PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.03
_QUIET_SECONDS = 1.5
# Fewer tell nothing of the median.
_LEAST_A_SECOND = 2
MOST_TIMES_QUIET = 3


@dataclass
class Fared:
    """The seconds that each answer took, and what was not answered well, in words."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """In seconds; infinite where nothing was answered."""
        return statistics.median(self.seconds) if self.seconds else float("inf")

    @property
    def worst(self) -> float:
        """In seconds; infinite where nothing was answered."""
        return max(self.seconds, default=float("inf"))

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return len(self.seconds) + len(self.failures)


class _Connection(http.client.HTTPConnection):
    """To a port or to a socket."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock, where = connected(self._address)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(where)
        if self.sock.family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def visits(address: str, path: str, seconds: float) -> Fared:
    """Ask for `path` again and again, with a connection each; anything but 200 within two seconds fails."""
    fared, end = Fared(), time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        try:
            with closing(_Connection(address)) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            if answer.status != 200:
                fared.failures.append(f"status {answer.status}")
            else:
                fared.seconds.append(time.monotonic() - begun)
        except (OSError, http.client.HTTPException) as error:
            fared.failures.append(repr(error))
        time.sleep(_PAUSE_SECONDS)
    return fared


@contextmanager
def attacked(
    address: str, path: str, shapes: Sequence[str] = (), connections: int = 350, form_path: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """While `python -m tests.slow` holds connections to `address`: a process of its own, as it is in life."""
    command = [sys.executable, "-m", "tests.slow", address, *shapes, "--path", path, "--seconds", "3600"]
    command += ["--connections", str(connections), "--form-path", form_path]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as attack:
        try:
            assert attack.stdout
            assert attack.stdout.readline() == "begun\n"
            yield attack
        finally:
            attack.send_signal(signal.SIGTERM)
            attack.wait(20)


@dataclass(frozen=True)
class Door:
    """Where a server is asked, and for what: `address` is host:port or unix:/path.

    `form_path` is where it takes forms, if not there.
    """

    address: str
    path: str
    form_path: str = ""


def goes_on(
    asked: Door, seconds: float, *, attack: Sequence[Door] = (), shapes: Sequence[str] = (), connections: int
) -> None:
    """Assert that who asks honestly is answered while clients hold connections to the doors of `attack`.

    These are dealt out among the doors, or all go to the door asked; `shapes` are all where none is named.
    Each answer has to come, and the median to take at most three times what it takes of the server left
    alone in the same run. What else the machine does falls on one of the two at times, so where the
    median is more, both are measured once more.
    """
    for last in (False, True):
        quiet = visits(asked.address, asked.path, _QUIET_SECONDS)
        assert quiet.failures == []
        fared = _attacked_visits(asked, seconds, attack or [asked], shapes, connections)
        assert fared.failures == [], f"{len(fared.failures)} of {fared.asked}"
        assert fared.asked >= seconds * _LEAST_A_SECOND, f"{fared.asked} answers in {seconds:.0f} s"
        if fared.median <= MOST_TIMES_QUIET * quiet.median:
            return
        assert not last, f"{fared.median:.4f} s, and {quiet.median:.4f} s when left alone"


def _attacked_visits(
    asked: Door, seconds: float, attack: Sequence[Door], shapes: Sequence[str], connections: int
) -> Fared:
    with ExitStack() as attacks:
        for door in attack:
            clients = connections // len(attack)
            attacks.enter_context(attacked(door.address, door.path, shapes, clients, door.form_path))
        return visits(asked.address, asked.path, seconds)
