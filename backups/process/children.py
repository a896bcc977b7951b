"""The only module that starts other programs.

Each runs in a process group of its own and is ended, with all that it started, when the block
that started it is left, for whatever reason. None inherits this process's environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from backups.process import orphans
from backups.process.endings import NotInstalled
from backups.process.output import READ_BYTES, TAIL_LINES, Heeded, Lines
from backups.process.waiting import TICK_SECONDS, Tick

# restic needs a moment after SIGTERM to take its lock away; a cancel has five seconds in all.
GRACE_SECONDS = 3.0
# Whoever heeds the lines may ask a server about each.
_LAST_WORDS_SECONDS = 300.0
PIPE = subprocess.PIPE
# For programs whose output is ours.
OUR_STDOUT, OUR_STDERR = 1, 2


class Program(NamedTuple):
    """A program as it is to be started, and all that it gets from us.

    It sees no other environment than `env`, inherits no other descriptors than `pass_fds`, and runs in
    `folder`, or else where we do. `most_memory` is in bytes, for its data. Without a group of its own
    it is ended alone.
    """

    args: Sequence[str]
    env: Mapping[str, str]
    pass_fds: Sequence[int] = ()
    folder: str | None = None
    most_memory: int | None = None
    own_group: bool = True


def _unnamed_file() -> IO[bytes]:
    # Not for a dump program, which is heeded.
    import tempfile

    return tempfile.TemporaryFile()


class Child:
    """A running program; `stderr` goes to an unnamed file of which the end is kept.

    With `heed`, each line goes there as it comes, and those that it takes are not kept.
    """

    def __init__(
        self,
        program: Program,
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = None,
        heed: Callable[[str], bool] | None = None,
    ) -> None:
        self.args = tuple(program.args)
        self._heeded = Heeded(heed) if heed else None
        if self._heeded is not None:
            stderr = self._heeded.for_program
        self._stderr_file = _unnamed_file() if stderr is None else None
        self._own_group = program.own_group
        self._is_stopped = False
        try:
            with orphans.starting:
                self._popen = subprocess.Popen(
                    [*_die_with_parent(), *_with_memory(program.most_memory), *program.args],
                    env=dict(program.env),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=self._stderr_file or stderr,
                    pass_fds=program.pass_fds,
                    start_new_session=program.own_group,
                    cwd=program.folder,
                )
                orphans.own.add(self._popen.pid)
        except FileNotFoundError:
            raise NotInstalled(self.program) from None
        finally:
            if self._heeded is not None:
                self._heeded.begin()

    @property
    def program(self) -> str:
        """The program's short name, for sentences."""
        return Path(self.args[0]).name

    @property
    def pid(self) -> int:
        """The process id, which is also its group's where it has its own."""
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        """The writing end of the child's standard input, where PIPE was asked for."""
        assert self._popen.stdin is not None  # noqa: S101
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The reading end of the child's standard output, where PIPE was asked for."""
        assert self._popen.stdout is not None  # noqa: S101
        return self._popen.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """The reading end of the child's standard error, where PIPE was asked for."""
        assert self._popen.stderr is not None  # noqa: S101
        return self._popen.stderr

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._popen.poll()

    def wait(self, tick: Tick | None = None) -> int:
        """Wait for the end, calling `tick` several times a second; returns the exit status."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self._popen.wait(timeout=TICK_SECONDS)
            if tick:
                tick()

    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines of standard error so far; of a program that has ended, of all it wrote."""
        if self._heeded is not None:
            return self._heeded.tail(wait=_LAST_WORDS_SECONDS if self.poll() is not None else 0)
        if self._stderr_file is None:
            return ()
        fd = self._stderr_file.fileno()
        size = os.fstat(fd).st_size
        raw = os.pread(fd, READ_BYTES, max(0, size - READ_BYTES))
        return tuple(raw.decode(errors="replace").splitlines()[-TAIL_LINES:])

    def stderr_from(self, position: int) -> bytes:
        """What standard error holds from a byte on, at most 64 KiB of it."""
        return os.pread(self._stderr_file.fileno(), READ_BYTES, position) if self._stderr_file else b""

    def terminate(self) -> None:
        """SIGTERM to the program alone, not to what it started."""
        self._popen.terminate()

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM, then after `grace` seconds SIGKILL, to all that is left of its group.

        Once: later on, the group's number may be somebody else's.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._popen.poll() is None:
            self._popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=grace)
        if self._own_group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        # Also where it has left its group, else it would be waited for as long as it likes.
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        orphans.own.discard(self._popen.pid)

    def close(self) -> None:
        """Close this side of the pipes."""
        if self._heeded is not None:
            self._heeded.tail(wait=GRACE_SECONDS)
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr, self._stderr_file):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


class NewLines:
    """The lines that a running program writes to standard error, as they come."""

    def __init__(self, running: Child) -> None:
        self._running = running
        self._position = 0
        self._found: list[str] = []
        self._lines = Lines(self._found.append)

    def read(self) -> list[str]:
        """The lines since the last call."""
        while data := self._running.stderr_from(self._position):
            self._position += len(data)
            self._lines.feed(data)
        found = self._found.copy()
        self._found.clear()
        return found


@contextmanager
def child(
    program: Program,
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    heed: Callable[[str], bool] | None = None,
) -> Iterator[Child]:
    """Start a program for the length of a block; arguments as those of `Child`. Raises NotInstalled."""
    started = Child(program, stdin=stdin, stdout=stdout, heed=heed)
    try:
        yield started
    finally:
        started.stop()
        started.close()


def _die_with_parent() -> list[str]:
    """util-linux's setpriv has the kernel send SIGTERM to the child when this thread dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _with_memory(most: int | None) -> list[str]:
    """util-linux's prlimit, where a program is to have no more memory than that for its data."""
    prlimit = shutil.which("prlimit")
    return [prlimit, f"--data={most}", "--"] if most and prlimit else []
