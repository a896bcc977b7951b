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
import gc
import importlib
import json
import os
import platform
import runpy
import socket
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
MOST_BYTES = 200_000


def main() -> None:
    """Serve on the sockets that argument 1 names until they are closed; returns only in forks."""
    asking, asking_for_all = (socket.socket(fileno=int(number)) for number in sys.argv[1].split(","))
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    settings_module = os.environ.pop("DJANGO_SETTINGS_MODULE")
    needed = _told_by_a_fork(lambda: _loaded_by_commands(settings_module))
    for name in _told_by_a_fork(lambda: _loadable(needed)):
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
    gc.set_threshold(20_000, 20, 20)  # as in tests/conftest.py
    while True:
        said, descriptors, _, _ = socket.recv_fds(asking, MOST_BYTES, 3)
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

        if os.environ.get("DJANGO_SETTINGS_MODULE") != self._module or "Q_CLUSTER_NAME" in os.environ:
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
        return True

    def _told(self) -> dict[str, str]:
        module = sys.modules[self._module]
        told = {name: repr(getattr(module, name, None)) for name in self._read | self._written}
        # Of the portal's database only the kind matters before it is opened.
        return {**told, "DATABASES": module.DATABASES["default"]["ENGINE"]}


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
    asking: socket.socket, descriptors: list[int], can_go_on: Callable[[], bool], **command: Any
) -> None:
    """Answer with this fork's process id once it is what it should be, else with what went wrong.

    One that cannot be it has ended with its answer, a minus before its id.
    """
    os.setsid()
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
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
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


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
    runpy.run_path(sys.argv[0], run_name="__main__")
