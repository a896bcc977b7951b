"""A command forked from the warm process is to itself, and to all around it, as a new process is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from backups import process
from backups.notifications import sender
from tests.servers import commands, forks
from tests.servers.commands import start_command

# What a process may know of itself; without imports that would be its own, and without the memory which
# django-q shares with processes to come: multiprocessing takes other memory for it in each process.
LOOK = """
import json, os, resource, socket, sys, tempfile, time
def is_shared_memory(number):
    place = f"/proc/self/fd/{number}"
    return os.path.islink(place) and os.readlink(place).startswith("/dev/shm/pym-")
status = open("/proc/self/status").read()
print(json.dumps({
    "arguments": sys.argv, "path": sys.path, "flags": repr(sys.flags), "folder": os.getcwd(),
    "environment": dict(os.environ), "temporary": tempfile.gettempdir(), "zone": time.tzname,
    "parent": os.getppid(), "leads": [os.getpid() == os.getsid(0) == os.getpgid(0)],
    "descriptors": sorted(
        [each for each in os.listdir("/proc/self/fd") if not is_shared_memory(each)], key=int
    ),
    "signals": [line for line in status.splitlines() if line.startswith("Sig")][1:],
    "mask": oct(os.umask(0)), "limits": resource.getrlimit(resource.RLIMIT_CORE),
    "streams": [
        (each.name, each.encoding, each.errors, each.line_buffering)
        for each in (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    ],
    "known": open("/proc/self/environ").read().rstrip(chr(0)).split(chr(0)),
    "called": open("/proc/self/cmdline").read().rstrip(chr(0)).split(chr(0)),
    "main": sys.modules["__main__"].__file__.rpartition("/")[2],
}))
"""


# What is read while a command loads, by Django itself and by what it loads.
READ_WHILE_LOADING = {"TIME_ZONE": "Asia/Tokyo", "RUNS_AT_ONCE": "7", "MYSQL_QUESTION_SECONDS": "70"}


@pytest.fixture(params=[{}, READ_WHILE_LOADING], ids=["read when needed", "read while loading"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """One that differs from ours in what is easily kept from before."""
    return {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'portal.sqlite3'}",
        "TMPDIR": str(tmp_path),
        "TZ": "Asia/Tokyo",
        "MYSQL_HOST": "elsewhere",
        **request.param,
    }


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_it_knows_of_itself_what_a_new_process_does(environment: dict[str, str]) -> None:
    new, forked = [
        end(start_command(("shell", "--no-imports", "-c", LOOK), environment, real=real))
        for real in (True, False)
    ]

    assert new[0] == 0, new[2]
    assert json.loads(forked[1]) == json.loads(new[1])
    assert forked[2] == new[2]
    assert json.loads(forked[1])["parent"] == os.getpid()


def test_its_settings_are_read_from_its_own_environment(environment: dict[str, str]) -> None:
    look = (
        "from django.conf import settings; from django_q.conf import Conf; from django.db import connection;"
        "from backups.runs.lifecycle import BEAT_LOST; import axes.conf, json, re;"
        "all = {name: getattr(settings, name) for name in dir(settings) if name.isupper()};"
        "told = {name: re.sub(' at 0x[0-9a-f]+', '', repr(value)) for name, value in all.items()};"
        "place = connection.settings_dict['NAME'];"
        "print(json.dumps([Conf.WORKERS, Conf.TIME_ZONE, str(BEAT_LOST), str(place), told]))"
    )

    new, forked = [
        end(start_command(("shell", "--no-imports", "-c", look), environment, real=real))
        for real in (True, False)
    ]

    assert new[0] == 0, new[2]
    assert forked[2] == new[2]
    assert json.loads(forked[1]) == json.loads(new[1])
    *_, place, settings = json.loads(forked[1])
    assert place == environment["DATABASE_URL"].removeprefix("sqlite:///")
    assert settings["MYSQL_HOST"] == "'elsewhere'"


def test_settings_that_cannot_be_used_end_it_with_the_same_words(environment: dict[str, str]) -> None:
    new, forked = [
        end(start_command(("version",), {**environment, "STORAGE_PATIENCE_SECONDS": "soon"}, real=real))
        for real in (True, False)
    ]

    assert new[0] != 0
    assert forked == new


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(3)", 3),
        pytest.param("raise SystemExit('in words')", 1, marks=pytest.mark.soak),
        pytest.param("1 / 0", 1, marks=pytest.mark.soak),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        pytest.param("raise KeyboardInterrupt", 130, marks=pytest.mark.soak),
        pytest.param("import atexit; atexit.register(print, 'at last')", 0, marks=pytest.mark.soak),
    ],
)
def test_it_ends_as_a_new_process_does(environment: dict[str, str], code: str, status: int) -> None:
    new, forked = [
        end(start_command(("shell", "--no-imports", "-c", code), environment, real=real))
        for real in (True, False)
    ]

    assert forked[0] == new[0] == status
    assert forked[1] == new[1]
    assert forked[2].splitlines()[-1:] == new[2].splitlines()[-1:]


def test_where_none_answers_it_is_a_new_process_and_the_next_asks_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A fork that died before it answered was waited for as long as the tests lasted."""
    pairs: list[tuple[socket.socket, socket.socket]] = []

    def dies(its: socket.socket) -> None:
        for descriptor in socket.recv_fds(its, forks.MOST_BYTES, forks.MOST_FILES)[1]:
            os.close(descriptor)

    def started() -> list[socket.socket]:
        pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        threading.Thread(target=dies, args=[pairs[-1][1]]).start()
        return [pairs[-1][0]]

    monkeypatch.setattr(forks, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(commands, "_WARM", forks.Forks(started))
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'portal.sqlite3'}"}
    told = [end(start_command(("version",), environment)) for _ in range(2)]

    assert [status for status, _, _ in told] == [0, 0]
    assert [ours.fileno() for ours, _ in pairs] == [-1, -1]
    for _, its in pairs:
        its.close()


def test_a_descriptor_may_have_the_number_of_the_socket_that_it_is_asked_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its answer went to what was in the socket's place, and whoever had asked waited for ever."""
    started: list[int] = []

    def start() -> list[socket.socket]:
        started.append(1)
        return commands._started_with(sockets=1)

    monkeypatch.setattr(commands, "_WARM_FOR_MESSAGES", forks.Forks(start))
    monkeypatch.setattr(forks, "ANSWER_SECONDS", 20.0)
    with ExitStack() as held:
        for _ in range(10):  # each under the next number that is free, of which the socket's is one
            order = process.secret_fd(sender.question(["json://localhost", "nonsense"]))
            held.callback(os.close, order)
            words = [sys.executable, "-m", "backups.notifications.sender", str(order)]
            environment = {**process.base_environment(), "PYTHONPATH": str(commands.PROJECT)}
            said = process.run(process.Program(words, environment, pass_fds=[order]), deadline=60)
            assert said.stdout == b"1\n"
    assert started == [1]
