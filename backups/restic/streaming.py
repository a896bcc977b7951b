"""Files out of snapshots, read while restic writes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from backups import process
from backups.errors import Problem
from backups.restic.access import Access
from backups.restic.arguments import dump_args
from backups.restic.exit_codes import error_from
from backups.restic.runner import mend_cache, unlock_after
from backups.restic.stalled import OutageTimer


@contextmanager
def dump(access: Access, snapshot_id: str, path: str) -> Iterator[process.Child]:
    """Stream a file out of a snapshot: read `stdout`, then see `finished`."""
    mend_cache(access)
    with process.child(access.calling(dump_args(snapshot_id, path)), stdout=process.PIPE) as running:
        try:
            yield running
        finally:
            running.stop()
            unlock_after(running.wait(), access, ())


def with_outage_limit(running: process.Child, access: Access, tick: process.Tick) -> process.Tick:
    """`tick` for a `dump`, which also gives up on a storage that goes on failing."""
    outage = OutageTimer(access)
    said = process.NewLines(running)

    def tick_within_limit() -> None:
        tick()
        for line in said.read():
            outage.hear(line)

    return tick_within_limit


@contextmanager
def outage_guard(running: process.Child, access: Access, tick: process.Tick = lambda: None) -> Iterator[None]:
    """For who reads a `dump` in a thread that cannot look at the clock meanwhile.

    Where its storage goes on failing, or `tick` raises a Problem, restic is ended, and that raised whatever
    came of it. `tick` is called in another thread.
    """
    over = threading.Event()
    given_up: list[Problem] = []
    tick_within_limit = with_outage_limit(running, access, tick)

    def watch() -> None:
        try:
            while not over.wait(process.TICK_SECONDS):
                running.poll()  # one that has ended is nobody's zombie, however slowly its output is read
                tick_within_limit()
        except Problem as error:
            given_up.append(error)
            running.stop()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    except Problem:
        if not given_up:
            raise
    finally:
        over.set()
        watching.join()
    if given_up:
        raise given_up[0]


def finished(running: process.Child, access: Access, doing: str, tick: process.Tick | None = None) -> None:
    """Raise what restic's end means, after all of its output was read."""
    code = running.wait(tick)
    if code != 0:
        raise error_from(process.Completed(code, b"", running.stderr_tail()), access, doing)
