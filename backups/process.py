"""The only module that starts other programs.

Each runs in a process group of its own and is ended, with all that it started, when the block
that started it is left, for whatever reason. None inherits this process's environment.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# restic needs a moment after SIGTERM to take its lock away; a cancel has five seconds in all.
GRACE_SECONDS = 3.0
TICK_SECONDS = 0.25
_TAIL_LINES = 25
# Whoever heeds the lines may ask a server about each.
_LAST_WORDS_SECONDS = 300.0
_READ_BYTES = 1 << 16
# No program that we start writes a longer line; what goes on is not kept.
_LONGEST_LINE = 1 << 20
# What is kept of a program whose output is wanted whole: restic tells of 60,000 snapshots in it.
MOST_KEPT = 64 << 20
_PR_SET_CHILD_SUBREAPER = 36

Tick = Callable[[], None]


@dataclass(frozen=True)
class Completed:
    """How a program ended: a negative `returncode` is the signal that killed it."""

    returncode: int
    stdout: bytes
    stderr_tail: tuple[str, ...]


class DeadlineExceeded(Exception):
    """A program ran past its deadline and was ended."""

    def __init__(self, program: str, seconds: float, stderr_tail: Sequence[str]) -> None:
        self.seconds = seconds
        self.stderr_tail = tuple(stderr_tail)
        super().__init__(f"{program} gave no answer within {seconds:g} seconds")


class SaidTooMuch(Exception):
    """A program wrote more than is kept of it and was ended."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(f"{program} wrote more than {MOST_KEPT >> 20} MB")


