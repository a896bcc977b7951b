"""Asking a warm process for a fork of it that becomes a program; `warm` imports this as well."""

from __future__ import annotations

import inspect
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MOST_BYTES = 200_000
MOST_FILES = 16
# It answers within a tenth of a second where the machine has nothing else to do. A fork that dies before it
# has answered would be waited for as long as the tests last.
ANSWER_SECONDS = 60.0
# As backups.process and tests.servers.processes have the kernel end what they start with themselves.
_WITH_PARENT = ("--pdeathsig", "TERM", "--")
# Standard input, output and errors, as subprocess names the ends that a child gets.
_ENDS = ("p2cread", "c2pwrite", "errwrite")
# Looked at before any is put in its place.
_GIVEN = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
_ALL_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


class Forks:
    """Sockets of warm processes whose forks are children of this process; the first that can is taken."""

    def __init__(self, started: Callable[[], list[socket.socket]]) -> None:
        self._lock = threading.Lock()
        self._started = started
        self._ours: list[socket.socket] = []

    def fork(self, asked: dict[str, Any], files: Sequence[int]) -> int:
        """The id of a child of ours that has become what was asked for; `files` are for asked["numbers"].

        Raises OSError where no warm process lives or answers, RuntimeError where none could become it.
        """
        with self._lock:
            self._ours = self._ours or self._started()
            try:
                return self._asked(json.dumps(asked).encode(), files)
            except OSError:
                # A late answer would be taken for the next one's.
                for warm in self._ours:
                    warm.close()
                self._ours = []
                raise

    def _asked(self, said: bytes, files: Sequence[int]) -> int:
        for warm in self._ours:
            warm.settimeout(ANSWER_SECONDS)
            socket.send_fds(warm, [said], files)
            answer = warm.recv(MOST_BYTES).decode()
            if not answer:
                raise ConnectionError("the warm process has ended")
            if not answer.removeprefix("-").isdecimal():
                raise RuntimeError(f"the warm process became no command:\n{answer}")
            if (pid := int(answer)) > 0:
                return pid
            os.waitpid(-pid, 0)
        raise RuntimeError("no warm process could become the command")


def execute_by_fork(popen: subprocess.Popen[Any], forks: Forks, given: tuple[Any, ...]) -> None:
    """What `_execute_child` of a Popen does, which gave it these arguments: its first words are Python's."""
    its = _GIVEN.bind(popen, *given).arguments
    words, dies_with_parent = without_setpriv(its["args"])
    passed = sorted(its["pass_fds"])
    asked = {
        "arguments": words[1:],
        "folder": str(its["cwd"] or Path.cwd()),
        "environment": dict(its["env"]),
        "dies_with_parent": dies_with_parent,
        "numbers": [*range(len(_ENDS)), *passed],
    }
    # Where no file was given it has ours.
    files = [its[name] if its[name] != -1 else number for number, name in enumerate(_ENDS)]
    popen.pid = forks.fork(asked, [*files, *passed])
    popen._child_created = True  # type: ignore[attr-defined]
    popen._close_pipe_fds(*(its[name] for name in _ALL_ENDS))  # type: ignore[attr-defined]


def without_setpriv(args: Sequence[Any]) -> tuple[list[str], bool]:
    """The words of a command after `setpriv` and its options, and whether these were there."""
    words = [str(word) for word in args]
    if tuple(words[1:4]) == _WITH_PARENT:
        return words[4:], True
    return words, False
