"""A process that has loaded what a `manage.py` command loads, and becomes one: a fork per command.

Python and its libraries take nearly a second to load, which is most of what a short command costs.
Here they are loaded once, but for what reads the settings: a fork reads those from the environment
that it is given, as a new process does. Asked by `tests.servers.commands`, which see.

A second process has loaded all of it, with the tests' own settings, of which it knows which ones were
read meanwhile. A fork of it takes the settings anew as well, and goes on where these are the same.

A fork is the asker's own child and has its descriptors, folder, environment, session and exit status;
`/proc/PID/cmdline` and `environ` tell of it what they would tell of a new process.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib.util
import itertools
import json
import os
import platform
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

CLONE_PARENT = 0x8000  # linux/sched.h
SIGCHLD = 17
SYS_CLONE = {"x86_64": 56, "aarch64": 220}  # asm/unistd.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What a worker begins, which is forked for it as it was.
OF_A_WORKER = ("qcluster", "archive_logs")


def main() -> None:
    """Serve on the sockets that argument 1 names until they are closed; returns only in forks.

    Without any, write the names of what commands can load before there are settings into the file of
    argument 2, from which those that serve commands take them.
    """
    sockets = [socket.socket(fileno=int(number)) for number in sys.argv[1].split(",") if number]
    importlib.import_module("forks")  # which lies beside this
    # Next to nothing of what is loaded is garbage; what is, goes before anything is served.
    gc.disable()
    file = Path(sys.argv[2])
    if len(sockets) == 2:
        _serve_commands(sockets[0], sockets[1], file)
    elif sockets:
        _serve_messages(*sockets)
    else:
        _list_loadable(file)


def _serve_messages(asking: socket.socket) -> None:
    """Serve forks that become the programs which send messages: what these load takes most of their time."""
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    for name in ("backups.notifications.posting", "concurrent.futures.thread", "smtplib"):
        importlib.import_module(name)
    # Which loads what it knows of services, with the first of them.
    importlib.import_module("apprise").Apprise().add("json://localhost")
    _serve(asking, lambda: True)


def _list_loadable(file: Path) -> None:
    """Loads everything twice over, so one process does it for all; both leave traces."""
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    settings_module = os.environ.pop("DJANGO_SETTINGS_MODULE")
    needed = _told_by_a_fork(lambda: _loaded_by_commands(settings_module))
    file.write_text(json.dumps(_loadable(needed)))
    os._exit(0)


def _serve_commands(asking: socket.socket, asking_for_all: socket.socket, loadable: Path) -> None:
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    settings_module = os.environ.pop("DJANGO_SETTINGS_MODULE")
    for name in json.loads(loadable.read_text()):
        importlib.import_module(name)
    from django.conf import settings

    assert not settings.configured
    assert "portal.settings" not in sys.modules
    if _fork_beside() == 0:
        asking.close()
        _serve(asking_for_all, _all_loaded(settings_module).taken_anew)
    else:
        asking_for_all.close()
        _serve(asking, lambda: True)


def _serve(asking: socket.socket, can_go_on: Callable[[], bool]) -> None:
    assert tempfile.tempdir is None, "TMPDIR would be heeded no more"
    gc.collect()
    gc.freeze()  # what is never looked at again stays shared
    gc.enable()
    gc.set_threshold(20_000, 20, 20)  # as in tests/conftest.py
    forks = sys.modules["forks"]
    while True:
        said, descriptors, _, _ = socket.recv_fds(asking, forks.MOST_BYTES, forks.MOST_FILES)
        if not said:
            os._exit(0)
        if _fork_beside() == 0:
            _become(asking, descriptors, can_go_on, **json.loads(said))
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _loaded_by_commands(settings_module: str) -> list[str]:
    """All modules that commands load, first those that load others: of two that load each other
    only one can come first.
    """
    _load_all(settings_module)
    # A module is listed once it is complete.
    return [name for name in reversed(sys.modules) if name not in ("__main__", settings_module)]


def _load_all(settings_module: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    import django
    from django.core.management import get_commands, load_command_class

    django.setup()
    importlib.import_module("portal.urls")
    for command, app in get_commands().items():
        if app == "backups":
            load_command_class(app, command)
    # What plays runs is loaded by the first of a command, and at once by a worker.
    importlib.import_module("backups.worker.executor").load()


class _Settings:
    """Those with which all was loaded."""

    def __init__(self, module: str, read: set[str], written: set[str]) -> None:
        self._module = module
        self._read = read
        self._written = written
        self._found = self._told()

    def taken_anew(self) -> bool:
        """Take the settings of this environment; False where what is loaded would be otherwise with it."""
        from django.conf import Settings, settings
        from django.db import connections

        if os.environ.get("DJANGO_SETTINGS_MODULE") != self._module:
            return False
        del sys.modules[self._module]
        try:
            importlib.import_module(self._module)
            if self._told() != self._found:
                return False
            taken = Settings(self._module)
        except Exception:  # noqa: BLE001  what is wrong with it is told by who loads it as a command does
            return False
        for name in self._written:
            setattr(taken, name, getattr(settings, name))
        settings._wrapped = taken
        vars(connections).pop("settings")
        connections.__init__()  # type: ignore[misc]
        assert connections.settings  # which fills in what DATABASES leaves out
        _take_cluster_anew()
        return True

    def _told(self) -> dict[str, str]:
        module = sys.modules[self._module]
        told = {name: repr(getattr(module, name, None)) for name in self._read | self._written}
        # Of the portal's database only the kind matters before it is opened.
        return {**told, "DATABASES": module.DATABASES["default"]["ENGINE"]}


def _take_cluster_anew() -> None:
    """Have the queue know which of its clusters this process is, as the environment has it."""
    if "Q_CLUSTER_NAME" not in os.environ:
        return
    known = sys.modules["django_q.conf"]
    assert known.__spec__ is not None
    assert known.__spec__.loader is not None
    taken = importlib.util.module_from_spec(known.__spec__)
    known.__spec__.loader.exec_module(taken)
    for name, value in vars(taken.Conf).items():
        if not name.startswith("__"):
            setattr(known.Conf, name, value)


def _all_loaded(settings_module: str) -> _Settings:
    """Load all that commands load, with the settings of the environment as it is."""
    from django.conf import LazySettings

    read: set[str] = set()
    written: set[str] = set()
    get, put = LazySettings.__getattr__, LazySettings.__setattr__

    def noted_get(self: LazySettings, name: str) -> Any:
        read.add(name)
        return get(self, name)

    def noted_put(self: LazySettings, name: str, value: Any) -> None:
        if name != "_wrapped":
            written.add(name)
        put(self, name, value)

    LazySettings.__getattr__, LazySettings.__setattr__ = noted_get, noted_put  # type: ignore[assignment, method-assign]
    _load_all(settings_module)
    LazySettings.__getattr__, LazySettings.__setattr__ = get, put  # type: ignore[method-assign]
    return _Settings(settings_module, {name for name in read if name.isupper()}, written)


def _loadable(names: list[str]) -> list[str]:
    """Those that can be loaded without settings."""
    for name in names:
        # Whatever a module raises that is loaded too early, it will be loaded in time by the command.
        with suppress(Exception):
            importlib.import_module(name)
    return [name for name in names if all(each in sys.modules for each in _with_packages(name))]


def _with_packages(name: str) -> list[str]:
    """A module and the packages that it lies in; one of those may fail after what it holds was loaded."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _told_by_a_fork(tell: Callable[[], list[str]]) -> list[str]:
    """What a function answers that leaves traces in its process."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps(tell()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        told: list[str] = json.loads(file.read())
    os.wait()
    return told


def _fork_beside() -> int:
    """Fork a child of our parent, which alone can wait for it. As os.fork, which has no such flag."""
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    # PyDLL keeps Python's lock, as a fork must.
    pid: int = ctypes.PyDLL(None).syscall(SYS_CLONE[platform.machine()], CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    assert pid >= 0
    return pid


def _become(
    asking: socket.socket,
    descriptors: list[int],
    can_go_on: Callable[[], bool],
    *,
    numbers: list[int],
    dies_with_parent: bool,
    **command: Any,
) -> None:
    """Answer with this fork's process id once it is what it should be, else with what went wrong.

    One that cannot be it has ended with its answer, a minus before its id.
    """
    os.setsid()
    if dies_with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # One of the numbers may be that of the socket, which would have no answer go through it.
    asking = socket.socket(fileno=fcntl.fcntl(asking.detach(), fcntl.F_DUPFD, max(numbers) + 1))
    try:
        _renumber(descriptors, numbers)
        _open_streams()
        _take_over(**command)
        if not can_go_on():
            asking.send(str(-os.getpid()).encode())
            os._exit(0)
    except Exception:  # noqa: BLE001  whoever asked waits for an answer
        asking.send(traceback.format_exc().encode())
        os._exit(1)
    asking.send(str(os.getpid()).encode())
    asking.detach()
    for first, last in itertools.pairwise([*numbers, os.sysconf("SC_OPEN_MAX")]):
        os.closerange(first + 1, last)
    if sys.argv[1:2] == ["worker"]:
        _fork_for_a_worker(can_go_on)


def _fork_for_a_worker(can_go_on: Callable[[], bool]) -> None:
    """Have a process beside the worker that is what this one is now, of which its clusters are forks.

    It ends with the worker. Where it was killed, they are processes of their own.
    """
    forks: Any = sys.modules["forks"]
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        os.setsid()  # a signal to the worker's group is not for it
        ours.close()
        for number in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        # It is none of the portal's own processes.
        _show("arguments", ["warm"])
        _show("environment", [])
        _serve(its, can_go_on)
        return  # as a fork of it
    its.close()
    execute, warm = subprocess.Popen._execute_child, forks.Forks(lambda: [ours])  # type: ignore[attr-defined]

    def execute_child(popen: subprocess.Popen[Any], *given: Any) -> None:
        words, _ = forks.without_setpriv(given[0] if isinstance(given[0], list) else [])
        if words[:1] == [sys.executable] and words[2:] and words[2] in OF_A_WORKER:
            with suppress(OSError):
                forks.execute_by_fork(popen, warm, given)
                return
        execute(popen, *given)

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]


def _renumber(descriptors: list[int], numbers: list[int]) -> None:
    """Have each descriptor under its own number, in whose place another of them may be."""
    away = [fcntl.fcntl(each, fcntl.F_DUPFD, max(numbers) + 1) for each in descriptors]
    for each, number in zip(away, numbers, strict=True):
        os.dup2(each, number)


def _open_streams() -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        stream = open(  # noqa: SIM115  as long as the process is
            number, before.mode, 1 if before.line_buffering else -1, before.encoding, before.errors,
            closefd=False,
        )  # fmt: skip
        stream.buffer.raw.name = before.name
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _take_over(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = arguments
    sys.path[0] = folder
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [place for place in given if place and place not in sys.path]
    _show("arguments", [sys.executable, *arguments])
    _show("environment", [f"{name}={value}" for name, value in environment.items()])


def _show(what: str, words: list[str]) -> None:
    """Write over what the kernel shows of this process; see proc_pid_stat(5) for where that lies."""
    fields: list[Any] = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    first = 45 if what == "arguments" else 47
    begin, end = int(fields[first]), int(fields[first + 1])
    text = b"".join(os.fsencode(word) + b"\0" for word in words)
    assert len(text) < end - begin, f"there is no room for so many {what}: start it as a process of its own"
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, len(text))


if __name__ == "__main__":
    main()
    # At the very top, so that an exit or a Ctrl-C ends this process as it would any other.
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