class NotInstalled(Exception):
    """A program is not on this machine."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(f"{program} is not installed")


def find_program(*names: str, folder: str = "") -> str | None:
    """The path of the first of `names` in `folder`, beside this Python or on the PATH."""
    search = os.pathsep.join(program_folders(folder))
    return next((found for name in names if (found := shutil.which(name, path=search))), None)


def program_folders(folder: str = "") -> list[str]:
    """Where programs are looked for: in `folder`, or beside this Python and on the PATH.

    `folder` may be several, separated as on the PATH.
    """
    places = folder or os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return [place for place in places.split(os.pathsep) if place]


def base_environment() -> dict[str, str]:
    """What every child gets: where programs and temporary files are, and nothing secret."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def user_name() -> str:
    """Whom this process and all that it starts run as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def secret_fd(content: bytes) -> int:
    """A file descriptor from which a child reads `content` once; the caller closes it.

    An anonymous file rather than a pipe, so that content of any length never blocks.
    """
    fd = os.memfd_create("vedetta", 0)
    # MySQL's clients ignore an option file that others may write.
    os.fchmod(fd, 0o600)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Child:
    """A running program; `stderr` goes to an unnamed file of which the end is kept.

    With `heed`, each line goes there as it comes, and those that it takes are not kept.
    """

    def __init__(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = None,
        pass_fds: Sequence[int] = (),
        own_group: bool = True,
        folder: str | None = None,
        heed: Callable[[str], bool] | None = None,
        most_memory: int | None = None,
    ) -> None:
        self.args = tuple(args)
        self._heeded = _Heeded(heed) if heed else None
        if self._heeded is not None:
            stderr = self._heeded.for_program
        self._stderr_file = tempfile.TemporaryFile() if stderr is None else None  # noqa: SIM115
        self._own_group = own_group
        self._is_stopped = False
        try:
            self._popen = subprocess.Popen(
                [*_die_with_parent(), *_with_memory(most_memory), *args],
                env=dict(env),
                stdin=stdin,
                stdout=stdout,
                stderr=self._stderr_file or stderr,
                pass_fds=pass_fds,
                start_new_session=own_group,
                cwd=folder,
            )
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
        raw = os.pread(fd, _READ_BYTES, max(0, size - _READ_BYTES))
        return tuple(raw.decode(errors="replace").splitlines()[-_TAIL_LINES:])

    def stderr_from(self, position: int) -> bytes:
        """What standard error holds from a byte on, at most 64 KiB of it."""
        return os.pread(self._stderr_file.fileno(), _READ_BYTES, position) if self._stderr_file else b""

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
        elif self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()

    def close(self) -> None:
        """Close this side of the pipes."""
        if self._heeded is not None:
            self._heeded.tail(wait=GRACE_SECONDS)
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr, self._stderr_file):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


class _Heeded:
    """Standard error, read in a thread as it comes. The program waits with its next word until the one
    before was heeded, where the kernel has pipes that hold a single one (see `man 2 pipe`, O_DIRECT).
    """

    def __init__(self, heed: Callable[[str], bool]) -> None:
        self._heed = heed
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        try:
            self._end, self.for_program = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
        except OSError:
            self._end, self.for_program = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self.for_program, fcntl.F_SETPIPE_SZ, 1)
        self._reading = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """Read, now that the program has its end of the pipe."""
        os.close(self.for_program)
        self._reading.start()

    def tail(self, *, wait: float) -> tuple[str, ...]:
        """The last lines that were not taken, after so many seconds at most for the last of them."""
        self._reading.join(wait)
        is_cut = wait and self._reading.is_alive()
        return (*self._tail, "error: what it said last could not be read") if is_cut else tuple(self._tail)

    def _read(self) -> None:
        lines = _Lines(self._line)
        copy_out, copy_in = os.pipe2(os.O_CLOEXEC)
        tee = ctypes.CDLL(None, use_errno=True).tee
        try:
            while True:
                copied = tee(self._end, copy_in, _READ_BYTES, 0)
                if copied > 0:
                    lines.feed(os.read(copy_out, copied))
                    os.read(self._end, copied)
                elif data := os.read(self._end, _READ_BYTES):
                    lines.feed(data)
                else:
                    break
            lines.close()
        finally:
            for fd in (self._end, copy_out, copy_in):
                os.close(fd)

    def _line(self, line: str) -> None:
        if not self._heed(line):
            self._tail.append(line)


class NewLines:
    """The lines that a running program writes to standard error, as they come."""

    def __init__(self, running: Child) -> None:
        self._running = running
        self._position = 0
        self._found: list[str] = []
        self._lines = _Lines(self._found.append)

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
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    own_group: bool = True,
    heed: Callable[[str], bool] | None = None,
) -> Iterator[Child]:
    """Start a program for the length of a block; arguments as those of `Child`. Raises NotInstalled."""
    started = Child(
        args, env=env, stdin=stdin, stdout=stdout, pass_fds=pass_fds, own_group=own_group, heed=heed
    )
    try:
        yield started
    finally:
        started.stop()
        started.close()


PIPE = subprocess.PIPE
# For programs whose output is ours.
OUR_STDOUT, OUR_STDERR = 1, 2


def run(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    on_stdout: Callable[[str], None] | None = None,
    on_stderr: Callable[[str], None] | None = None,
    tick: Tick | None = None,
    deadline: float | None = None,
    pass_fds: Sequence[int] = (),
    folder: str | None = None,
    most_memory: int | None = None,
) -> Completed:
    """Run a program to its end.

    Lines go to `on_stdout` and `on_stderr` as they come; without `on_stdout` the output is
    returned whole. `tick` is called several times a second; what it raises ends the program.
    `deadline` is in seconds, `folder` where the program runs, `most_memory` in bytes. Raises
    DeadlineExceeded, NotInstalled, SaidTooMuch.
    """
    started = Child(
        args, env=env, stdout=PIPE, stderr=PIPE, pass_fds=pass_fds, folder=folder, most_memory=most_memory
    )
    try:
        return _follow(started, on_stdout, on_stderr, tick, deadline)
    finally:
        started.stop()
        started.close()


@contextmanager
def beside(
    args: Sequence[str], *, env: Mapping[str, str], most_memory: int | None = None
) -> Iterator[Beside]:
    """Start a program that says little, for the length of a block. Raises NotInstalled."""
    started = Child(args, env=env, stdout=PIPE, stderr=PIPE, most_memory=most_memory)
    try:
        yield Beside(started)
    finally:
        started.stop()
        started.close()


@dataclass(frozen=True)
class Beside:
    """A program that runs while its starter does other things."""

    _running: Child

    @property
    def is_over(self) -> bool:
        """Whether the program has ended."""
        return self._running.poll() is not None

    def completed(
        self,
        tick: Tick | None = None,
        deadline: float | None = None,
        on_stderr: Callable[[str], None] | None = None,
    ) -> Completed:
        """See it to its end. The arguments are those of `run`; the deadline's seconds count from here."""
        completed = _follow(self._running, None, on_stderr, tick, deadline)
        # Now, and not when its starter is through, which may be hours later.
        self._running.stop()
        return completed


