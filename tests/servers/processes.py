"""Starting a program, waiting until it answers, and ending it for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tools.ports import HOST

POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 25


class ServerError(Exception):
    """A server did not start, or ended by itself. Carries the end of its log."""


def answers_tcp(port: int) -> bool:
    """Whether something accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def answers_http(url: str) -> bool:
    """Whether an HTTP server answers at this address, be it with an error."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class Server:
    """A program that runs until it is told to stop; also a context manager.

    It gets SIGTERM when the thread that called `start` ends, so that a killed test run leaves
    nothing behind: start servers from the main thread.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        start_seconds: float = 60,
        stop_seconds: float = 30,
    ) -> None:
        self.argv = argv
        self.log = log
        self._ready = ready
        self._env = env
        self._cwd = cwd
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the running process, which leads a process group of its own."""
        if self._process is None:
            raise ServerError(f"{self.name} has not been started.")
        return self._process.pid

    @property
    def name(self) -> str:
        """The program's name, for messages."""
        return Path(self.argv[0]).name

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and return once it answers; raise ServerError with its log when it does not."""
        if self.running:
            raise ServerError(f"{self.name} is running already.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = self._begin(
                ["setpriv", "--pdeathsig", "TERM", "--", *self.argv],
                cwd=self._cwd,
                env={**os.environ, **(self._env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_answer()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it with SIGTERM, and whatever is left of it with SIGKILL. May be called twice."""
        if self._process is None:
            return
        if self.running:
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._stop_seconds)
        self.kill()

    def kill(self) -> None:
        """End it and its children with SIGKILL, as a crash would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def log_text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(errors="replace")

    def _begin(self, argv: list[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, **options)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not self._ready():
            if not self.running:
                raise ServerError(f"{self.name} ended by itself:\n{self._log_end()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} does not answer:\n{self._log_end()}")
            time.sleep(POLL_SECONDS)

    def _log_end(self) -> str:
        return "\n".join(self.log_text().splitlines()[-LOG_LINES_SHOWN:])
