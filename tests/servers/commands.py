"""Starting `manage.py` commands, each in a process of its own, most of them forked from a warm one."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers import forks
from tests.servers.made_once import made_once
from tests.servers.processes import Server

PROJECT = Path(__file__).resolve().parents[2]
_WARM_PROGRAM = Path(__file__).with_name("warm.py")
# Where a fork writes what it is called and what its environment is, see `warm`.
_ROOM = {"arguments": 8_000, "environment": 64_000}
# What the interpreter or the dynamic linker reads before anything can be handed over.
_READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
_MESSENGERS = ("backups.notifications.sender", "backups.notifications.courier")


def start_command(
    arguments: tuple[str, ...], environment: Mapping[str, str], *, real: bool = False
) -> subprocess.Popen[str]:
    """Start `manage.py` with these arguments, in a session of its own, its output to be read from pipes.

    With `real` it is a new process, as an operator's is; else the fork of one that has loaded its
    libraries already. Where none of these answers, it is a new process as well.
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


class CommandServer(Server):
    """A `manage.py` command or gunicorn that serves until it is told to stop: a fork of what is loaded.

    What a worker begins is forked as well, where `warm` knows it.
    """

    def _begin(self, argv: list[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        if _differ_at_the_start(options["env"]):
            return super()._begin(argv, **options)
        return _ForkedServer(argv, **options)


def fork_messengers() -> None:
    """From here on, the programs with which this process sends messages are forked as well."""
    execute = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def execute_child(popen: subprocess.Popen[Any], *given: Any) -> None:
        words, _ = forks.without_setpriv(given[0] if isinstance(given[0], list) else [])
        if words[:2] == [sys.executable, "-m"] and words[2] in _MESSENGERS:
            with suppress(OSError):
                forks.execute_by_fork(popen, _WARM_FOR_MESSAGES, given)
                return
        execute(popen, *given)

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]


def _start_warm() -> list[socket.socket]:
    """The warm processes of this one; that which has loaded all comes first."""
    return [*reversed(_started_with(sockets=2, loadable=made_once("loadable.json", _list_loadable)))]


def _list_loadable(file: Path) -> None:
    if subprocess.run([sys.executable, _WARM_PROGRAM, "", file], check=False).returncode:
        # As where a warm process does not live: a test's environment may be one with which nothing loads.
        raise ConnectionError("what commands load cannot be listed")


def _started_with(sockets: int, loadable: Path | str = "") -> list[socket.socket]:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(sockets)]
    ours, its = ([pair[side] for pair in pairs] for side in (0, 1))
    numbers = [each.fileno() for each in its]
    process = subprocess.Popen(
        [
            sys.executable,
            _WARM_PROGRAM,
            ",".join(map(str, numbers)),
            loadable,
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
    return list(ours)


_WARM = forks.Forks(_start_warm)
_WARM_FOR_MESSAGES = forks.Forks(lambda: _started_with(sockets=1))


class _Forked(subprocess.Popen[str]):
    """A child like any other; only how it comes to be differs."""

    def _execute_child(self, *given: Any) -> None:
        with suppress(OSError):
            forks.execute_by_fork(self, _WARM, given)
            return
        super()._execute_child(*given)  # type: ignore[misc]


class _ForkedServer(subprocess.Popen[bytes]):
    """As `_Forked`."""

    def _execute_child(self, *given: Any) -> None:
        with suppress(OSError):
            forks.execute_by_fork(self, _WARM, given)
            return
        super()._execute_child(*given)  # type: ignore[misc]