def _follow(
    running: Child,
    on_stdout: Callable[[str], None] | None,
    on_stderr: Callable[[str], None] | None,
    tick: Tick | None,
    deadline: float | None,
) -> Completed:
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    collected = bytearray()

    def keep_and_tell(line: str) -> None:
        tail.append(line)
        if on_stderr:
            on_stderr(line)

    def keep(data: bytes) -> None:
        collected.extend(data)
        if len(collected) > MOST_KEPT:
            raise SaidTooMuch(running.program)

    stdout = _Lines(on_stdout) if on_stdout else None
    stderr = _Lines(keep_and_tell)
    until = None if deadline is None else time.monotonic() + deadline
    with selectors.DefaultSelector() as selector:
        selector.register(running.stdout, selectors.EVENT_READ, stdout.feed if stdout else keep)
        selector.register(running.stderr, selectors.EVENT_READ, stderr.feed)
        while selector.get_map():
            for key, _ in selector.select(TICK_SECONDS):
                data = os.read(key.fd, _READ_BYTES)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)
            if tick:
                tick()
            if until is not None and time.monotonic() > until:
                assert deadline is not None  # noqa: S101
                raise DeadlineExceeded(running.program, deadline, tail)
            if running.poll() is not None and not selector.select(0):
                break
    for lines in filter(None, (stdout, stderr)):
        lines.close()
    return Completed(running.wait(tick), bytes(collected), tuple(tail))


class _Lines:
    """Cuts a byte stream into lines of text."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._begin(line)
            self._tell(self._rest.decode(errors="replace").rstrip("\r"))
            self._rest.clear()
        self._begin(rest)

    def close(self) -> None:
        if self._rest:
            self._tell(self._rest.decode(errors="replace"))
            self._rest.clear()

    def _begin(self, part: bytes) -> None:
        """Take up a part of a line, as far as there is room for it."""
        self._rest += part[: _LONGEST_LINE - len(self._rest)]


def _die_with_parent() -> list[str]:
    """util-linux's setpriv has the kernel send SIGTERM to the child when this thread dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _with_memory(most: int | None) -> list[str]:
    """util-linux's prlimit, where a program is to have no more memory than that for its data."""
    prlimit = shutil.which("prlimit")
    return [prlimit, f"--data={most}", "--"] if most and prlimit else []


def watched(work: Callable[[], None], tick: Tick, abort: Callable[[], None]) -> None:
    """Do `work` in a thread, calling `tick` meanwhile; what `tick` raises aborts the work.

    Raises what `work` raised.
    """
    raised: list[BaseException] = []

    def remember() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again in the watching thread
            raised.append(error)

    thread = threading.Thread(target=remember, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(TICK_SECONDS)
            tick()
    except BaseException:
        abort()
        thread.join()
        raise
    if raised:
        raise raised[0]


def pause() -> None:
    """Wait as long as a tick."""
    time.sleep(TICK_SECONDS)


def adopt_orphans() -> None:
    """Become the parent of what this process's descendants leave behind, as PID 1 would.

    An orphan that has ended stays in the process table until its parent asks for its status, and
    restic takes the lock of such a process for a living one's.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury_orphans(own: Collection[int]) -> None:
    """Take the status of adopted processes that have ended; `own` children have others who wait."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in own:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def identity() -> str:
    """This process, told apart from any earlier one that had its number: host:pid:start."""
    pid = os.getpid()
    return f"{os.uname().nodename}:{pid}:{_started_at(pid)}"


def is_gone(worker: str) -> bool:
    """Whether `worker` (an `identity`) ran on this host and runs no more."""
    host, pid, started = _parts(worker)
    return host == os.uname().nodename and _started_at(pid) != started


def is_elsewhere(worker: str) -> bool:
    """Whether `worker` (an `identity`) is a process of another machine, whose clock may be another."""
    return _parts(worker)[0] != os.uname().nodename


def runs_in_group(worker: str, group: int) -> bool:
    """Whether `worker` (an `identity`) runs on this host in the process group that `group` leads."""
    host, pid, started = _parts(worker)
    if host != os.uname().nodename or _started_at(pid) != started:
        return False
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return False


def _parts(worker: str) -> tuple[str, int, str]:
    """Host, number and start of an `identity`; what is none is of no host that anybody runs on."""
    found = _IDENTITY.fullmatch(worker)
    return (found[1], int(found[2]), found[3]) if found else ("", 0, "")


_IDENTITY = re.compile(r"(.*):([0-9]{1,9}):([^:]*)", re.S)


def _started_at(pid: int) -> str:
    """The process's start in clock ticks since boot, with the boot's id; empty when it is gone.

    proc(5): field 22 of /proc/PID/stat; the command's name before it may hold blanks.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else f"{boot}-{fields[19]}"
