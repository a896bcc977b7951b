"""What this process's descendants leave behind."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
# What this process started itself: others wait for that, in whichever thread. Whoever has the status of such
# a program taken from under them would hold its failure for a success.
own: set[int] = set()
# Held from before a program starts until it is among the `own`.
starting = threading.Lock()
# A process forked meanwhile, as the queue's are, would find it held for ever.
os.register_at_fork(
    before=starting.acquire, after_in_parent=starting.release, after_in_child=starting.release
)


def become_subreaper() -> None:
    """Become the parent of what this process's descendants leave behind, as PID 1 would.

    An orphan that has ended stays in the process table until its parent asks for its status, and
    restic takes the lock of such a process for a living one's.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans() -> None:
    """Take the status of adopted processes that have ended; who started others here waits for them.

    While a program is being started it is left for the next time.
    """
    if not starting.acquire(blocking=False):
        return
    try:
        with suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in own:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)
    finally:
        starting.release()
