"""A program seen to its end, at once or beside other work."""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backups.process.children import PIPE, Child, Program
from backups.process.endings import MOST_KEPT, Completed, DeadlineExceeded, SaidTooMuch
from backups.process.output import READ_BYTES, TAIL_LINES, Lines
from backups.process.waiting import TICK_SECONDS, Tick


def run(
    program: Program,
    *,
    on_stdout: Callable[[str], None] | None = None,
    on_stderr: Callable[[str], None] | None = None,
    tick: Tick | None = None,
    deadline: float | None = None,
) -> Completed:
    """Run a program to its end.

    Lines go to `on_stdout` and `on_stderr` as they come; without `on_stdout` the output is
    returned whole. `tick` is called several times a second; what it raises ends the program.
    `deadline` is in seconds. Raises DeadlineExceeded, NotInstalled, SaidTooMuch.
    """
    started = Child(program, stdout=PIPE, stderr=PIPE)
    try:
        return _follow(started, on_stdout, on_stderr, tick, deadline)
    finally:
        started.stop()
        started.close()


@contextmanager
def start_in_background(program: Program) -> Iterator[BackgroundProcess]:
    """Start a program that says little, for the length of a block. Raises NotInstalled."""
    started = Child(program, stdout=PIPE, stderr=PIPE)
    try:
        yield BackgroundProcess(started)
    finally:
        started.stop()
        started.close()


class BackgroundProcess:
    """A program that runs while its starter does other things."""

    def __init__(self, running: Child) -> None:
        self._running = running

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
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    collected = bytearray()

    def keep_and_tell(line: str) -> None:
        tail.append(line)
        if on_stderr:
            on_stderr(line)

    def keep(data: bytes) -> None:
        collected.extend(data)
        if len(collected) > MOST_KEPT:
            raise SaidTooMuch(running.program)

    stdout = Lines(on_stdout) if on_stdout else None
    stderr = Lines(keep_and_tell)
    until = None if deadline is None else time.monotonic() + deadline
    with selectors.DefaultSelector() as selector:
        selector.register(running.stdout, selectors.EVENT_READ, stdout.feed if stdout else keep)
        selector.register(running.stderr, selectors.EVENT_READ, stderr.feed)
        while selector.get_map():
            for key, _ in selector.select(TICK_SECONDS):
                data = os.read(key.fd, READ_BYTES)
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
