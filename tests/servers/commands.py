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
    """The warm processes of this one, started when first asked; the one that has loaded all comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: list[socket.socket] = []

    def fork(self, arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> int:
        """The id of a child of ours that has become the command; `files` are its first three."""
        asked = json.dumps({"arguments": arguments, "folder": folder, "environment": environment}).encode()
        with self._lock:
            for warm in self._ours or self._started():
                socket.send_fds(warm, [asked], files)
                answer = warm.recv(_MOST_BYTES).decode()
                if not answer.removeprefix("-").isdecimal():
                    raise RuntimeError(f"the warm process became no command:\n{answer}")
                if (pid := int(answer)) > 0:
                    return pid
                os.waitpid(-pid, 0)
        raise RuntimeError("no warm process could become the command")

    def _started(self) -> list[socket.socket]:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        ours, its = ([pair[side] for pair in pairs] for side in (0, 1))
        numbers = [each.fileno() for each in its]
        process = subprocess.Popen(
            [
                sys.executable,
                Path(__file__).with_name("warm.py"),
                ",".join(map(str, numbers)),
                "-" * _ROOM["arguments"],
            ],
            env={**os.environ, "ROOM": "-" * _ROOM["environment"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=numbers,
            start_new_session=True,
        )
        for each in its:
            each.close()

        def end() -> None:
            for each in ours:
                each.close()
            process.wait()

        atexit.register(end)
        self._ours = [*reversed(ours)]
        return self._ours


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
