"""Starting `manage.py` commands, each in a process of its own, most of them forked from a warm one."""

from __future__ import annotations

import atexit
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
# Where a fork writes what it is called and what its environment is, see `warm`.
_ROOM = {"arguments": 8_000, "environment": 64_000}
_MOST_BYTES = 200_000
# What the interpreter or the dynamic linker reads before anything can be handed over.
_READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")


def start_command(
    arguments: tuple[str, ...], environment: Mapping[str, str], *, real: bool = False
) -> subprocess.Popen[str]:
    """Start `manage.py` with these arguments, in a session of its own, its output to be read from pipes.

    With `real` it is a new process, as an operator's is; else the fork of one that has loaded its
    libraries already.
    """
    kind = subprocess.Popen if real or _differ_at_the_start(environment) else _Forked
    return kind(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _differ_at_the_start(environment: Mapping[str, str]) -> bool:
    names = {name for name in (*environment, *os.environ) if name.startswith(_READ_AT_THE_START)}
    return any(environment.get(name) != os.environ.get(name) for name in names)


class _Warm:
    """The warm process of this one, started when first asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: socket.socket | None = None

    def fork(self, arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> int:
        """The id of a child of ours that has become the command; `files` are its first three."""
        asked = {"arguments": arguments, "folder": folder, "environment": environment}
        with self._lock:
            if self._ours is None:
                self._ours = self._started()
            socket.send_fds(self._ours, [json.dumps(asked).encode()], files)
            answer = self._ours.recv(_MOST_BYTES).decode()
        if not answer.isdecimal():
            raise RuntimeError(f"the warm process became no command:\n{answer}")
        return int(answer)

    def _started(self) -> socket.socket:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [
                sys.executable,
                Path(__file__).with_name("warm.py"),
                str(its.fileno()),
                "-" * _ROOM["arguments"],
            ],
            env={**os.environ, "ROOM": "-" * _ROOM["environment"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
        its.close()

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        return ours


_WARM = _Warm()


class _Forked(subprocess.Popen[str]):
    """A child like any other; only how it comes to be differs."""

    def _execute_child(self, *given: Any) -> None:
        bound = inspect.signature(subprocess.Popen._execute_child).bind(self, *given)  # type: ignore[attr-defined]
        its = bound.arguments
        ends = [its[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        _, *arguments = its["args"]
        self.pid = _WARM.fork(arguments, str(its["cwd"]), dict(its["env"]), [ends[0], ends[3], ends[5]])
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]
